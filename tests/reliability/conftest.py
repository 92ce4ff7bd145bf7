from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.gateway.conftest import start
from tests.reliability.child import Child, Nursery, open_nursery, running_child

__all__ = ["start"]


@pytest.fixture
def is_long(pytestconfig: pytest.Config) -> bool:
    """Whether the long form was asked for by ``--long``."""
    return bool(pytestconfig.getoption("--long"))


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Loaded once for all tests that need a server in a process of its own."""
    with open_nursery() as nursery:
        yield nursery


@pytest.fixture
async def child(nursery: Nursery, tmp_path: Path) -> AsyncIterator[Child]:
    """A server on an empty database."""
    async with running_child(nursery, tmp_path) as child:
        yield child
