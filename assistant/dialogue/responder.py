"""One turn, readable top to bottom: a question and its history go in, a reply with its grounds comes out.

It knows no log, no socket and no database; `manager` gives it those.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace

import structlog

from assistant.config import Settings
from assistant.conversation.events import PromptPassage
from assistant.dialogue import prompt, replies
from assistant.dialogue.context import fit, new_part, standalone
from assistant.dialogue.draft import Draft, Sink, Stopwatch
from assistant.dialogue.grounding import Grounds, Span, quote
from assistant.dialogue.handoff import email_address, wants_person
from assistant.dialogue.policy import Plan, decide
from assistant.dialogue.prompt import Exchange
from assistant.dialogue.smalltalk import pleasantry
from assistant.dialogue.turn import Generator, Question, Reply, Retriever
from assistant.errors import GenerationError
from assistant.values import ChatMessage, Hit, Passage, Sampling

log = structlog.get_logger()


class Responder:
    """Answers questions: small talk, a person, a curated text, a composed one, or none."""

    def __init__(self, retriever: Retriever, generator: Generator, settings: Settings) -> None:
        self._retriever = retriever
        self._generator = generator
        self._settings = settings

    @property
    def generator(self) -> Generator:
        """The model that composes."""
        return self._generator

    async def respond(self, question: Question, sink: Sink) -> Reply:
        """Answer one question. Cancelling it stops the model at the next token; `sink` has what was released."""
        clock = Stopwatch()
        reply = self._without_search(question) or await self._with_search(question, sink, clock)
        return replace(reply, timings_ms=clock.finish())

    async def _with_search(self, question: Question, sink: Sink, clock: Stopwatch) -> Reply:
        sink.enter("searching")
        query = standalone(question.text, question.earlier)
        hits = await self._search(query, question)
        clock.mark("search")
        can_write = self._can_write(question.language)
        plan = decide(hits, language=question.language, can_write=can_write, settings=self._settings.dialogue)
        if plan.decision == "abstained":
            return self._abstain(question, plan)
        if plan.decision == "verbatim":
            return self._curated(question, plan)
        sink.enter("writing")
        return await self._compose(question, query, plan, sink, clock)

    # -- without the model

    def _without_search(self, question: Question) -> Reply | None:
        """Small talk, a wish for a person, an e-mail address while one waits: nothing to look up."""
        said = self._fixed_language(question)
        if question.mode == "waiting" and (address := email_address(question.text)):
            text = replies.address_taken(said, address)
            return Reply(text, said, "handoff", "the customer left an e-mail address while waiting for a person")
        if wants_person(question.text):
            text = replies.hand_over(said, self._settings.handoff)
            return Reply(text, said, "handoff", "the customer asked for a person")
        if kind := pleasantry(question.text):
            text = replies.pleasantry(kind, said, self._settings.brand)
            return Reply(text, said, "smalltalk", f"nothing but a {kind}")
        return None

    def _abstain(self, question: Question, plan: Plan) -> Reply:
        said = self._fixed_language(question)
        text = replies.abstain(said, self._settings.handoff)
        ask = (replies.TALK_TO_A_PERSON[said],)
        return Reply(text, said, "abstained", plan.reason, plan.confidence, quick_replies=ask)

    def _curated(self, question: Question, plan: Plan, *, because: str = "") -> Reply:
        """The best entry's answer as it was written, introduced where it may not be what was asked."""
        best = plan.hits[0]
        lead = self._lead(question, best)
        start = len(lead)
        whole = Span(best.passage.text, 0, len(best.passage.text))
        return Reply(
            lead + best.passage.text,
            best.passage.lang,
            "verbatim",
            f"{plan.reason}; {because}" if because else plan.reason,
            plan.confidence,
            citations=(quote(best.passage, whole, start, start + len(whole.text)),),
        )

    def _lead(self, question: Question, best: Hit) -> str:
        if best.passage.lang != question.language and question.language not in ("en", "zh"):
            return f"{replies.other_language()}\n\n"
        if best.confidence >= self._settings.dialogue.verbatim:
            return ""
        language = replies.written(best.passage.lang, self._settings.default_language)
        return f"{replies.closest(language, best.passage.title)}\n\n"

    # -- with the model

    async def _compose(self, question: Question, query: str, plan: Plan, sink: Sink, clock: Stopwatch) -> Reply:
        """Let the model write from the passages; what they do not support is not sent."""
        passages = tuple(_shown(hit.passage) for hit in plan.hits)
        messages = self._prompt(question, query, passages)
        draft = Draft(Grounds([hit.passage for hit in plan.hits], [*question.earlier, question.text]), sink, clock)
        try:
            async with asyncio.timeout(self._settings.dialogue.turn_timeout_s):
                await self._write(messages, draft)
        except (GenerationError, TimeoutError) as error:
            log.warning("generation_failed", cause=type(error).__name__)
            draft.end("error", f"the model failed ({type(error).__name__})")
        if not draft.text or not draft.citations:
            return self._curated(question, plan, because=draft.reason or "the model's text claimed nothing")
        return Reply(
            draft.text.rstrip(),
            question.language,
            "composed",
            f"{plan.reason}; {draft.reason}" if draft.reason else plan.reason,
            plan.confidence,
            tuple(draft.citations),
            finish_reason=draft.finish_reason,
            passages=passages,
            prompt_id=prompt.prompt_id(messages),
        )

    async def _write(self, messages: Sequence[ChatMessage], draft: Draft) -> None:
        stream = self._generator.stream(messages, sampling=self._sampling())
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                if not draft.take(piece):
                    return

    def _prompt(self, question: Question, query: str, passages: Sequence[PromptPassage]) -> list[ChatMessage]:
        def cost(turn: Exchange) -> int:
            return self._generator.count(prompt.exchange_messages(turn))

        kept = fit(question.history, budget=self._settings.dialogue.history_tokens, cost=cost)
        return prompt.assemble(self._brand_name(), kept, query, passages)

    def _sampling(self) -> Sampling:
        chosen = self._settings.generation
        return Sampling(
            temperature=chosen.temperature,
            top_p=chosen.top_p,
            top_k=chosen.top_k,
            repetition_penalty=chosen.repetition_penalty,
            max_new_tokens=chosen.max_new_tokens,
        )

    async def _search(self, query: str, question: Question) -> list[Hit]:
        is_follow_up = query != question.text
        stress = new_part(question.text) if is_follow_up else ""
        hits = await asyncio.to_thread(self._retriever.search, query, language=question.language, stress=stress)
        if not is_follow_up:
            return hits
        # Who asks on wants something else than what the last answer said, near as that entry is.
        return [hit for hit in hits if hit.passage.entry_id not in question.just_told] or hits

    def _can_write(self, language: str) -> bool:
        return self._generator.languages is None or language in self._generator.languages

    def _fixed_language(self, question: Question) -> replies.Written:
        return replies.written(question.language, self._settings.default_language)

    def _brand_name(self) -> str:
        # One name in every prompt: a conversation may change its language, its prompt's beginning may not.
        return replies.local(self._settings.brand.name, "en")


def _shown(passage: Passage) -> PromptPassage:
    return PromptPassage(passage.entry_id, passage.title, passage.text)
