"""What examples in the prompt and an adapter change: answer cases, and how new each regenerated wording is.

    .venv/bin/python -m tests.benchmarks.answers [--adapter DIR] [--every N] [--kind combine --kind two_questions]

Every N-th case of the demo shop is played with the chat model, zero-shot (no ``[style] examples``) and few-shot, each
without and with the adapter. distinct-2 is the share of different ones among all bigrams of five wordings of one
answer (words in English, characters in Chinese; Li et al. 2016, https://aclanthology.org/N16-1014), mean over the
questions below. "same facts" counts the questions whose five wordings cite the same entries.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

from rich.console import Console
from rich.table import Table

from assistant import server
from assistant.cli_evaluate import find_cases, measure_answers
from assistant.config import ExampleSettings, Settings, load
from assistant.conversation.events import Action
from assistant.dialogue.draft import Phase
from assistant.dialogue.responder import Responder
from assistant.dialogue.turn import Question, Reply
from assistant.evaluation.answers import AnswerReport
from assistant.evaluation.cases import Case
from assistant.terminal import set_up_logging

REGENERATIONS = 5
MAX_EXAMPLES = 2
EXAMPLES = (
    ExampleSettings(
        passage="Tickets can be exchanged until 24 hours before the show. An exchange costs EUR 2.00.",
        question="can I still swap my ticket for friday, and is that free?",
        answer="You can exchange it until 24 hours before the show. An exchange costs EUR 2.00.",
    ),
    ExampleSettings(
        passage="Guide dogs are welcome in every hall. Other pets cannot come in.",
        question="may I bring my cat",
        answer="I am sorry, other pets cannot come in. Guide dogs are welcome in every hall.",
    ),
)
QUESTIONS = {
    "en": (
        "is it ok to give the lamp back after twenty days",
        "the money for my chair is still not on my card after a week",
        "how much is the shipping fee for a small parcel",
        "my lamp broke after two years, do I get a new one",
        "can I get it sent to Vienna and for how much",
        "I typed the wrong street when ordering",
        "which size do I need for feet of 25 cm",
        "I was billed two times for one order",
    ),
    "zh": (
        "台灯用了二十天还能退吗",
        "退的钱一周了还没到卡里",
        "小包裹运费要多少",
        "灯用了两年坏了给换新的吗",
        "新疆能寄吗，多少钱",
        "下单时地址写错了",
        "脚长25厘米穿多大",
        "一个订单扣了两次款",
    ),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    report: AnswerReport
    distinct: dict[str, float]
    num_same: int


@dataclass
class Silent:
    """Nobody watches."""

    actions: list[Action] = field(default_factory=list)

    def enter(self, phase: Phase) -> None:
        """Show nothing."""

    def release(self, text: str) -> None:
        """Show nothing."""

    async def record(self, action: Action) -> None:
        """Keep the step."""
        self.actions.append(action)


def distinct_2(texts: Sequence[str]) -> float:
    """Different bigrams by all bigrams of some texts; 0 where there is none (Li et al. 2016)."""
    units = [re.findall(r"[一-鿿]|[^\W_一-鿿]+", text.lower()) for text in texts]
    bigrams = [pair for one in units for pair in itertools.pairwise(one)]
    return len(set(bigrams)) / len(bigrams) if bigrams else 0.0


async def measure(name: str, settings: Settings, cases: Sequence[Case]) -> Row:
    """Play the cases, then regenerate the questions' answers."""
    report = await measure_answers(settings, cases, knowledge=settings.knowledge.root)
    with tempfile.TemporaryDirectory() as folder:
        own = settings.model_copy(update={"data_dir": Path(folder)})
        async with server.running_responder(own, print) as responder:
            worded = {
                language: [await wordings(responder, q, language) for q in QUESTIONS[language]]
                for language in QUESTIONS
            }
    distinct = {language: mean(distinct_2([r.text for r in five]) for five in worded[language]) for language in worded}
    return Row(name, report, distinct, sum(same_entries(five) for fives in worded.values() for five in fives))


async def wordings(responder: Responder, text: str, language: str) -> list[Reply]:
    """The first answer, and what comes when another wording is asked for, again and again."""
    return [
        await responder.respond(Question(text, language, attempt=attempt), Silent()) for attempt in range(REGENERATIONS)
    ]


def same_entries(replies: Sequence[Reply]) -> bool:
    """Whether all wordings rest on the same entries."""
    return len({frozenset(citation.entry_id for citation in reply.citations) for reply in replies}) == 1


async def run(adapter: Path | None, every: int, kinds: Sequence[str]) -> None:
    """Measure every setting and print the table."""
    shipped = load(Path(__file__).parents[2] / "deploy" / "assistant.toml")
    server.fetch_models(shipped)
    cases = [case for case in find_cases(shipped, shipped.knowledge.root / "cases") if not kinds or case.kind in kinds][
        ::every
    ]
    rows = []
    for given in [None, adapter] if adapter else [None]:
        for name, examples in (("zero-shot", ()), ("few-shot", shipped.style.examples[:MAX_EXAMPLES] or EXAMPLES)):
            changes = {
                "style": shipped.style.model_copy(update={"examples": examples}),
                "generation": shipped.generation.model_copy(update={"adapter": given}),
                "dialogue": shipped.dialogue.model_copy(update={"compose": "model"}),
            }
            label = f"{name}, {given.name if given else 'no adapter'}"
            rows.append(await measure(label, shipped.model_copy(update=changes), cases))
    Console(width=160).print(table(rows))


def table(rows: Sequence[Row]) -> Table:
    """One line for each setting."""
    columns = "setting n right composing composed unsupported wrongly-abstained distinct-2-en distinct-2-zh same-facts"
    shown = Table(*columns.split(), box=None)
    questions = sum(len(asked) for asked in QUESTIONS.values())
    for row in rows:
        report, composing, wrongly = row.report, row.report["composing"], row.report["wrongly_abstained"]
        composed = report["by_decision"].get("composed", {"n": 0})["n"]
        shown.add_row(
            row.name,
            str(report["n"]),
            f"{report['right_rate']:.3f}",
            f"{composing['right']}/{composing['n']}",
            str(composed),
            str(report["unsupported"]),
            f"{wrongly['abstained']}/{wrongly['n']}",
            f"{row.distinct['en']:.3f}",
            f"{row.distinct['zh']:.3f}",
            f"{row.num_same}/{questions}",
        )
    return shown


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--every", type=int, default=8, help="play every N-th case")
    parser.add_argument("--kind", action="append", default=[], help="play cases of these kinds only")
    given = parser.parse_args()
    set_up_logging("error")
    asyncio.run(run(given.adapter, given.every, given.kind))


if __name__ == "__main__":
    main()
