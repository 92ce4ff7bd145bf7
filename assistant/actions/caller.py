"""The HTTP client of business actions: the only place where the dialogue speaks to other systems.

Bounds: `MAX_CONNECTIONS` at once, a response of `MAX_RESPONSE_BYTES`, and each call's own time-out over both tries.
Redirects are not followed, cookies not kept, and nothing that is sent or received is logged.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import quote

import aiohttp
import structlog
from yarl import URL

from assistant.actions.headers import resolve_headers
from assistant.actions.outcome import Outcome
from assistant.config import CallSettings

log = structlog.get_logger()

MAX_CONNECTIONS = 16
MAX_RESPONSE_BYTES = 65_536
PAUSE_BEFORE_RETRY_S = 0.2
IDEMPOTENT = {"GET", "PUT", "DELETE"}  # RFC 9110, section 9.2.2

PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
JSON_TYPE = re.compile(r"application/(?:[\w.+-]+\+)?json", re.I)


class HttpActionCaller:
    """Calls business systems over HTTP. Make one with `open_caller`."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def call(
        self, settings: CallSettings, arguments: Mapping[str, str], *, idempotency_key: str, name: str
    ) -> Outcome:
        """Make one call, and once more where the connection broke or the system failed and that can do no harm.

        The second try has the same ``Idempotency-Key``. Raises `ConfigError` where a header names an environment
        variable that is not set.
        """
        headers = {**resolve_headers(settings), "Idempotency-Key": idempotency_key, "Accept": "application/json"}
        started = time.monotonic()
        try:
            async with asyncio.timeout(settings.timeout_s):
                outcome = await self._at_most_twice(settings, arguments, headers)
        except TimeoutError:
            outcome = Outcome("unknown", "timeout")
        duration_ms = round((time.monotonic() - started) * 1000)
        log.info("action_call", action=name, outcome=outcome.kind, code=outcome.code, ms=duration_ms)
        return outcome

    async def _at_most_twice(
        self, settings: CallSettings, arguments: Mapping[str, str], headers: Mapping[str, str]
    ) -> Outcome:
        first, may_differ = await self._try(settings, arguments, headers)
        if not may_differ or not _may_repeat(settings):
            return first
        await asyncio.sleep(PAUSE_BEFORE_RETRY_S)
        second, _ = await self._try(settings, arguments, headers)
        # That the second was not sent says nothing of the first, which perhaps was carried out.
        return first if second.kind == "failed" else second

    async def _try(
        self, settings: CallSettings, arguments: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[Outcome, bool]:
        """One request: what it came to, and whether a second one may come to something better."""
        try:
            async with self._session.request(
                settings.method,
                fill_url(settings.url, arguments),
                json=_body(settings, arguments),
                headers=headers,
                allow_redirects=False,
            ) as response:
                return await _judge(response), response.status >= 500
        except aiohttp.ClientConnectorError:
            return Outcome("failed", "connection"), True  # nothing was sent
        except aiohttp.ClientError:
            return Outcome("unknown", "connection"), True


@asynccontextmanager
async def open_caller() -> AsyncIterator[HttpActionCaller]:
    """A caller with its connections, closed at the end."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity", "User-Agent": "service-assistant"},
        auto_decompress=False,  # a small response could unpack to a large one
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=None),  # each call has its own
    ) as session:
        yield HttpActionCaller(session)


def fill_url(url: str, arguments: Mapping[str, str]) -> URL:
    """The address with its placeholders filled in; no value can leave the segment or parameter it stands in."""
    filled = PLACEHOLDER.sub(lambda match: _quoted(arguments.get(match[1], "")), url)
    return URL(filled, encoded=True)


def placeholders(text: str) -> list[str]:
    """The names that stand in braces."""
    return PLACEHOLDER.findall(text)


def _quoted(value: str) -> str:
    # Dots are legal in a path, but two of them alone would climb out of it.
    return quote(value, safe="") if value.strip(".") else "-"


def _body(settings: CallSettings, arguments: Mapping[str, str]) -> dict[str, str] | None:
    if settings.method == "GET":
        return None
    used = set(placeholders(settings.url))
    return {name: value for name, value in arguments.items() if name not in used}


def _may_repeat(settings: CallSettings) -> bool:
    return settings.keyed or settings.method in IDEMPOTENT


async def _judge(response: aiohttp.ClientResponse) -> Outcome:
    code = f"http_{response.status}"
    if response.status in (404, 410):
        return Outcome("not_found", code)
    if response.status in (400, 409, 422):
        return Outcome("refused", code)
    if response.status >= 500:
        return Outcome("unknown", code)
    if not 200 <= response.status < 300:
        return Outcome("failed", code)
    return await _read(response)


async def _read(response: aiohttp.ClientResponse) -> Outcome:
    data = bytearray()
    async for chunk in response.content.iter_chunked(16_384):
        data += chunk
        if len(data) > MAX_RESPONSE_BYTES:
            return Outcome("unknown", "response_too_large")
    if not data:
        return Outcome("answered", f"http_{response.status}")
    if not JSON_TYPE.fullmatch(response.content_type):
        return Outcome("unknown", "response_not_json")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return Outcome("unknown", "response_not_json")
    if not isinstance(body, dict):
        return Outcome("unknown", "response_not_an_object")
    return Outcome("answered", f"http_{response.status}", body)
