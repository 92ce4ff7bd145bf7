"""How the systems' scores become one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.retrieval.fusion import USUAL_SPREAD, Form, blend, lexical_spread, likeness, spread, weights

pytestmark = pytest.mark.unit

LANGUAGES = st.sampled_from(["en", "zh", "de", "ja"])
FORMS: tuple[Form, ...] = ("question", "text")


@given(st.text(max_size=20), LANGUAGES, LANGUAGES, st.sampled_from(FORMS))
def test_weights_add_up_to_one_and_ask_an_encoder(query: str, asked: str, wanted: str, form: Form) -> None:
    for has_passage in (True, False):
        chosen = weights(query, asked, wanted, form, has_passage=has_passage)
        encoders = chosen.english + chosen.multilingual + chosen.passage
        assert chosen.lexical + encoders == pytest.approx(1)
        assert encoders > 0.5
        assert has_passage or not chosen.passage


@pytest.mark.parametrize("form", FORMS)
def test_between_two_languages_only_encoders_of_both_count(form: Form) -> None:
    chosen = weights("如何退货？", "zh", "en", form)
    assert (chosen.lexical, chosen.english) == (0, 0)
    alone = weights("如何退货？", "zh", "en", form, has_passage=False)
    assert (alone.lexical, alone.english, alone.multilingual) == (0, 0, 1)


def test_words_count_more_in_a_text_than_in_a_question() -> None:
    for language in ("en", "zh", "de"):
        question, text = (weights("x", language, language, form) for form in FORMS)
        assert text.lexical > question.lexical > 0


def test_without_an_encoder_for_passages_the_english_one_reads_a_chinese_question_s_latin_words() -> None:
    assert weights("台灯坏了", "zh", "zh", "question", has_passage=False).english == 0
    assert weights("lamp 坏了", "zh", "zh", "question", has_passage=False).english > 0


def test_an_encoder_whose_cosines_never_fall_low_is_stretched() -> None:
    cosines = np.array([0.75, 1.0])
    assert likeness(cosines, "multilingual-e5-small").tolist() == [0, 1]
    assert likeness(cosines, "all-minilm-l6-v2").tolist() == cosines.tolist()


def test_an_entry_s_cosine_lies_between_its_part_s_and_the_whole_s() -> None:
    for form in FORMS:
        blended = blend(np.array([0.9, 0.2]), np.array([0.5, 0.2]), form)
        assert 0.5 < blended[0] < 0.9
        assert blended[1] == pytest.approx(0.2)


def test_the_spread_of_few_entries_is_drawn_to_the_usual_one() -> None:
    assert spread(np.array([])) == spread(np.array([0.0, 0.0])[:0]) == USUAL_SPREAD
    assert spread(np.array([0.0, 1.0])) < 0.2
    assert spread(np.tile([0.0, 1.0], 5_000)) == pytest.approx(0.5, abs=0.01)


def test_no_shared_word_divides_by_one() -> None:
    assert lexical_spread(np.zeros(3)) == lexical_spread(np.zeros(0)) == 1
    assert lexical_spread(np.array([0.0, 2.0])) == 1
    assert lexical_spread(np.array([0.0, 4.0])) == 2
