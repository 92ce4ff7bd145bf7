"""Which texts are embedded, what is embedded again, and which entries belong together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assistant.retrieval.embedding import Encoders
from assistant.retrieval.entries import Knowledge
from assistant.retrieval.index import EncoderIdentity, Group, build_index, parts_for
from assistant.retrieval.parts import MAX_PIECES, SENTENCE_UNITS, Part, form_of, parts_of
from tests.retrieval.entries import entry
from tests.retrieval.hashing import HashingEncoder, hashing_encoders

pytestmark = pytest.mark.unit


def test_an_entry_is_embedded_whole_and_by_its_parts() -> None:
    made = entry("Can I return it?", "Yes, within 30 days.", wordings=("send it back",))
    assert parts_of(made) == [
        Part("answer", "Can I return it?\nYes, within 30 days."),
        Part("question", "Can I return it?"),
        Part("wording", "send it back"),
        Part("answer", "Yes, within 30 days."),
    ]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (entry("", "Only an answer."), [Part("answer", "Only an answer.")]),
        (entry("Only a question?", ""), [Part("question", "Only a question?")]),
        (entry("", ""), [Part("question", "")]),
    ],
)
def test_question_or_answer_may_be_missing(made: object, expected: list[Part]) -> None:
    assert parts_of(made) == expected  # type: ignore[arg-type]


def test_a_text_without_a_question_has_a_vector_for_each_sentence() -> None:
    first = " ".join(["word"] * SENTENCE_UNITS) + "."
    parts = parts_of(entry("", f"{first} Two short. Ones together.\nThe end of it. 第一句话在这里。"))
    pieces = [part.text for part in parts[1:]]
    assert pieces[0] == first
    assert pieces[1].startswith("Two short. Ones together.")
    assert parts[0].text.startswith(first)


def test_a_long_document_is_cut_into_a_bounded_number_of_pieces() -> None:
    sentences = " ".join(f"This is the sentence number {number}." for number in range(2_000))
    parts = parts_of(entry("Manual > Cleaning", sentences, kind="document"))
    assert MAX_PIECES // 2 < len(parts) <= MAX_PIECES + 3
    assert sum(part.text.count("sentence") for part in parts if part.field == "answer") == 2 * 2_000


def test_a_document_is_a_text_and_a_curated_question_is_a_question() -> None:
    assert form_of([entry("Returns", "...", kind="document")]) == "text"
    assert form_of([entry("", "...")]) == "text"
    bare, taught = entry("How do I return it?", "..."), entry("How?", "...", wordings=tuple("abcdefgh"))
    assert form_of([bare]) == "question"
    assert form_of([bare, taught]) == "taught"
    assert form_of([bare, bare, taught]) == "question"


def test_the_english_encoder_leaves_out_what_it_cannot_read(encoders: Encoders) -> None:
    entries = [entry("Hallo?", "Ja.", lang="de"), entry("Hello?", "Yes."), entry("你好？", "是。", lang="zh")]
    index = build_index(Knowledge.of(entries, ()), encoders)
    assert [bool(parts) for parts in parts_for("english", index.entries)] == [False, True, True]
    assert (len(index.tables["english"]), len(index.tables["multilingual"])) == (6, 9)


def test_entries_are_grouped_by_tenant_language_and_form(encoders: Encoders) -> None:
    entries = [
        entry("Q?", "A", id="1", tenant="b"),
        entry("", "text", id="2"),
        entry("问？", "答", id="3", lang="zh"),
        entry("Q?", "A", id="4"),
    ]
    index = build_index(Knowledge.of(entries, ()), encoders)
    assert index.groups == (
        Group("", "en", "question", 0, 1),
        Group("", "en", "text", 1, 2),
        Group("", "zh", "question", 2, 3),
        Group("b", "en", "question", 3, 4),
    )
    assert [found.id for found in index.entries] == ["4", "2", "3", "1"]
    assert {key: len(words) for key, words in index.lexical.items()} == {("", "en"): 2, ("", "zh"): 1, ("b", "en"): 1}


def test_progress_counts_up_to_all_texts(knowledge: Knowledge, encoders: Encoders) -> None:
    seen: list[tuple[int, int]] = []
    index = build_index(knowledge, encoders, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (seen[-1][1], seen[-1][1])
    assert seen[-1][1] == len(index.tables["english"]) + len(index.tables["multilingual"])


def test_only_changed_texts_are_embedded_again(knowledge: Knowledge, encoders: Encoders) -> None:
    previous = build_index(knowledge, encoders)
    changed = [replace(knowledge.entries[0], answer="Another answer."), *knowledge.entries[1:]]
    fresh = hashing_encoders()
    index = build_index(Knowledge.of(changed, ()), fresh, previous=previous)
    assert [encoder.num_texts for encoder in (fresh.english, fresh.multilingual)] == [2, 2]  # type: ignore[attr-defined]
    anew = build_index(Knowledge.of(changed, ()), hashing_encoders())
    assert index.tables["english"].to_bytes() == anew.tables["english"].to_bytes()
    assert index.tables["multilingual"].to_bytes() == anew.tables["multilingual"].to_bytes()


def test_an_index_of_another_encoder_lends_no_vectors(knowledge: Knowledge, encoders: Encoders) -> None:
    previous = build_index(knowledge, encoders)
    other = HashingEncoder("hash-english", dimension=192)
    other.fingerprint = "retrained"
    index = build_index(knowledge, Encoders(other, encoders.multilingual), previous=previous)
    assert other.num_texts == len({part.text for parts in parts_for("english", index.entries) for part in parts})
    assert index.encoders["english"] == EncoderIdentity.of(other)


def test_a_text_that_stands_twice_is_embedded_once(encoders: Encoders) -> None:
    entries = [entry(f"Question {number}?", "The same answer.", id=str(number)) for number in range(3)]
    build_index(Knowledge.of(entries, ()), encoders)
    assert encoders.english.num_texts == 3 + 3 + 1  # type: ignore[attr-defined]


def test_knowledge_in_a_third_language_only_can_be_indexed() -> None:
    encoders = Encoders(HashingEncoder("a"), HashingEncoder("b"))
    index = build_index(Knowledge.of([entry("Où ?", "Ici.", lang="fr")], ()), encoders)
    assert (len(index.tables["english"]), len(index.tables["multilingual"])) == (0, 3)


def test_no_knowledge_at_all_gives_an_empty_index(encoders: Encoders) -> None:
    index = build_index(Knowledge.of([], ()), encoders)
    assert (len(index.tables["english"]), index.groups) == (0, ())


def test_entries_under_a_common_title_are_its_sections() -> None:
    entries = [entry("Returns", f"Paragraph {number}.", id=str(number)) for number in range(3)]
    alike = [entry("Delivery", "Here.", id="a"), entry("Delivery", "There.", id="b")]
    kinds = [one.kind for one in Knowledge.of([*entries, *alike], ()).entries]
    assert kinds == ["document", "document", "document", "faq", "faq"]
