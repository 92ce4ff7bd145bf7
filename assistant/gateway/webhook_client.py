"""One webhook to one endpoint over HTTP: signed, sent once, judged.

Bounds: `MAX_CONNECTIONS` and `MAX_RESOLVERS` threads an endpoint, `TIMEOUT_S` for all of a request, `MAX_BODY_BYTES`
of an answer. Redirects are not followed, cookies and proxies of the environment not used, and no address is logged:
some hold a secret.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import hdrs
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from assistant.config import WebhookSettings
from assistant.gateway.public_addresses import PrivateAddress, public_socket
from assistant.gateway.webhook_message import Webhook, headers, signing_keys

MAX_CONNECTIONS = 4
MAX_RESOLVERS = 2
TIMEOUT_S = 10.0
MAX_BODY_BYTES = 1024
MAX_RETRY_AFTER_S = 3600


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a try came to: ``http_200``, ``timeout``, ``connection``, ``private_address``; and when to come back."""

    reason: str
    is_taken: bool = False
    retry_after_s: int = 0


class WebhookClient:
    """Sends webhooks to one endpoint. Make one with `open_client`."""

    def __init__(self, url: str, keys: list[bytes], session: aiohttp.ClientSession) -> None:
        self._url = URL(url)
        self._keys = keys
        self._session = session

    async def send(self, webhook: Webhook) -> Outcome:
        """One try. Only an answer of 200 to 299 within `TIMEOUT_S` counts as taken."""
        signed = headers(webhook, self._keys, timestamp_s=int(time.time()))
        try:
            async with self._session.post(
                self._url, data=webhook.body, headers=signed, allow_redirects=False
            ) as response:
                await response.content.read(MAX_BODY_BYTES)  # a short answer read whole lets the connection be kept
                return _judge(response)
        except TimeoutError:
            return Outcome("timeout")
        except (aiohttp.ClientError, OSError) as error:
            return Outcome("private_address" if _is_private(error) else "connection")


@asynccontextmanager
async def open_client(settings: WebhookSettings, *, timeout_s: float = TIMEOUT_S) -> AsyncIterator[WebhookClient]:
    """A client with connections and resolver threads of its own, so that a dead endpoint slows nobody else.

    Raises `ConfigError` where the secret is missing or malformed.
    """
    keys = signing_keys(settings)
    resolver = _Resolver()
    connector = aiohttp.TCPConnector(
        limit=MAX_CONNECTIONS,
        resolver=resolver,
        socket_factory=None if settings.allow_private else public_socket,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={hdrs.ACCEPT_ENCODING: "identity", hdrs.USER_AGENT: "service-assistant"},
        auto_decompress=False,  # a small answer could unpack to a large one
        read_bufsize=MAX_BODY_BYTES,
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=timeout_s),
    ) as session:
        try:
            yield WebhookClient(settings.url, keys, session)
        finally:
            await resolver.close()


class _Resolver(AbstractResolver):
    """The system's resolver on threads of its own: the loop's are the chat's, and a dead DNS server holds them long."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(MAX_RESOLVERS, thread_name_prefix="webhook-dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a host. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG
        )
        return [
            ResolveResult(
                hostname=host, host=str(address[0]), port=port, family=kind, proto=proto, flags=socket.AI_NUMERICHOST
            )
            for kind, _, proto, _, address in found
        ]

    async def close(self) -> None:
        """Let the threads go; a look-up that hangs ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _judge(response: aiohttp.ClientResponse) -> Outcome:
    later = response.headers.get(hdrs.RETRY_AFTER, "")
    seconds = int(later) if response.status in (429, 503) and later.isascii() and later.isdigit() else 0
    is_taken = 200 <= response.status < 300
    return Outcome(f"http_{response.status}", is_taken, min(seconds, MAX_RETRY_AFTER_S))


def _is_private(error: BaseException) -> bool:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return isinstance(cause, PrivateAddress) or "not an address of the public internet" in str(cause)
