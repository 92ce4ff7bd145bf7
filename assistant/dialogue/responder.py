"""One turn, readable top to bottom: a question and its history go in, a reply with its grounds comes out.

It knows no log, no socket and no database; `manager` gives it those.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Sequence
from contextlib import aclosing
from dataclasses import replace

import structlog

from assistant.config import BUILT_IN_CHAT_MODEL, Settings
from assistant.conversation.events import Decision, PromptPassage
from assistant.dialogue import prompt, replies
from assistant.dialogue.asking import is_bare
from assistant.dialogue.context import fit, new_part, reminded, standalone
from assistant.dialogue.correction import corrected
from assistant.dialogue.draft import Draft, Sink, Stopwatch
from assistant.dialogue.extract import Composition
from assistant.dialogue.grounding import Grounds
from assistant.dialogue.handoff import address_left, wants_person
from assistant.dialogue.ladder import Ladder
from assistant.dialogue.mood import is_furious
from assistant.dialogue.output_filter import OutputGuard
from assistant.dialogue.parts import Message, query_for, take_apart
from assistant.dialogue.policy import CLAUSE_FLOOR, PART_FLOOR, PLAUSIBLE, Found, Plan, decide
from assistant.dialogue.prompt import Exchange, Voice
from assistant.dialogue.smalltalk import pleasantry
from assistant.dialogue.turn import ActionTaker, Generator, Question, Reader, Reply, Retriever
from assistant.dialogue.wording import Wording
from assistant.errors import GenerationError
from assistant.language import fold
from assistant.values import ChatMessage, Concern, Hit, Passage, Reading, Sampling

log = structlog.get_logger()

STUCK = "no answer twice in a row"
URGENT = "no answer to an urgent message"
# So many of the customer's messages before support what is said to them.
GROUNDING_MESSAGES = 40
"""How the reason of a hand-over begins that stands for a second abstention."""

# What asks something itself, or hands the conversation over.
NOT_REMINDED_AFTER: frozenset[Decision] = frozenset({"action", "handoff", "clarified"})
# Another wording needs chance; the first one does better without.
REWORDING_TEMPERATURE = 0.7
# How much an entry that was just told counts for a follow-up: of 52 that refer to what was said, 45 found the right
# entry, and 39 with 0.6.
TOLD_WEIGHT = 0.85
# Who corrects what was asked has just been told the wrong thing.
CORRECTED_WEIGHT = 0.6
# How much the question before counts for a short one that does not refer to it and is not sure by itself. It lifted
# the first hit from 12 to 17 right in 24 follow-ups, and lowered it from 152 to 150 in 173 short questions that came
# after an unrelated one.
REMINDED_WEIGHT = 0.7
SURE = 0.9
LEAST = 0.03
# From this resemblance to a concern on, a question is only answered where the search is as sure as this,
DOUBTED_SCORE = 0.4
DOUBTED_CONFIDENCE = 0.65
# and one that resembles these, but no more than so, where the search is as sure as that: "does the police get my
# data?" is the shop's business if its FAQ says so. Of 3,185 attacks one more is answered for it, with 0.9 and
# without a limit to the resemblance 21 more.
RESEMBLED: frozenset[Concern] = frozenset({"harm", "abuse"})
MOST_RESEMBLANCE = 0.75
CERTAIN = 0.95
# What it finds alone, where together with the one before another entry comes first: of 16 found at 0.9 and more, 11
# were right.
DISPUTED_WEIGHT = 0.8


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
        self._retriever = retriever
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
        whole, parts = await self._search(query, question)
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

    # -- searching

    async def _search(self, query: str, question: Question) -> tuple[Found, list[Found]]:
        """What is found for the whole message, and for each of its questions where it asks several."""
        message = await asyncio.to_thread(take_apart, question.text)
        if message.is_compound:
            whole = await self._find(query, question, question.text)
            return whole, [await self._find_part(part, message, question) for part in message.questions]
        if query != question.text:
            return await self._find(query, question, question.text), []
        with_previous = reminded(question.text, question.earlier)
        if with_previous:
            return await self._find_reminded(with_previous, question), []
        if message.clauses:
            return await self._find_with_clauses(message.clauses, question), []
        return await self._find(query, question, question.text), []

    async def _find_reminded(self, with_previous: str, question: Question) -> Found:
        """What is found for a short question alone and together with the one before it, each entry as both make it."""
        floor = self._settings.retrieval.floor
        alone = await self._find(question.text, question, question.text, floor=LEAST)
        joined = await self._hits(with_previous, question, stress=question.text, floor=LEAST)
        is_disputed = joined and alone.hits and joined[0].passage.entry_id != alone.hits[0].passage.entry_id
        if _confidence(alone) >= SURE:
            weight = DISPUTED_WEIGHT if is_disputed else 1.0
            return replace(alone, hits=_at_least(floor, [_weighed(hit, weight) for hit in alone.hits]))
        return replace(alone, hits=_at_least(floor, _pooled(alone.hits, joined)), leans=bool(is_disputed))

    async def _find_with_clauses(self, clauses: Sequence[str], question: Question) -> Found:
        """What is found for the whole message, and beside it what each of its clauses finds first."""
        found = await self._find(question.text, question, question.text, floor=PLAUSIBLE)
        alone = [await self._find(clause, question, clause, floor=CLAUSE_FLOOR) for clause in clauses]
        likely = tuple(hit for hit in found.hits if hit.confidence >= self._settings.retrieval.floor)
        first = tuple(hit for each in alone for hit in each.hits[:1])
        return replace(found, hits=likely, beside=first, plausible=found.hits)

    async def _find_part(self, part: str, message: Message, question: Question) -> Found:
        """What is found for a question alone, and beside it what is found together with what is said around it."""
        query = query_for(part, message)
        within = await self._find(query, question, part, floor=PART_FLOOR)
        if query == part or is_bare(part):
            return within
        alone = await self._find(part, question, part, floor=PART_FLOOR)
        first, second = sorted((alone, within), key=_confidence, reverse=True)
        return replace(first, beside=second.hits)

    async def _find(self, query: str, question: Question, text: str, *, floor: float | None = None) -> Found:
        leans = query != text
        hits = await self._hits(query, question, stress=new_part(text) if leans else "", floor=floor)
        weight = CORRECTED_WEIGHT if corrected(text) else TOLD_WEIGHT
        return Found(text, tuple(_told_less(hits, question.just_told, weight) if leans else hits), leans)

    async def _hits(self, query: str, question: Question, *, stress: str, floor: float | None) -> list[Hit]:
        return await asyncio.to_thread(
            self._retriever.search,
            query,
            language=question.language,
            tenant=question.tenant,
            stress=stress,
            context=question.said,
            floor=floor,
        )

    def _can_write(self, language: str) -> bool:
        compose = self._settings.dialogue.compose
        if compose == "extract" or (compose == "auto" and self._is_untrained):
            return False
        return self._generator.languages is None or language in self._generator.languages


def _concern_of(reading: Reading, whole: Found) -> Concern | None:
    """What a message resembles, unless the search says that it is the shop's business all the same."""
    if reading.concern:
        return reading.concern if _confidence(whole) < CERTAIN else None
    return "harm" if reading.concern_score >= DOUBTED_SCORE and _confidence(whole) < DOUBTED_CONFIDENCE else None


