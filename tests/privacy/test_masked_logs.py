"""What reaches the log: no string of any line has personal data in it, exceptions and other libraries included."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import structlog

from assistant.errors import ConfigError
from assistant.privacy.masking import MaskedLog
from assistant.terminal import set_up_logging

pytestmark = pytest.mark.unit

EMAIL, PHONE, CARD = "mia@shop.example", "13812345678", "4111111111111111"
IBAN, RESIDENT_ID, IP = "DE89370400440532013000", "11010519491231002X", "203.0.113.9"
SECRETS = (EMAIL, PHONE, CARD, IBAN, RESIDENT_ID, IP)
ALL = " / ".join(SECRETS)


@dataclass
class Thing:
    contact: str


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_no_value_of_a_line_has_personal_data(capfd: pytest.CaptureFixture[str]) -> None:
    set_up_logging("info")
    log = structlog.get_logger()
    log.info(
        f"said {ALL}", text=ALL, nested={"a": [ALL, {"b": (ALL,)}], ALL: 1}, thing=Thing(ALL), error=ValueError(ALL)
    )
    try:
        raise RuntimeError(f"cannot reach {ALL}")
    except RuntimeError:
        log.exception("it_broke", raw=ALL.encode())
    written = capfd.readouterr().err
    lines = [json.loads(line) for line in written.splitlines()]
    assert [line["level"] for line in lines] == ["info", "error"]
    assert "RuntimeError: cannot reach [email] / [phone] / [card]" in lines[1]["exception"]
    assert not [secret for secret in SECRETS if secret in written]


def test_ids_numbers_and_times_stay_readable(capfd: pytest.CaptureFixture[str]) -> None:
    set_up_logging("info")
    ids = {
        "conversation_id": "c_01930f6d3a2415555550123456789abcdef0123",
        "ms": 4155550123,
        "whole": True,
        "none": None,
    }
    structlog.get_logger().info("socket_opened", **ids)
    line = json.loads(capfd.readouterr().err)
    assert {name: line[name] for name in ids} == ids
    assert line["timestamp"].startswith("20")


def test_what_other_libraries_report_is_masked_too(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own
    set_up_logging("info")
    try:
        raise OSError(ALL)
    except OSError:
        logging.getLogger("another.package").exception("failed for %s", ALL)
    written = capfd.readouterr().err
    assert "failed for [email]" in written
    assert "OSError" in written
    assert not [secret for secret in SECRETS if secret in written]


def test_a_line_that_is_too_long_or_deep_is_cut_and_masked() -> None:
    deep: object = ALL
    for _ in range(30):
        deep = [deep]
    line = MaskedLog()(None, "info", {"event": "x", "deep": deep, "long": f"{EMAIL} " * 5_000})
    assert EMAIL not in json.dumps(line)
    assert len(line["long"]) <= 16_384


def test_an_unknown_region_is_told_at_the_start() -> None:
    with pytest.raises(ConfigError, match="'QQ'"):
        set_up_logging("info", phone_regions=["QQ"])
