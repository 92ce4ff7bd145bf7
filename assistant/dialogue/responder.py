"""One turn, readable top to bottom: a question and its history go in, a reply with its grounds comes out.

It knows no log, no socket and no database; `manager` gives it those.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace

import structlog

from assistant.config import BUILT_IN_CHAT_MODEL, Settings
from assistant.conversation.events import Decision, PromptPassage
from assistant.dialogue import prompt, replies
from assistant.dialogue.context import fit, standalone
from assistant.dialogue.draft import Draft, Sink, Stopwatch
from assistant.dialogue.extract import Composition
from assistant.dialogue.grounding import Grounds
from assistant.dialogue.handoff import address_left, wants_person
from assistant.dialogue.ladder import Ladder
from assistant.dialogue.mood import is_furious
from assistant.dialogue.output_filter import OutputGuard
from assistant.dialogue.policy import Found, Plan, decide
from assistant.dialogue.prompt import Exchange, Voice
from assistant.dialogue.searching import Searching
from assistant.dialogue.smalltalk import pleasantry
from assistant.dialogue.turn import ActionTaker, Generator, Question, Reader, Reply, Retriever
from assistant.dialogue.wording import Wording
from assistant.errors import GenerationError
from assistant.language import fold
from assistant.values import ChatMessage, Concern, Passage, Reading, Sampling

log = structlog.get_logger()

STUCK = "no answer twice in a row"
"""How the reason of a hand-over begins that stands for a second abstention."""
URGENT = "no answer to an urgent message"
# So many of the customer's messages before support what is said to them.
GROUNDING_MESSAGES = 40

# What asks something itself, or hands the conversation over.
NOT_REMINDED_AFTER: frozenset[Decision] = frozenset({"action", "handoff", "clarified"})
# Another wording needs chance; the first one does better without.
REWORDING_TEMPERATURE = 0.7
# From this resemblance to a concern on, a question is only answered where the search is as sure as this,
DOUBTED_SCORE = 0.4
DOUBTED_CONFIDENCE = 0.65
# and one that resembles these, but no more than so, where the search is as sure as that: "does the police get my
# data?" is the shop's business if its FAQ says so. Of 3,185 attacks one more is answered for it, with 0.9 and
# without a limit to the resemblance 21 more.
RESEMBLED: frozenset[Concern] = frozenset({"harm", "abuse"})
MOST_RESEMBLANCE = 0.75
CERTAIN = 0.95


class Responder:
    """Answers questions: small talk, a person, an action, a curated text, a composed one, a question back, or none."""

    def __init__(
        self,
        retriever: Retriever,
        generator: Generator,
        settings: Settings,
        *,
        reader: Reader | None = None,
        actions: ActionTaker | None = None,
        canary: str = "",
        ladder: Ladder | None = None,
    ) -> None:
        self._searching = Searching(retriever, floor=settings.retrieval.floor)
        self._generator = generator
        self._settings = settings
        self._reader = reader
        self._actions = actions
        self._wording = Wording(settings)
        self._guard = OutputGuard(settings, canary=canary)
        self._ladder = ladder or Ladder()

    @property
    def generator(self) -> Generator:
        """The model that composes."""
        return self._generator

    @property
    def _is_untrained(self) -> bool:
        return self._generator.model_name == BUILT_IN_CHAT_MODEL and self._generator.adapter_name is None

    async def respond(self, question: Question, sink: Sink) -> Reply:
        """Answer one question. Cancelling it stops the model at the next token; `sink` has what was released."""
        clock = Stopwatch()
        question = await self._read(question)
        # Actions take a name or an address as it was written; everything else reads one script and width.
        read = replace(question, text=fold(question.text))
        reply = self._for_a_person(read)
        if reply is None and read.reading.concern is None:
            reply = await self._by_action(question, sink) or self._without_search(read)
        reply = reply or await self._with_search(read, sink, clock)
        return replace(
            self._with_reminder(question, self._relieved(question, reply)),
            reading=None if question.attempt else replace(question.reading, intent=reply.topic),
            timings_ms=clock.finish(),
        )

    async def _read(self, question: Question) -> Question:
        if self._reader is None:
            return question
        language, tenant = question.language, question.tenant
        reading = await asyncio.to_thread(self._reader.read, question.text, language=language, tenant=tenant)
        return replace(question, reading=reading)

    async def _by_action(self, question: Question, sink: Sink) -> Reply | None:
        return await self._actions.take(question, sink.record) if self._actions else None

    async def _with_search(self, question: Question, sink: Sink, clock: Stopwatch) -> Reply:
        sink.enter("searching")
        query = standalone(question.text, question.earlier)
        whole, parts = await self._searching.search(query, question)
        clock.mark("search")
        if concern := _concern_of(question.reading, whole):
            return self._wording.concerned(question, concern)
        can_write = self._can_write(question.language)
        plan = decide(whole, parts, language=question.language, can_write=can_write, settings=self._settings.dialogue)
        match plan.decision:
            case "abstained":
                return self._wording.abstain(question, plan)
            case "clarified":
                return self._wording.clarify(question, plan)
            case "verbatim" if not (question.attempt and can_write):
                return self._wording.curated(question, plan)
        if not can_write:
            return self._wording.extracted(question, plan)
        sink.enter("writing")
        return await self._compose(question, query, plan, sink, clock)

    # -- without a search

    def _for_a_person(self, question: Question) -> Reply | None:
        """Danger, a person wanted, what must not be answered like any other message, anger: before all else."""
        concern, wording = question.reading.concern, self._wording
        if concern == "self_harm":
            return wording.concerned(question, concern)
        if wants_person(question.text):
            return wording.hand_over(question, "hand_over", "the customer asked for a person")
        if is_furious(question.text, question.reading):
            return wording.hand_over(question, "angry", "the customer is very angry")
        if concern in RESEMBLED and question.reading.concern_score < MOST_RESEMBLANCE:
            return None
        return wording.concerned(question, concern) if concern else None

    def _without_search(self, question: Question) -> Reply | None:
        """An address left while one waits for a person, and small talk: nothing to look up."""
        if question.mode == "waiting" and (address := address_left(question.text)):
            return self._wording.address_taken(question, address)
        kind = pleasantry(question.text)
        return self._wording.pleasantry(question, kind) if kind else None

    def _relieved(self, question: Question, reply: Reply) -> Reply:
        """A person instead of no answer: a second time in a row, or to a message that cannot wait."""
        if reply.is_unanswered and question.was_unanswered and question.reading.concern is None:
            return self._wording.hand_over(question, "stuck", f"{STUCK}; {reply.reason}")
        if reply.is_unanswered and question.reading.urgency == "high" and question.mode == "bot":
            return self._wording.hand_over(question, "urgent", f"{URGENT}; {reply.reason}")
        return reply

    def _with_reminder(self, question: Question, reply: Reply) -> Reply:
        """After the answer to something else, what an open action still asks."""
        if self._actions is None or question.reading.concern or reply.decision in NOT_REMINDED_AFTER:
            return reply
        still_asked = self._actions.reminder(question)
        return replace(reply, text=replies.paragraphs(reply.text, still_asked)) if still_asked else reply

    # -- with the model

    async def _compose(self, question: Question, query: str, plan: Plan, sink: Sink, clock: Stopwatch) -> Reply:
        """Let the model write from the passages; what they do not support is not sent, what it left out is added."""
        found = [hit.passage for hit in plan.hits]
        passages = tuple(_shown(passage) for passage in found)
        messages = self._prompt(question, query, passages)
        output_filter = self._guard.filter(messages, found, tenant=question.tenant)
        said = [*question.earlier[-GROUNDING_MESSAGES:], question.text]
        draft = Draft(await asyncio.to_thread(Grounds, found, said), sink, clock, output_filter)
        try:
            async with asyncio.timeout(self._settings.dialogue.turn_timeout_s):
                await self._write(question, messages, draft)
        except (GenerationError, TimeoutError) as error:
            log.warning("generation_failed", cause=type(error).__name__)
            draft.end("error", f"the model failed ({type(error).__name__})")
            self._ladder.step_down("cut_short" if draft.text and draft.citations else "without_model")
        if not draft.text or not draft.citations:
            return self._wording.extracted(question, plan, because=draft.reason or "the model's text claimed nothing")
        reason = f"{plan.reason}; {draft.reason}" if draft.reason else plan.reason
        answer = Composition(draft.text.rstrip(), draft.citations)
        self._complete(question, plan, answer)
        return replace(
            self._wording.composed(question, plan, answer, reason),
            language=question.language,
            finish_reason=draft.finish_reason,
            passages=passages,
            prompt_id=prompt.prompt_id(messages),
        )

    def _complete(self, question: Question, plan: Plan, answer: Composition) -> None:
        """Where several entries are needed, add those that the model made nothing of."""
        if plan.needs_all:
            told = {citation.entry_id for citation in answer.citations}
            for hit in plan.hits:
                if hit.passage.entry_id not in told:
                    answer.tell(hit, question.text, heading=True)

    async def _write(self, question: Question, messages: Sequence[ChatMessage], draft: Draft) -> None:
        stream = self._generator.stream(self._guard.mark(messages), sampling=self._sampling(question))
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                if not draft.take(piece):
                    return

    def _prompt(self, question: Question, query: str, passages: Sequence[PromptPassage]) -> list[ChatMessage]:
        def cost(turn: Exchange) -> int:
            return self._generator.count(prompt.exchange_messages(turn))

        kept = fit(question.history, budget=self._settings.dialogue.history_tokens, cost=cost)
        # One name in every prompt: a conversation may change its language, its prompt's beginning may not.
        brand = replies.local(self._settings.brand_of(question.tenant).name, "en")
        return prompt.assemble(Voice(brand, self._settings.style), kept, query, passages)

    def _sampling(self, question: Question) -> Sampling:
        chosen = self._settings.generation
        again = question.attempt > 0
        return Sampling(
            temperature=max(chosen.temperature, REWORDING_TEMPERATURE) if again else chosen.temperature,
            top_p=chosen.top_p,
            top_k=chosen.top_k,
            repetition_penalty=chosen.repetition_penalty,
            max_new_tokens=chosen.max_new_tokens,
            seed=question.attempt if again else None,
        )

    def _can_write(self, language: str) -> bool:
        compose = self._settings.dialogue.compose
        if compose == "extract" or (compose == "auto" and self._is_untrained):
            return False
        return self._generator.languages is None or language in self._generator.languages


def _concern_of(reading: Reading, whole: Found) -> Concern | None:
    """What a message resembles, unless the search says that it is the shop's business all the same."""
    if reading.concern:
        return reading.concern if whole.confidence < CERTAIN else None
    return "harm" if reading.concern_score >= DOUBTED_SCORE and whole.confidence < DOUBTED_CONFIDENCE else None


def _shown(passage: Passage) -> PromptPassage:
    return PromptPassage(passage.entry_id, passage.title, passage.text)
