"""The assistant as a customer's company runs it: its own process, the default models, a real port."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from tests import demo_index
from tests.conftest import REPOSITORY
from tests.end_to_end.visitor import Visitor

ASSISTANT = Path(sys.executable).parent / "assistant"
START_S = 180


@dataclass
class Server:
    """A running ``assistant serve``; ``lines`` has what it printed so far."""

    process: subprocess.Popen[str]
    data_dir: Path
    url: str = ""
    lines: list[str] = field(default_factory=list)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it and wait."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=60)


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ASSISTANT_")}
    if cache := os.environ.get("ASSISTANT_CACHE_DIR"):
        kept["ASSISTANT_CACHE_DIR"] = cache
    shipped = str(REPOSITORY / "deploy" / "assistant.toml")
    return kept | {"ASSISTANT_CONFIG": shipped, "ASSISTANT_DATA_DIR": str(data_dir), "NO_COLOR": "1"} | more


def run(data_dir: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """One command of the command line, to its end."""
    demo_index.lend(data_dir)
    command = [str(ASSISTANT), *arguments]
    ended = subprocess.run(
        command, env=environment(data_dir, **more), capture_output=True, text=True, timeout=START_S, check=False
    )
    demo_index.keep(data_dir)
    return ended


def start(data_dir: Path, *arguments: str, **more: str) -> Server:
    """Start a server and wait until it says where it is."""
    demo_index.lend(data_dir)
    process = subprocess.Popen(
        [str(ASSISTANT), "serve", "--port", "0", *arguments],
        env=environment(data_dir, **more),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    printed: queue.Queue[str] = queue.Queue()
    server = Server(process, data_dir)
    threading.Thread(target=_drain, args=(process, server.lines, printed), daemon=True).start()
    while not server.url:
        try:
            line = printed.get(timeout=START_S)
        except queue.Empty:
            line = ""
        if not line:
            process.kill()
            process.wait()
            raise AssertionError("the server did not start:\n" + "\n".join(server.lines))
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            server.url = found.group()
    demo_index.keep(data_dir)
    return server


def _drain(process: subprocess.Popen[str], lines: list[str], printed: queue.Queue[str]) -> None:
    assert process.stderr is not None
    with process.stderr:
        for line in process.stderr:
            lines.append(line)
            printed.put(line)
    printed.put("")


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests that neither stop it nor need settings of their own."""
    running = start(tmp_path_factory.mktemp("data"), ASSISTANT_GATEWAY__MESSAGES_PER_MINUTE="1000")
    yield running
    assert running.stop() == 0


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
def visitor(server: Server, session: aiohttp.ClientSession) -> Callable[..., Visitor]:
    """A new visitor of the shared server; ``async with`` connects it."""
    return lambda **more: Visitor(server.url, session, **more)
