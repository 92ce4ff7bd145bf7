"""Starting, killing and stopping the servers of `server.py` from a test."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.conftest import REPOSITORY

START_S = 60
STOP_S = 40


class Nursery:
    """The process that has everything loaded and forks a server for each line it is told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    async def tell(self, line: str, *, within_s: float) -> str:
        """Send a line where there is one, and wait for the next of its own."""
        return await asyncio.wait_for(asyncio.to_thread(self._tell, line), within_s)

    def _tell(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if line:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the server's process has ended"
        return answer.strip()


@contextmanager
def open_nursery() -> Iterator[Nursery]:
    """The process, until the end of the block."""
    command = [sys.executable, "-m", "tests.reliability.server"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=REPOSITORY, text=True) as process:
        yield Nursery(process)
        assert process.stdin is not None
        process.stdin.close()


class Child:
    """One server's process: always on the same port, so that its clients find it again."""

    def __init__(self, nursery: Nursery, data_dir: Path) -> None:
        self._nursery = nursery
        self._data_dir = data_dir
        self.url = ""
        self.pid = 0

    async def start(self) -> None:
        port = self.url.rpartition(":")[2] or "0"
        self.url, pid = (await self._nursery.tell(f"{port} {self._data_dir}", within_s=START_S)).split()
        self.pid = int(pid)

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; gives the exit status."""
        os.kill(self.pid, number)
        self.pid = 0
        word, status = (await self._nursery.tell("", within_s=STOP_S)).split()
        assert word == "ended"
        return int(status)

    async def vitals(self, http: aiohttp.ClientSession) -> dict[str, Any]:
        async with http.get(f"{self.url}/vitals") as response:
            return dict(await response.json())


@asynccontextmanager
async def running_child(nursery: Nursery, data_dir: Path) -> AsyncIterator[Child]:
    """A started server; whatever is left of it is killed."""
    child = Child(nursery, data_dir)
    await child.start()
    try:
        yield child
    finally:
        if child.pid:
            await child.end(signal.SIGKILL)
