"""One turn, readable top to bottom: a question and its history go in, a reply with its grounds comes out.

It knows no log, no socket and no database; `manager` gives it those.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import aclosing
from dataclasses import replace

import structlog

from assistant.config import Settings
from assistant.conversation.events import PromptPassage
from assistant.dialogue import prompt, replies
from assistant.dialogue.context import fit, new_part, standalone
from assistant.dialogue.draft import Draft, Sink, Stopwatch
from assistant.dialogue.extract import Composition
from assistant.dialogue.grounding import Grounds
from assistant.dialogue.handoff import email_address, wants_person
from assistant.dialogue.mood import is_furious
from assistant.dialogue.parts import Message, query_for, take_apart
from assistant.dialogue.policy import PART_FLOOR, Found, Plan, decide
from assistant.dialogue.prompt import Exchange, Voice
from assistant.dialogue.smalltalk import pleasantry
from assistant.dialogue.turn import ActionTaker, Generator, Question, Reader, Reply, Retriever
from assistant.dialogue.wording import Wording
from assistant.errors import GenerationError
from assistant.values import ChatMessage, Hit, Passage, Sampling

log = structlog.get_logger()

# Another wording needs chance; the first one does better without.
REWORDING_TEMPERATURE = 0.7
# How much an entry that was just told counts for a follow-up.
TOLD_WEIGHT = 0.6


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
    ) -> None:
        self._retriever = retriever
        self._generator = generator
        self._settings = settings
        self._reader = reader
        self._actions = actions
        self._wording = Wording(settings)

    @property
    def generator(self) -> Generator:
        """The model that composes."""
        return self._generator

    async def respond(self, question: Question, sink: Sink) -> Reply:
        """Answer one question. Cancelling it stops the model at the next token; `sink` has what was released."""
        clock = Stopwatch()
        question = await self._read(question)
        reply = (
            self._for_a_person(question)
            or await self._by_action(question, sink)
            or self._without_search(question)
            or await self._with_search(question, sink, clock)
        )
        return replace(
            self._relieved(question, reply),
            reading=None if question.attempt else question.reading,
            timings_ms=clock.finish(),
        )

    async def _read(self, question: Question) -> Question:
        if self._reader is None:
            return question
        reading = await asyncio.to_thread(self._reader.read, question.text, language=question.language)
        return replace(question, reading=reading)

    async def _by_action(self, question: Question, sink: Sink) -> Reply | None:
        return await self._actions.take(question, sink.record) if self._actions else None

    async def _with_search(self, question: Question, sink: Sink, clock: Stopwatch) -> Reply:
        sink.enter("searching")
        query = standalone(question.text, question.earlier)
        whole, parts = await self._search(query, question)
        clock.mark("search")
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
        return wording.concerned(question, concern) if concern else None

    def _without_search(self, question: Question) -> Reply | None:
        """An address while one waits for a person, and small talk: nothing to look up."""
        if question.mode == "waiting" and (address := email_address(question.text)):
            return self._wording.address_taken(question, address)
        kind = pleasantry(question.text)
        return self._wording.pleasantry(question, kind) if kind else None

    def _relieved(self, question: Question, reply: Reply) -> Reply:
        """A person instead of saying a second time in a row that there is no answer."""
        again = reply.decision == "abstained" and list(question.past[-1:]) == ["abstained"]
        if again and question.reading.concern is None:
            return self._wording.hand_over(question, "stuck", f"no answer twice in a row; {reply.reason}")
        return reply

    # -- with the model

    async def _compose(self, question: Question, query: str, plan: Plan, sink: Sink, clock: Stopwatch) -> Reply:
        """Let the model write from the passages; what they do not support is not sent, what it left out is added."""
        passages = tuple(_shown(hit.passage) for hit in plan.hits)
        messages = self._prompt(question, query, passages)
        draft = Draft(Grounds([hit.passage for hit in plan.hits], [*question.earlier, question.text]), sink, clock)
        try:
            async with asyncio.timeout(self._settings.dialogue.turn_timeout_s):
                await self._write(question, messages, draft)
        except (GenerationError, TimeoutError) as error:
            log.warning("generation_failed", cause=type(error).__name__)
            draft.end("error", f"the model failed ({type(error).__name__})")
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
        stream = self._generator.stream(messages, sampling=self._sampling(question))
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

    # -- searching

    async def _search(self, query: str, question: Question) -> tuple[Found, list[Found]]:
        """What is found for the whole message, and for each of its questions where it asks several."""
        message = take_apart(question.text)
        whole = await self._find(query, question, question.text)
        if not message.is_compound:
            return whole, []
        return whole, [await self._find_part(part, message, question) for part in message.questions]

    async def _find_part(self, part: str, message: Message, question: Question) -> Found:
        """What is found for a question alone, and beside it what is found together with what is said around it."""
        alone = await self._find(part, question, part, floor=PART_FLOOR)
        query = query_for(part, message)
        if query == part:
            return alone
        within = await self._find(query, question, part, floor=PART_FLOOR)
        first, second = sorted((alone, within), key=_confidence, reverse=True)
        return replace(first, beside=second.hits)

    async def _find(self, query: str, question: Question, text: str, *, floor: float | None = None) -> Found:
        leans = query != text
        hits = await asyncio.to_thread(
            self._retriever.search,
            query,
            language=question.language,
            tenant=question.tenant,
            stress=new_part(text) if leans else "",
            context=question.said,
            floor=floor,
        )
        return Found(text, tuple(_told_less(hits, question.just_told) if leans else hits), leans)

    def _can_write(self, language: str) -> bool:
        if self._settings.dialogue.compose == "extract":
            return False
        return self._generator.languages is None or language in self._generator.languages


def _shown(passage: Passage) -> PromptPassage:
    return PromptPassage(passage.entry_id, passage.title, passage.text)


def _confidence(found: Found) -> float:
    return found.hits[0].confidence if found.hits else 0.0


def _told_less(hits: Sequence[Hit], just_told: Collection[str]) -> list[Hit]:
    """The hits anew in order: who asks on mostly wants something else than what the last answer said, near as it is."""
    less = [
        replace(hit, confidence=TOLD_WEIGHT * hit.confidence) if hit.passage.entry_id in just_told else hit
        for hit in hits
    ]
    return sorted(less, key=lambda hit: hit.confidence, reverse=True)
