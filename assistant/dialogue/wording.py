"""What the assistant says without its model: fixed texts, curated answers, the passages' own sentences."""

from __future__ import annotations

from assistant.config import BrandSettings, HandoffSettings, Settings, Tone
from assistant.dialogue import replies
from assistant.dialogue.extract import Composition
from assistant.dialogue.links import without_foreign
from assistant.dialogue.policy import Plan
from assistant.dialogue.rewording import reworded
from assistant.dialogue.safety import fixed_reply
from assistant.dialogue.smalltalk import Pleasantry
from assistant.dialogue.turn import Question, Reply
from assistant.values import Concern, Hit


class Wording:
    """Replies in the brand's tone and the customer's language; another attempt at a question is worded otherwise."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    # -- fixed texts

    def pleasantry(self, question: Question, kind: Pleasantry) -> Reply:
        """The answer to small talk."""
        said = self._language(question)
        brand = replies.local(self._brand(question).name, said)
        text = replies.say(kind, said, tone=self._tone, attempt=question.attempt, brand=brand)
        return Reply(text, said, "smalltalk", f"nothing but a {kind}")

    def address_taken(self, question: Question, address: str) -> Reply:
        """The customer's e-mail address is noted."""
        said = self._language(question)
        text = replies.say("address_taken", said, tone=self._tone, address=address)
        return Reply(text, said, "handoff", "the customer left an e-mail address while waiting for a person")

    def concerned(self, question: Question, concern: Concern) -> Reply:
        """What is not answered like any other message."""
        said = self._language(question)
        again = concern == "abuse" and list(question.past[-1:]) == ["abstained"] and not question.was_unanswered
        fixed = fixed_reply(concern, said, self._handoff(question), repeated=again)
        ask = (replies.TALK_TO_A_PERSON[said],) if fixed.wants_person else ()
        return Reply(fixed.text, said, fixed.decision, fixed.reason, quick_replies=ask)

    def hand_over(self, question: Question, because: str, reason: str) -> Reply:
        """A person takes over; ``because`` is a key of ``replies.toml``."""
        said = self._language(question)
        text = replies.hand_over(said, self._handoff(question), because=because, tone=self._tone)
        return Reply(text, said, "handoff", reason)

    # -- answers

    def abstain(self, question: Question, plan: Plan) -> Reply:
        """No answer, and the offer of a person."""
        said = self._language(question)
        text = replies.abstain(said, self._handoff(question), tone=self._tone, attempt=question.attempt)
        ask = (replies.TALK_TO_A_PERSON[said],)
        return Reply(text, said, "abstained", plan.reason, plan.confidence, quick_replies=ask)

    def clarify(self, question: Question, plan: Plan) -> Reply:
        """Which entry is meant, each as a button."""
        said = self._language(question)
        titles = tuple(hit.passage.title for hit in plan.hits if hit.passage.lang == said)
        text = replies.clarify(said, titles, tone=self._tone, attempt=question.attempt)
        ask = (*titles, replies.TALK_TO_A_PERSON[said])
        return Reply(text, said, "clarified", plan.reason, plan.confidence, quick_replies=ask)

    def curated(self, question: Question, plan: Plan, *, because: str = "") -> Reply:
        """The best entry's answer as it was written, introduced where it may not be what was asked."""
        best = plan.hits[0]
        answer = Composition()
        if question.attempt:
            self._tell_again(answer, question, best)
        else:
            answer.say(self._lead(question, best))
            answer.tell(best, question.text, heading=False)
        reason = f"{plan.reason}; {because}" if because else plan.reason
        return Reply(
            answer.text,
            best.passage.lang,
            "verbatim",
            reason,
            plan.confidence,
            citations=tuple(answer.citations),
            quick_replies=self._instead(plan),
        )

    def _instead(self, plan: Plan) -> tuple[str, ...]:
        """What else may have been meant, where the best is not sure."""
        best, *others = plan.hits
        if best.confidence >= self._settings.dialogue.verbatim:
            return ()
        return tuple(hit.passage.title for hit in others if hit.passage.lang == best.passage.lang)

    def extracted(self, question: Question, plan: Plan, *, because: str = "") -> Reply:
        """What each passage says about its part of the question, in the passages' own words."""
        if len(plan.hits) == 1 and not plan.unknown and plan.hits[0].passage.kind == "faq":
            return self.curated(question, plan, because=because)
        answer = Composition()
        if question.attempt:
            answer.say(self._again(question, plan.hits[0], "again"))
        for hit in plan.hits:
            if question.attempt and hit.passage.kind == "faq":
                answer.say(f"**{hit.passage.title}**" if len(plan.hits) > 1 else "")
                again = reworded(hit.passage, question.text, attempt=question.attempt, may_shorten=False)
                answer.tell_again(hit, again)
            else:
                answer.tell(hit, question.text, heading=len(plan.hits) > 1)
        reason = f"{plan.reason}; {because}" if because else plan.reason
        return self.composed(question, plan, answer, reason)

    def _tell_again(self, answer: Composition, question: Question, best: Hit) -> None:
        """The same answer in another layout, and where it is shortened the words that say so."""
        again = reworded(best.passage, question.text, attempt=question.attempt)
        is_foreign = best.passage.lang != question.language and question.language not in ("en", "zh")
        key = "again" if again.layout == "whole" else f"again_{again.layout}"
        answer.say(replies.other_language() if is_foreign else self._again(question, best, key))
        answer.tell_again(best, again)

    def _lead(self, question: Question, best: Hit) -> str:
        if best.passage.lang != question.language and question.language not in ("en", "zh"):
            return replies.other_language()
        if best.confidence >= self._settings.dialogue.verbatim:
            return ""
        language = replies.written(best.passage.lang, self._settings.default_language)
        return replies.say("closest", language, tone=self._tone, title=best.passage.title)

    def _again(self, question: Question, best: Hit, key: str) -> str:
        language = replies.written(best.passage.lang, self._settings.default_language)
        return replies.say(key, language, tone=self._tone, attempt=question.attempt - 1)

    def composed(self, question: Question, plan: Plan, answer: Composition, reason: str) -> Reply:
        """An answer put together, with what it leaves open."""
        said = self._language(question)
        for part in plan.unknown:
            words = without_foreign(part, allowed=())  # the customer's: they are no links of ours
            answer.say(replies.say("part_unknown", said, tone=self._tone, part=words))
        ask = (replies.TALK_TO_A_PERSON[said],) if plan.unknown else ()
        language = plan.hits[0].passage.lang
        cited = tuple(answer.citations)
        return Reply(answer.text, language, "composed", reason, plan.confidence, cited, quick_replies=ask)

    # -- whose words

    @property
    def _tone(self) -> Tone:
        return self._settings.style.tone

    def _language(self, question: Question) -> replies.Written:
        return replies.written(question.language, self._settings.default_language)

    def _brand(self, question: Question) -> BrandSettings:
        return self._settings.brand_of(question.tenant)

    def _handoff(self, question: Question) -> HandoffSettings:
        return self._settings.handoff_of(question.tenant)