def _shown(passage: Passage) -> PromptPassage:
    return PromptPassage(passage.entry_id, passage.title, passage.text)


def _confidence(found: Found) -> float:
    return found.hits[0].confidence if found.hits else 0.0


def _pooled(alone: Sequence[Hit], joined: Sequence[Hit]) -> list[Hit]:
    """The hits of two searches, each entry as likely as both make it (logarithmic pooling; Genest & Zidek 1986)."""
    hits = {hit.passage.entry_id: hit for hit in (*joined, *alone)}
    log_odds = dict.fromkeys(hits, 0.0)
    for found, weight in ((alone, 1 - REMINDED_WEIGHT), (joined, REMINDED_WEIGHT)):
        sure = {hit.passage.entry_id: hit.confidence for hit in found}
        for entry_id in hits:
            odds = min(max(sure.get(entry_id, 0.0), LEAST), 1 - LEAST)
            log_odds[entry_id] += weight * math.log(odds / (1 - odds))
    pooled = [replace(hit, confidence=1 / (1 + math.exp(-log_odds[entry_id]))) for entry_id, hit in hits.items()]
    return sorted(pooled, key=lambda hit: hit.confidence, reverse=True)


def _told_less(hits: Sequence[Hit], just_told: Collection[str], weight: float) -> list[Hit]:
    """The hits anew in order: who asks on may want something else than what the last answer said, near as it is."""
    less = [_weighed(hit, weight) if hit.passage.entry_id in just_told else hit for hit in hits]
    return sorted(less, key=lambda hit: hit.confidence, reverse=True)


def _weighed(hit: Hit, weight: float) -> Hit:
    return replace(hit, confidence=weight * hit.confidence)


def _at_least(floor: float, hits: Sequence[Hit]) -> tuple[Hit, ...]:
    return tuple(hit for hit in hits if hit.confidence >= floor)
