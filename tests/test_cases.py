"""The answer cases of the demo knowledge base say what its entries say."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Literal, get_args

import pytest
from pydantic import BaseModel, ConfigDict, Field

from assistant.conversation.events import Decision
from assistant.evaluation.cases import load_cases
from assistant.retrieval.sources import load_knowledge
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.unit

KNOWLEDGE_BASE = REPOSITORY / "knowledge_base"
Language = Literal["en", "zh"]
ANSWERS: set[str] = {"verbatim", "composed"}
SEVERAL_ENTRIES = {"combine", "two_questions"}


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Turn(Strict):
    role: Literal["customer"]
    text: str = Field(min_length=1, max_length=1000)


class Expectation(Strict):
    """``entry_ids`` and ``include`` must all hold; a list among them holds where any of its elements does."""

    entry_ids: list[str | list[str]]
    include: list[str | list[str]]
    exclude: list[str]
    decision: Decision | list[Decision]


class ExtraEntry(Strict):
    id: str
    lang: Language
    question: str
    answer: str


class Case(Strict):
    id: str
    lang: Language
    kind: str
    turns: list[Turn] = Field(min_length=1)
    expect: Expectation
    knowledge: list[ExtraEntry] = []

    @property
    def decisions(self) -> set[str]:
        decision = self.expect.decision
        return set(decision) if isinstance(decision, list) else {decision}


def alternatives(element: str | list[str]) -> list[str]:
    return element if isinstance(element, list) else [element]


def folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def holds(element: str | list[str], text: str) -> bool:
    """Whether one of the facts stands in the folded text, and not as a part of a longer number."""
    return any(re.search(rf"(?<!\d)(?<!\d[.,]){re.escape(folded(one))}(?!\d)", text) for one in alternatives(element))


def read(path: Path) -> list[Case]:
    return [Case.model_validate_json(line) for line in path.read_text(encoding="utf-8").splitlines()]


CASES_OF = {path: read(path) for path in sorted((KNOWLEDGE_BASE / "cases").glob("*.jsonl"))}
CASES = [case for cases in CASES_OF.values() for case in cases]
ENTRIES = load_knowledge(KNOWLEDGE_BASE).entries
ANSWER_OF = {(entry.lang, entry.id): folded(entry.answer) for entry in ENTRIES}


def answers_for(case: Case) -> dict[str, str]:
    """What may be cited in this case: the knowledge base in the customer's language, and the case's own entries."""
    shared = {entry_id: answer for (lang, entry_id), answer in ANSWER_OF.items() if lang == case.lang}
    return shared | {entry.id: folded(entry.answer) for entry in case.knowledge}


def test_the_evaluation_reads_every_case() -> None:
    assert [case.id for case in load_cases([KNOWLEDGE_BASE / "cases"])] == [case.id for case in CASES]


def test_there_are_enough_cases_in_both_languages() -> None:
    languages = Counter(case.lang for case in CASES)
    assert len(CASES) >= 200
    assert languages["zh"] >= 0.45 * len(CASES)
    assert languages["en"] >= 0.45 * len(CASES)


def test_every_kind_is_asked_in_both_languages() -> None:
    asked = {(case.kind, case.lang) for case in CASES}
    assert {(kind, lang) for kind, _ in asked for lang in get_args(Language)} == asked


def test_at_least_forty_cases_need_more_than_one_entry() -> None:
    assert sum(case.kind in SEVERAL_ENTRIES for case in CASES) >= 40


def test_every_entry_is_asked_for_in_its_language() -> None:
    asked = {(case.lang, entry_id) for case in CASES for entry_id in named(case)}
    assert set(ANSWER_OF) - asked == set()


def test_ids_are_unique_and_begin_with_the_language() -> None:
    assert [name for name, times in Counter(case.id for case in CASES).items() if times > 1] == []
    assert all(case.id.startswith(f"{case.lang}-") for case in CASES)


def test_a_file_holds_one_language() -> None:
    for path, cases in CASES_OF.items():
        assert {case.lang for case in cases} == {path.suffixes[0].lstrip(".")}, path.name


def test_no_two_cases_ask_the_same() -> None:
    asked = Counter(tuple(folded(turn.text) for turn in case.turns) for case in CASES)
    assert [turns for turns, times in asked.items() if times > 1] == []


def test_no_customer_uses_the_wording_of_an_entry() -> None:
    """A case that copies an entry's own question measures nothing."""
    bare = re.compile(r"[\W_]+")
    taken = {bare.sub("", folded(text)) for entry in ENTRIES for text in (entry.question, *entry.wordings)}
    said = {(case.id, bare.sub("", folded(turn.text))) for case in CASES for turn in case.turns}
    assert [(name, text) for name, text in said if text in taken] == []


def test_expected_entries_exist_in_the_customers_language() -> None:
    unknown = {case.id: named(case) - set(answers_for(case)) for case in CASES}
    assert {name: ids for name, ids in unknown.items() if ids} == {}


def test_expected_facts_stand_in_whichever_of_the_expected_entries_is_cited() -> None:
    missing = {case.id: missing_facts(case) for case in CASES}
    assert {name: facts for name, facts in missing.items() if facts} == {}


def missing_facts(case: Case) -> list[tuple[tuple[str, ...], str | list[str]]]:
    """Each choice of entries that the case allows, with a fact it lacks; nothing where no entry is expected."""
    known = answers_for(case)
    choices = product(*map(alternatives, case.expect.entry_ids)) if case.expect.entry_ids else ()
    texts = {chosen: "\n".join(known[entry_id] for entry_id in chosen) for chosen in choices}
    return [(chosen, fact) for chosen, text in texts.items() for fact in case.expect.include if not holds(fact, text)]


def test_what_must_not_be_said_stands_in_no_expected_entry() -> None:
    spoiled = {case.id: [text for text in case.expect.exclude if is_curated(text, case)] for case in CASES}
    assert {name: texts for name, texts in spoiled.items() if texts} == {}


def is_curated(text: str, case: Case) -> bool:
    return any(folded(text) in answers_for(case)[entry_id] for entry_id in named(case))


def test_a_case_expects_either_an_answer_with_facts_or_none() -> None:
    for case in CASES:
        assert case.decisions <= ANSWERS or not case.decisions & ANSWERS, case.id
        assert (case.decisions <= ANSWERS) == bool(case.expect.entry_ids), case.id
        assert case.expect.include or not case.expect.entry_ids, case.id


def test_no_single_entry_answers_a_case_that_needs_several() -> None:
    enough = {case.id: holding_every_fact(case) for case in CASES if case.kind in SEVERAL_ENTRIES}
    assert {name: ids for name, ids in enough.items() if ids} == {}


def holding_every_fact(case: Case) -> list[str]:
    known = answers_for(case).items()
    return [entry_id for entry_id, answer in known if all(holds(fact, answer) for fact in case.expect.include)]


def named(case: Case) -> set[str]:
    return {entry_id for element in case.expect.entry_ids for entry_id in alternatives(element)}
