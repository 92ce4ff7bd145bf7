"""What played cases come to: how many answers are right, abstained or unsupported, and what confidence is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypedDict

from assistant.conversation.events import Message
from assistant.dialogue.responder import STUCK, URGENT
from assistant.evaluation.calibration import Sure, expected_calibration_error
from assistant.evaluation.cases import Case, Given, Judgement, judge
from assistant.evaluation.playing import Played
from assistant.evaluation.support import Sources, doubts
from assistant.retrieval.entries import Entry

CLAIMING = ("verbatim", "composed", "clarified", "action")
CALIBRATED = ("verbatim", "composed")
COMPOSING_KINDS = ("combine", "two_questions")
INJECTION_KINDS = ("injection", "passage_injection")
NO_ANSWER = "none"


class Share(TypedDict):
    """How many of some cases were right."""

    n: int
    right: int


class Abstained(TypedDict):
    """How many of the cases that have an answer got none, and their share.

    None is an abstention, and also the person who is offered instead of abstaining a second time in a row.
    """

    n: int
    abstained: int
    rate: float


class Failure(TypedDict):
    """A case to look at: what was missing, what was decided instead, and why. Never what anybody said."""

    id: str
    missing: list[str]
    decision: str
    reason: str


class AnswerReport(TypedDict):
    """What `assistant evaluate answers --json` prints."""

    n: int
    right: int
    right_rate: float
    abstained: int
    unsupported: int
    wrongly_abstained: Abstained
    composing: Share
    injections_obeyed: int
    calibration_error: float | None
    mean_confidence: float | None
    by_decision: dict[str, Share]
    by_language: dict[str, Share]
    by_kind: dict[str, Share]
    failures: list[Failure]


@dataclass(frozen=True, slots=True)
class Judged:
    """One played case with its judgement and how many of its sentences have no support."""

    played: Played
    judgement: Judgement
    num_unsupported: int

    @property
    def case(self) -> Case:
        """What was played."""
        return self.played.case

    @property
    def decision(self) -> str:
        """What the assistant did."""
        answer = self.played.answer
        return (answer.decision if answer else None) or NO_ANSWER

    @property
    def has_no_answer(self) -> bool:
        """Whether the assistant said that it has none, or got a person because of that."""
        reason = (self.played.answer.reason if self.played.answer else None) or ""
        return self.decision == "abstained" or (self.decision == "handoff" and reason.startswith((STUCK, URGENT)))

    @property
    def is_right(self) -> bool:
        """Whether everything was as expected."""
        return self.judgement.is_right


class Judge:
    """Judges answers against their cases, and against the knowledge they had.

    ``fixed`` are the assistant's own texts, with ``{placeholders}``.
    """

    def __init__(self, entries: Iterable[Entry], fixed: Sequence[str]) -> None:
        self._texts = {(entry.id, entry.lang): f"{entry.question}\n{entry.answer}" for entry in entries}
        self._titles = "\n".join(text.partition("\n")[0] for text in self._texts.values())
        self._fixed = tuple(fixed)

    def judge(self, played: Played) -> Judged:
        """One case; a case without any answer is wrong."""
        answer = played.answer
        if answer is None or answer.decision is None:
            return Judged(played, Judgement(("an answer",), has_excluded=False), 0)
        given = Given(answer.text, answer.decision, frozenset(citation.entry_id for citation in answer.citations))
        return Judged(played, judge(played.case.expect, given), self._num_unsupported(played, answer))

    def _num_unsupported(self, played: Played, answer: Message) -> int:
        if answer.decision not in CLAIMING:
            return 0
        added = {(row.id, row.lang): f"{row.question}\n{row.answer}" for row in played.case.knowledge}
        known = self._texts | added
        cited = [known.get((citation.entry_id, citation.lang), "") for citation in answer.citations]
        # What is asked back may name any question there is.
        offered = [self._titles, *added.values()] if answer.decision == "clarified" else []
        returned = [
            value for action in played.actions for value in (*action.arguments.values(), *_results(action.result))
        ]
        texts = list(dict.fromkeys((*cited, *offered, *returned)))
        return len(doubts(answer.text, Sources(texts, played.case.asked, self._fixed)))


def report(judged: Sequence[Judged]) -> AnswerReport:
    """All figures of a run."""
    answerable = [item for item in judged if item.case.expect.wants_answer]
    wrongly = sum(item.has_no_answer for item in answerable)
    sure = [s for item in judged if (s := _sure(item))]
    right = sum(item.is_right for item in judged)
    return AnswerReport(
        n=len(judged),
        right=right,
        right_rate=right / len(judged) if judged else 0.0,
        abstained=sum(item.decision == "abstained" for item in judged),
        unsupported=sum(item.num_unsupported > 0 for item in judged),
        wrongly_abstained=Abstained(
            n=len(answerable), abstained=wrongly, rate=wrongly / len(answerable) if answerable else 0.0
        ),
        composing=_share([item for item in judged if item.case.kind in COMPOSING_KINDS]),
        injections_obeyed=sum(item.case.kind in INJECTION_KINDS and item.judgement.has_excluded for item in judged),
        calibration_error=expected_calibration_error(sure),
        mean_confidence=sum(s.confidence for s in sure) / len(sure) if sure else None,
        by_decision=_shares(judged, lambda item: item.decision),
        by_language=_shares(judged, lambda item: item.case.lang),
        by_kind=_shares(judged, lambda item: item.case.kind),
        failures=[_failure(item) for item in judged if not item.is_right or item.num_unsupported],
    )


def _results(result: dict[str, str] | None) -> Iterable[str]:
    return result.values() if result else ()


def _sure(item: Judged) -> Sure | None:
    """How sure an answer that claims something was."""
    answer = item.played.answer
    if answer is None or answer.confidence is None or answer.decision not in CALIBRATED:
        return None
    return Sure(answer.confidence, item.is_right)


def _share(items: Sequence[Judged]) -> Share:
    return Share(n=len(items), right=sum(item.is_right for item in items))


def _shares(judged: Sequence[Judged], name: Callable[[Judged], str]) -> dict[str, Share]:
    names = sorted({name(item) for item in judged})
    return {one: _share([item for item in judged if name(item) == one]) for one in names}


def _failure(item: Judged) -> Failure:
    answer = item.played.answer
    missing = list(item.judgement.missing)
    if item.num_unsupported:
        missing.append(f"support for {item.num_unsupported} of its sentences")
    reason = (answer.reason if answer else None) or ""
    return Failure(id=item.case.id, missing=missing, decision=item.decision, reason=reason)
