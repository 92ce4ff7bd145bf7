"""The body of a request, written to a file while it comes: counted, hashed, and cut where it is too long or too slow.

Bounds: `CHUNK_BYTES` in memory; nothing for `STALL_S` at first, then no slower than `MIN_BYTES_PER_S` all in all.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from aiohttp import web

from assistant.errors import StorageError
from assistant.gateway.protocol import ErrorCode, Refusal

CHUNK_BYTES = 65_536
STALL_S = 15.0
MIN_BYTES_PER_S = 65_536  # slower than a phone: places are few, and a file that drips in keeps one


async def receive(request: web.Request, partial: Path, num_bytes: int) -> str:
    """Write exactly ``num_bytes`` of the body to a new file, durably; gives their SHA-256 in hexadecimal digits.

    Raises `Refusal` for another length or a body that comes too slowly, `StorageError` where the disk refuses.
    """
    if request.content_length not in (None, num_bytes):
        raise _other_length(request.content_length or 0, num_bytes)
    try:
        with await asyncio.to_thread(_create, partial) as file:
            digest = await _copy(request, file, num_bytes)
            await asyncio.to_thread(_to_disk, file)
    except TimeoutError as error:
        raise Refusal("timeout", f"The file came slower than {MIN_BYTES_PER_S} bytes a second.") from error
    except ConnectionError:
        raise
    except OSError as error:
        fix = "Free some space in data_dir/uploads."
        raise StorageError(f"The file cannot be written: {error.strerror}.", fix=fix) from error
    return digest


async def _copy(request: web.Request, file: BinaryIO, num_bytes: int) -> str:
    digest, received = hashlib.sha256(), 0
    began_at = asyncio.get_running_loop().time()
    async with asyncio.timeout(STALL_S) as deadline:
        async for chunk in request.content.iter_chunked(CHUNK_BYTES):
            received += len(chunk)
            if received > num_bytes:
                raise _other_length(received, num_bytes)
            digest.update(chunk)
            await asyncio.to_thread(file.write, chunk)
            deadline.reschedule(began_at + STALL_S + received / MIN_BYTES_PER_S)
    if received != num_bytes:
        raise _other_length(received, num_bytes)
    return digest.hexdigest()


def _create(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _other_length(received: int, num_bytes: int) -> Refusal:
    code: ErrorCode = "too_large" if received > num_bytes else "bad_request"
    return Refusal(code, f"{num_bytes} bytes were announced, and {received} came.", fix="Announce the file anew.")
