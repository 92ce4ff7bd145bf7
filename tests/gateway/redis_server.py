"""A real Redis on a free port, for the tests of what processes share."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import RedisError


@contextlib.asynccontextmanager
async def redis_server(folder: Path) -> AsyncIterator[RedisServer]:
    """A running server; the test is skipped where there is none to run."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    server = RedisServer(folder)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


class RedisServer:
    """A Redis of our own on a free port."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._folder = folder
        self._process: Process | None = None

    @property
    def url(self) -> SecretStr:
        return SecretStr(f"redis://127.0.0.1:{self.port}/0")

    async def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir"]
        self._process = await asyncio.create_subprocess_exec(*command, str(self._folder), stdout=DEVNULL)
        async with asyncio.timeout(10), Redis.from_url(self.url.get_secret_value()) as redis:
            while True:
                with contextlib.suppress(RedisError):
                    await redis.ping()
                    return
                await asyncio.sleep(0.02)  # not listening yet

    async def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            await asyncio.wait_for(self._process.wait(), 10)
            self._process = None

    def freeze(self) -> None:
        """It keeps its connections and says nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def client(self) -> Redis:
        """A connection of the test's own."""
        return Redis.from_url(self.url.get_secret_value())
