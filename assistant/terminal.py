"""What the command line shows: progress, answers, and a conversation typed in the terminal."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

import structlog
from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from assistant.config import Settings
from assistant.conversation.events import Action, Decision, new_id
from assistant.dialogue.context import standalone
from assistant.dialogue.draft import Phase
from assistant.dialogue.prompt import Exchange
from assistant.dialogue.responder import Responder
from assistant.dialogue.turn import Question, Reply
from assistant.language import detect
from assistant.privacy.masking import MaskedFormatter, MaskedLog

out = Console(highlight=False)
note = Console(stderr=True, highlight=False)


def tell(line: str) -> None:
    """Say something about the work, beside the output."""
    note.print(escape(line), soft_wrap=True)


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that appears with the first report of (done, total)."""
    bar = Progress(TextColumn(title), BarColumn(), MofNCompleteColumn(), console=note, transient=not note.is_terminal)
    task = bar.add_task(title, start=False)

    def report(done: int, total: int) -> None:
        bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield report
    finally:
        bar.stop()


class TerminalConversation:
    """A conversation in the terminal; its history is in memory only."""

    def __init__(self, settings: Settings, *, sink: TerminalSink) -> None:
        self._sink = sink
        self._history: list[Exchange] = []
        self._earlier: list[str] = []
        self._just_told: set[str] = set()
        self._said: list[str] = []
        self._past: list[Decision] = []
        self._was_unanswered = False
        self._language: str = settings.default_language

    async def run(self, responder: Responder) -> None:
        """Ask and answer until the customer leaves."""
        out.print("[dim]Ask something. An empty line ends the conversation.[/]")
        while text := (await asyncio.to_thread(_read_line)).strip():
            print_reply(await self.ask(responder, text))

    async def ask(self, responder: Responder, text: str) -> Reply:
        """One turn."""
        self._language = detect(text, fallback=self._language)
        question = Question(
            text,
            self._language,
            history=tuple(self._history),
            earlier=tuple(self._earlier),
            just_told=self._just_told,
            said=tuple(self._said),
            past=tuple(self._past),
            was_unanswered=self._was_unanswered,
            actions=tuple(self._sink.actions),
        )
        reply = await responder.respond(question, self._sink)
        self._history.append(Exchange(standalone(text, self._earlier), reply.text, reply.passages))
        self._earlier.append(text)
        self._said += [text, reply.text]
        self._past.append(reply.decision)
        self._was_unanswered = reply.is_unanswered
        self._just_told = {citation.entry_id for citation in reply.citations}
        return reply


class TerminalSink:
    """Shows how far a turn is, where somebody watches."""

    def __init__(self, *, watched: bool) -> None:
        self._watched = watched and note.is_terminal
        self.actions: list[Action] = []

    def enter(self, phase: Phase) -> None:
        """Show the phase."""
        if self._watched:
            note.print(f"[dim]{phase} ...[/]")

    def release(self, text: str) -> None:
        """Show some more of the answer, before its final form."""
        if self._watched:
            note.print(f"[dim]{escape(text)}[/]", end="")

    async def record(self, action: Action) -> None:
        """Keep a step of a business action, and show it."""
        self.actions.append(action)
        note.print(f"[dim]  {action.name}: {action.status}[/]")


def print_reply(reply: Reply) -> None:
    """An answer, its sources, and why it was given."""
    out.print(Markdown(reply.text))
    for citation in {c.entry_id: c for c in reply.citations}.values():
        out.print(
            f"[dim]  source: {escape(citation.title)} ({citation.source}, {citation.entry_id})[/]", soft_wrap=True
        )
    confidence = f", confidence {reply.confidence:.2f}" if reply.confidence is not None else ""
    out.print(f"[dim]  {reply.decision}{confidence}: {escape(reply.reason)}[/]", soft_wrap=True)


def reply_object(reply: Reply) -> dict[str, object]:
    """An answer as `ask --json` prints it."""
    return {
        "text": reply.text,
        "language": reply.language,
        "decision": reply.decision,
        "reason": reply.reason,
        "confidence": reply.confidence,
        "citations": [asdict(citation) for citation in reply.citations],
        "turn_id": new_id("t"),
        "timings_ms": reply.timings_ms,
    }


def print_json(value: object) -> None:
    """One JSON object, Chinese as it is."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def set_up_logging(level: str, *, phone_regions: Sequence[str] = ()) -> None:
    """Lines for people on a terminal, JSON elsewhere, both on standard error; of other libraries only errors.

    Personal data is masked in all of them. Raises `ConfigError` for an unknown region.
    """
    others = logging.StreamHandler()
    others.setFormatter(MaskedFormatter(phone_regions))
    others.setLevel(logging.ERROR)
    logging.basicConfig(handlers=[others])
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            MaskedLog(phone_regions),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _read_line() -> str:
    try:
        return input("> ")
    except EOFError:
        return ""
