"""How commands find the server that runs on this data: ``data_dir/server.json``, readable by its owner only.

The server announces itself once it listens and withdraws at its end. What a crash leaves behind is noticed, because
nobody answers at the address it names.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from assistant.errors import AssistantError, StorageError

FILE = "server.json"
ALIVE_TIMEOUT_S = 3.0
CALL_TIMEOUT_S = 900.0
MAX_ANSWER_BYTES = 1_048_576
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  (compared with, not listened on)


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server on this machine, and the key to its admin endpoints."""

    url: str
    admin_key: str
    pid: int
    started: str


_SERVER = TypeAdapter(RunningServer)


def new_admin_key() -> str:
    """A key for one run of the server."""
    return secrets.token_urlsafe(32)


def announce(data_dir: Path, *, url: str, admin_key: str) -> RunningServer:
    """Write ``server.json`` (mode 0600) for a server that listens on ``url``. Raises `StorageError`."""
    server = RunningServer(_reachable(url), admin_key, os.getpid(), datetime.now(UTC).isoformat(timespec="seconds"))
    path = data_dir / FILE
    partial = path.with_name(f".{FILE}.{server.pid}.tmp")
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(server), file)
        partial.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}.", fix="Make room or give write access there."
        ) from error
    return server


def withdraw(data_dir: Path, *, admin_key: str) -> None:
    """Remove ``server.json`` if it is still this server's."""
    server = _read(data_dir)
    if server is not None and server.admin_key == admin_key:
        with suppress(OSError):
            (data_dir / FILE).unlink()


def find(data_dir: Path) -> RunningServer | None:
    """The server that is alive on this data, or None."""
    server = _read(data_dir)
    if server is None:
        return None
    try:
        status, body = _request(server, "GET", "/healthz", None, timeout_s=ALIVE_TIMEOUT_S)
    except (OSError, http.client.HTTPException):
        return None
    return server if status == 200 and b"alive" in body else None


def call(
    server: RunningServer, method: str, path: str, body: object = None, *, timeout_s: float = CALL_TIMEOUT_S
) -> dict[str, object]:
    """What an admin endpoint answers. Raises `AssistantError` with what the server says."""
    try:
        status, content = _request(server, method, path, body, timeout_s=timeout_s)
        answer = json.loads(content)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise AssistantError(
            f"The server at {server.url} did not answer: {error or type(error).__name__}.",
            fix="See its log; where it hangs, restart it.",
        ) from error
    if status != 200 or not isinstance(answer, dict):
        raise AssistantError(f"The server at {server.url} refused ({status}): {_message(answer)}")
    return answer


def _read(data_dir: Path) -> RunningServer | None:
    try:
        return _SERVER.validate_json((data_dir / FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def _request(server: RunningServer, method: str, path: str, body: object, *, timeout_s: float) -> tuple[int, bytes]:
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 80, timeout=timeout_s)
    headers = {"Authorization": f"Bearer {server.admin_key}"} if path != "/healthz" else {}
    content = None if body is None else json.dumps(body).encode()
    try:
        connection.request(method, path, content, headers)
        response = connection.getresponse()
        return response.status, response.read(MAX_ANSWER_BYTES)
    finally:
        connection.close()


def _message(answer: object) -> str:
    error = answer.get("error") if isinstance(answer, dict) else None
    return str(error.get("message", "")) if isinstance(error, dict) else "an answer of another form"


def _reachable(url: str) -> str:
    """The address for clients on this machine: nobody can connect to "every address"."""
    address = urlsplit(url)
    host = ANY_ADDRESS.get(address.hostname or "")
    return f"{address.scheme}://{host}:{address.port}" if host else url
