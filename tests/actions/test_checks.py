"""Declared actions that cannot work are refused when the assistant starts, by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.actions.checks import can_run_away
from assistant.actions.flow import Actions
from assistant.config import Settings, load
from assistant.errors import ConfigError
from tests.actions.customer import EXAMPLES, ScriptedCaller, changed, shipped_settings, with_actions
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.unit


@pytest.fixture
def caller() -> ScriptedCaller:
    return ScriptedCaller()


@pytest.fixture
def shop(tmp_path: Path) -> Settings:
    return shipped_settings(tmp_path)


def test_the_shipped_actions_fit_at_the_end_of_the_shipped_settings(tmp_path: Path, caller: ScriptedCaller) -> None:
    both = (REPOSITORY / "deploy" / "assistant.toml").read_text(encoding="utf-8") + EXAMPLES.read_text(encoding="utf-8")
    (tmp_path / "assistant.toml").write_text(both, encoding="utf-8")
    settings = load(tmp_path / "assistant.toml")
    Actions(settings, caller)
    assert [action.name for action in settings.actions] == ["order_status", "return_request", "callback"]


def test_every_shipped_text_is_there_in_both_languages(shop: Settings) -> None:
    for action in shop.actions:
        texts = [action.reply, action.confirm, action.not_found, action.refused, action.failure, action.when]
        texts += [slot.ask for slot in action.slots]
        texts += [option.label for slot in action.slots for option in slot.options]
        texts += [words for field in action.result.values() for words in field.values.values()]
        assert all(set(text) == {"en", "zh"} for text in texts if text)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"verify": {"email": "email"}}, "at least 2"),
        ({"verify": {"phone": "phone", "email": "email"}}, "phone identifies the customer but is no slot"),
        ({"changes": True, "confirm": {"en": "Sure?"}}, "before anybody is known"),
        ({"changes": True}, "read back"),
        ({"reply": {"en": "It is {nothing}"}}, "{nothing} cannot stand in its reply"),
        ({"call": {"url": "https://shop.example/{nothing}"}}, "{nothing} in its url is no slot"),
        ({"call": {"url": "https://shop.example/x", "headers": {"X-A": "b\nc"}}}, "cannot be set"),
        ({"call": {"url": "https://shop.example/x", "headers": {"Idempotency-Key": "1"}}}, "cannot be set"),
        ({"call": {"url": "https://shop.example/x", "headers": {"X-A": "${NOT_SET_ANYWHERE}"}}}, "NOT_SET_ANYWHERE"),
        ({"slots": [{"name": "a", "ask": {"en": "?"}, "pattern": "(x+)+y"}]}, "could take for ever"),
        ({"slots": [{"name": "a", "ask": {"en": "?"}, "pattern": "("}]}, "no regular expression"),
        ({"slots": [{"name": "a", "ask": {"en": "?"}, "kind": "choice"}]}, "options"),
        ({"slots": [{"name": "status", "ask": {"en": "?"}}]}, "names two things"),
        ({"when": {"en": [" "]}}, "no phrase"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_together_are_refused_by_name(
    shop: Settings, caller: ScriptedCaller, changes: dict[str, object], says: str
) -> None:
    broken = changed(shop.actions[0], **changes)
    with pytest.raises(ConfigError) as refused:
        Actions(with_actions(shop, [broken]), caller)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+",
        "(a|aa)*b",
        "((a+))+",
        "(?:a*b?){20}",
        "(a{1,9}){2,9}",
        "(([a)]+))*",
        "a*a*a*a*a*b",
        "(x+x+)+y",
        "(a)\\1",
    ],
)
def test_a_pattern_that_can_take_for_ever_is_refused(shop: Settings, caller: ScriptedCaller, pattern: str) -> None:
    slots = [{"name": "a", "ask": {"en": "?"}, "pattern": pattern}]
    with pytest.raises(ConfigError, match="for ever"):
        Actions(with_actions(shop, [changed(shop.actions[0], slots=slots)]), caller)


@pytest.mark.parametrize(
    "pattern",
    ["LO[0-9]{8}", "(?:[0-9]{4}-){2}[A-Z]+", "(a+)b+", "(AB|CD)[0-9]{1,9}", r"\(+\d+\)*", "[(+|]+", "(ab)+", ""],
)
def test_an_ordinary_pattern_is_fine(pattern: str) -> None:
    assert not can_run_away(pattern)


def test_free_text_cannot_be_part_of_an_address(shop: Settings, caller: ScriptedCaller) -> None:
    slots = [{"name": "city", "ask": {"en": "Where?"}}]
    call = {"url": "https://shop.example/{city}"}
    open_text = changed(shop.actions[2], slots=slots, call=call, confirm={"en": "Sure?"}, reply={"en": "Done."})
    with pytest.raises(ConfigError, match="free text such as city"):
        Actions(with_actions(shop, [open_text]), caller)


@pytest.mark.parametrize(
    "url", ["ftp://x.example/", "file:///etc/passwd", "https://{slot}.example/", "https://a@b/", "x"]
)
def test_only_http_with_a_fixed_host_can_be_called(shop: Settings, url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        changed(shop.actions[0], call={"url": url})


def test_two_actions_of_one_name_are_refused(shop: Settings, caller: ScriptedCaller) -> None:
    with pytest.raises(ConfigError, match="Two actions"):
        Actions(with_actions(shop, [shop.actions[0], shop.actions[0]]), caller)
