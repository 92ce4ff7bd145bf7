from __future__ import annotations

import re
from typing import get_args

import pytest

from assistant.config import HandoffSettings
from assistant.dialogue.replies import Written
from assistant.dialogue.safety import FixedReply, fixed_reply
from assistant.values import Concern

pytestmark = pytest.mark.unit

HANDOFF = HandoffSettings(email="help@oak.example")
LANGUAGES: tuple[Written, ...] = ("en", "zh")


def every_reply() -> list[FixedReply]:
    return [
        fixed_reply(concern, language, HANDOFF, repeated=repeated)
        for concern in get_args(Concern)
        for language in LANGUAGES
        for repeated in (False, True)
    ]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("concern", "decision"),
    [
        ("harm", "abstained"),
        ("injection", "abstained"),
        ("abuse", "abstained"),
        ("self_harm", "handoff"),
        ("sensitive", "handoff"),
    ],
)
def test_each_concern_is_declined_or_handed_over(concern: Concern, decision: str, language: Written) -> None:
    assert fixed_reply(concern, language, HANDOFF).decision == decision


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_insult_gets_a_choice_first_and_a_person_when_it_comes_again(language: Written) -> None:
    first = fixed_reply("abuse", language, HANDOFF)
    again = fixed_reply("abuse", language, HANDOFF, repeated=True)
    assert (first.decision, first.wants_person) == ("abstained", True)
    assert (again.decision, again.wants_person) == ("handoff", False)
    assert first.text != again.text


@pytest.mark.parametrize("concern", get_args(Concern))
def test_the_reply_is_in_the_customers_language(concern: Concern) -> None:
    assert not re.search("[一-鿿]", fixed_reply(concern, "en", HANDOFF).text)
    assert re.search("[一-鿿]", fixed_reply(concern, "zh", HANDOFF).text)


def test_a_person_in_danger_reads_numbers_that_answer_there() -> None:
    english, chinese = (fixed_reply("self_harm", language, HANDOFF).text for language in LANGUAGES)
    assert set(re.findall(r"\d{3,}", english)) == {"112", "911", "988"}
    assert set(re.findall(r"\d{3,}", chinese)) == {"110", "120", "12356"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_whoever_is_handed_over_reads_how_to_reach_a_person(language: Written) -> None:
    handed_over = [reply for reply in every_reply() if reply.decision == "handoff"]
    assert handed_over
    assert all("help@oak.example" in reply.text for reply in handed_over)
    unreachable = fixed_reply("sensitive", language, HandoffSettings()).text
    assert re.search("e-mail address|邮箱", unreachable)


def test_no_reply_repeats_what_was_asked_or_leaves_a_placeholder() -> None:
    assert not [reply.text for reply in every_reply() if re.search(r"[{}]|\n{3,}", reply.text)]
