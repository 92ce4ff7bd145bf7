"""The chat model on its own thread, and the asynchronous stream of text that a caller reads.

Bounds: ``queue_size`` sequences wait, ``max_batch`` are written, one merged piece waits per reader, and
prompt plus answer fit ``context_tokens``. One failing request ends alone; a dead thread fails every request.
"""

from __future__ import annotations

import asyncio
import threading
from collections import abc
from collections.abc import AsyncGenerator, Callable

import structlog

from assistant.config import Settings
from assistant.errors import GenerationError, PromptTooLong
from assistant.faults import report
from assistant.generation.adapter_card import AdapterCard
from assistant.generation.loader import ChatModel, load_chat_model
from assistant.generation.runner import Runner
from assistant.generation.scheduler import Scheduler
from assistant.generation.sequence import Mailbox, Sequence
from assistant.values import ChatMessage, Piece, Sampling

# Less room than this is no room for an answer.
MIN_ANSWER_TOKENS = 16
# A step takes tenths of a second; who waits for a model that hangs longer than this is not kept waiting for its end.
CLOSE_TIMEOUT_S = 5.0

log = structlog.get_logger()


class Engine:
    """Writes answers for many conversations at once. `load`, then `start`; `close` ends what is running.

    `stream`, `count` and the properties may be used from any event loop or thread once it is loaded.
    """

    def __init__(self, settings: Settings, *, load_model: Callable[[Settings], ChatModel] = load_chat_model) -> None:
        self._settings = settings
        self._load_model = load_model
        self._loaded: ChatModel | None = None
        self._scheduler = Scheduler(queue_size=settings.generation.queue_size, max_batch=settings.generation.max_batch)
        self._changed = threading.Condition()
        self._closing = False
        self._death: BaseException | None = None
        self._thread: threading.Thread | None = None

    def load(self) -> None:
        """Read the model into memory. Takes seconds: call it off the loop. Raises `ModelError`."""
        self._loaded = self._load_model(self._settings)

    def start(self) -> None:
        """Start the model's thread."""
        assert self._thread is None, "the engine runs already"
        runner = Runner(self._model.model, self._model.device)
        self._thread = threading.Thread(target=self._run, args=(runner,), name="chat-model", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End every running answer as interrupted and stop the thread, between two steps.

        Blocks for the current step, at most `CLOSE_TIMEOUT_S`: a model that hangs is left alone, and its readers are
        told.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is None:
            return
        self._thread.join(CLOSE_TIMEOUT_S)
        if self._thread.is_alive():
            self._abandon()

    @property
    def languages(self) -> tuple[str, ...] | None:
        """The languages the model writes (ISO 639-1); None means every one."""
        return self._model.languages

    @property
    def model_name(self) -> str:
        """The base model's name."""
        return self._model.name

    @property
    def adapter_name(self) -> str | None:
        """The adapter's name, if one is served."""
        return self._model.adapter_name

    @property
    def adapter_card(self) -> AdapterCard | None:
        """What the served adapter was trained on and with."""
        return self._model.adapter

    @property
    def is_alive(self) -> bool:
        """Whether the model's thread runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def queue_depth(self) -> int:
        """How many requests wait for a place beside the model."""
        return self._scheduler.num_waiting

    @property
    def num_running(self) -> int:
        """How many answers are being written."""
        return len(self._scheduler.running)

    @property
    def has_room(self) -> bool:
        """Whether a request would be taken now."""
        return self._scheduler.has_room and self._death is None and not self._closing

    def count(self, messages: abc.Sequence[ChatMessage]) -> int:
        """How many tokens the prompt of these messages has."""
        return self._model.chat_format.count(messages)

    async def stream(self, messages: abc.Sequence[ChatMessage], *, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """The answer to ``messages``, piece by piece; the last piece has a ``finish_reason``.

        Closing the generator, or cancelling its task, frees the place before the next token. Raises
        `QueueFull` at once, `PromptTooLong`, or `GenerationError` when the model fails.
        """
        with self._changed:
            self._require_room()
        sequence = await asyncio.to_thread(self._sequence, messages, sampling, mailbox := Mailbox())
        self._submit(sequence)
        try:
            while True:
                piece = await mailbox.take()
                yield piece
                if piece.finish_reason is not None:
                    return
        finally:
            with self._changed:
                self._scheduler.cancel(sequence)

    @property
    def _model(self) -> ChatModel:
        if self._loaded is None:
            raise GenerationError("The chat model is not loaded.", fix="Call load() first.")
        return self._loaded

    def _sequence(self, messages: abc.Sequence[ChatMessage], sampling: Sampling, mailbox: Mailbox) -> Sequence:
        model = self._model
        prompt_ids = model.chat_format.render(messages)
        room = model.context_tokens - len(prompt_ids)
        if room < MIN_ANSWER_TOKENS:
            raise PromptTooLong(
                f"The prompt has {len(prompt_ids)} tokens, and prompt and answer have {model.context_tokens} together.",
                fix="Shorten the message or the history, or raise [generation] context_tokens if the model has more.",
            )
        return Sequence(
            prompt_ids,
            sampling,
            mailbox,
            max_new_tokens=min(sampling.max_new_tokens, room),
            end_ids=model.chat_format.end_ids,
            decode=model.chat_format.decode,
        )

    def _submit(self, sequence: Sequence) -> None:
        with self._changed:
            self._require_room()
            self._scheduler.add(sequence)
            self._changed.notify()

    def _require_room(self) -> None:
        if self._death is not None:
            raise _died(self._death)
        if self._closing or self._thread is None:
            raise GenerationError("The model is not running.", fix="Start the assistant again.")
        self._scheduler.require_room()

    def _run(self, runner: Runner) -> None:
        """The thread's life: steps until it is closed. Whatever ends it early fails every request."""
        try:
            while self._wait_for_work():
                self._step(runner)
            self._interrupt_all()
        except BaseException as error:
            report("engine.died", error)
            with self._changed:
                self._death = error
                for sequence in self._scheduler.drain():
                    sequence.fail(_died(error))

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._scheduler.has_work)
            return not self._closing

    def _step(self, runner: Runner) -> None:
        with self._changed:
            runner.drop(self._scheduler.leave())
            admitted = self._scheduler.admit()
        if admitted is not None:
            try:
                runner.start(admitted)
            except Exception as error:  # whatever a model throws ends this request alone
                self._fail([admitted], error)
        with self._changed:
            runner.drop(self._scheduler.leave())
            if self._closing:
                return
        runner.step(self._fail)

    def _fail(self, sequences: list[Sequence], error: Exception) -> None:
        report("engine.request_failed", error, num_sequences=len(sequences))
        for sequence in sequences:
            failure = GenerationError(f"The model failed: {type(error).__name__}.", fix="See the server's log.")
            failure.__cause__ = error
            sequence.fail(failure)

    def _abandon(self) -> None:
        log.warning("engine_left", after_s=CLOSE_TIMEOUT_S, running=self.num_running, waiting=self.queue_depth)
        left = GenerationError(
            f"The model did not end its step within {CLOSE_TIMEOUT_S:.0f} s.", fix="Start the assistant again."
        )
        with self._changed:
            for sequence in self._scheduler.drain():
                sequence.fail(left)

    def _interrupt_all(self) -> None:
        with self._changed:
            for sequence in self._scheduler.drain():
                if not sequence.is_over:
                    sequence.finish("interrupted")


def _died(error: BaseException) -> GenerationError:
    return GenerationError(
        f"The model's thread died: {type(error).__name__}.", fix="Restart the assistant; see its log."
    )
