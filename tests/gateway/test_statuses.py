"""Every error of the tree that a handler may meet has a fitting HTTP status, and the README says the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from yarl import URL

from assistant import errors
from assistant.errors import AssistantError
from assistant.gateway import middleware
from assistant.gateway.middleware import STATUS, answer_errors
from assistant.gateway.parts import GATEWAY
from assistant.gateway.protocol import ErrorCode, Refusal
from tests.gateway.rig import Rig

pytestmark = pytest.mark.unit

README = Path(middleware.__file__).with_name("README.md").read_text(encoding="utf-8")
ON_SOCKETS_ONLY = {
    "unknown_type",
    "binary_frame",
    "hello_expected",
    "hello_repeated",
    "too_many_subscriptions",
    "no_draft",
}
OWN_ARGUMENTS = {
    errors.Busy: lambda: errors.Busy(retry_after_ms=1_500, queue_position=3),
    errors.TakenByAnother: lambda: errors.TakenByAnother("secret", holder="a_1"),
    errors.ProtocolError: lambda: Refusal("too_deep", "It nests."),
}
EXPECTED: dict[type[AssistantError], tuple[int, ErrorCode]] = {
    errors.IdempotencyConflict: (409, "idempotency_conflict"),
    errors.UnknownConversation: (404, "unknown_conversation"),
    errors.UnknownMessage: (404, "unknown_message"),
    errors.UnknownVisitor: (404, "not_found"),
    errors.TakenByAnother: (409, "taken"),
    errors.NotTaken: (409, "not_taken"),
    errors.ConversationClosed: (409, "conversation_closed"),
    errors.ProofUsed: (401, "unauthorized"),
    errors.PromptTooLong: (400, "text_too_long"),
    errors.ProtocolError: (400, "too_deep"),
    errors.Busy: (429, "rate_limited"),
    errors.QueueFull: (429, "rate_limited"),
    errors.ModelLate: (503, "not_ready"),
    errors.ModelUnavailable: (503, "not_ready"),
    errors.StorageError: (503, "not_stored"),
}


def whole_tree(root: type[AssistantError] = AssistantError) -> list[type[AssistantError]]:
    """The classes of `errors.py`; the gateway's own refusals are codes, which are tested below."""
    children = [child for child in root.__subclasses__() if child.__module__ == errors.__name__]
    return [root, *(each for child in children for each in whole_tree(child))]


@pytest.mark.parametrize("kind", whole_tree(), ids=lambda kind: kind.__name__)
async def test_every_error_of_the_tree_has_its_status(
    rig: Rig, kind: type[AssistantError], capfd: pytest.CaptureFixture[str]
) -> None:
    async def broken(_: web.Request) -> web.StreamResponse:
        raise OWN_ARGUMENTS.get(kind, lambda: kind("secret"))()

    answer = await answer_errors(make_mocked_request("GET", "/v1/x", app=rig.app), broken)
    status, code = EXPECTED.get(kind, (500, "internal"))
    assert isinstance(answer, web.Response)
    assert (answer.status, f'"{code}"' in str(answer.text)) == (status, True), answer.text
    assert ("Retry-After" in answer.headers) == (status in (429, 503) and code != "not_stored")
    if status >= 500 and kind not in EXPECTED:
        assert "secret" not in str(answer.text), "what concerns the operator alone is not told"
    assert rig.app[GATEWAY].metrics.registry.get_sample_value("assistant_refused_total", {"code": code}) == 1


@pytest.mark.parametrize("path", ["/v1/conversations/c_%00/events", "/v1/conversations?before=%00", "/static/%00"])
async def test_an_address_with_a_nul_character_is_refused_before_anything_is_looked_up(rig: Rig, path: str) -> None:
    async with rig.http.get(URL(rig.url("/") + path[1:], encoded=True)) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (400, "bad_request")


@pytest.mark.parametrize("code", get_args(ErrorCode))
def test_the_readme_gives_each_code_its_status(code: ErrorCode) -> None:
    told = re.search(rf"^\| `{code}` \| ?(\d*) ?\|", README, re.M)
    assert told is not None
    assert told[1] == ("" if code in ON_SOCKETS_ONLY else str(STATUS.get(code, 400)))
