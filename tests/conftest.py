"""What all tests share: settings in a temporary place, the public data, and a closed network."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from assistant.config import Settings

REPOSITORY = Path(__file__).resolve().parent.parent
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-browser", action="store_true", help="leave the tests out that need Chromium")
    parser.addoption("--long", action="store_true", help="the reliability tests in full, as before a release")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the browser tests out where that was asked for; pytest counts them as deselected."""
    if config.getoption("--no-browser"):
        left_out = [item for item in items if item.get_closest_marker("browser")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command that a test runs writes its log to a stream that ends with the test."""
    root, kept = logging.getLogger(), structlog.get_config()
    handlers = root.handlers[:]
    yield
    structlog.configure(**kept)
    root.handlers[:] = handlers


@pytest.fixture(autouse=True)
def no_outside_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reaches for the internet fails: it must pass on a machine that has none."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
            assert address[0] in LOOPBACK, f"a test tried to reach {address[0]}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own ``ASSISTANT_*`` settings do not reach the tests."""
    for name in list(os.environ):
        if name.startswith("ASSISTANT_") and name not in ("ASSISTANT_EVAL_DATA", "ASSISTANT_CACHE_DIR"):
            monkeypatch.delenv(name)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The defaults, with the demo FAQ, the user's model cache, and data in a temporary folder."""
    return Settings(data_dir=tmp_path / "data", knowledge={"root": REPOSITORY / "knowledge_base"})


@pytest.fixture(scope="session")
def eval_data() -> Callable[[str], Path]:
    """Path of a public data file by name; skips where ``ASSISTANT_EVAL_DATA`` is not set."""

    def path(name: str) -> Path:
        folder = os.environ.get("ASSISTANT_EVAL_DATA")
        if not folder:
            pytest.skip("ASSISTANT_EVAL_DATA is not set: the public data sets are not here")
        return Path(folder) / name

    return path
