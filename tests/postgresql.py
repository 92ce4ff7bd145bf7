"""A real PostgreSQL on a free port, with a fresh database for whoever asks, and the tests of other files on it.

As a plugin (``pytest -p tests.postgresql``, with `ADDRESS` in the environment) it has every test find an empty database
there.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from assistant.conversation.database import Database

ADDRESS = "POSTGRESQL_OF_THE_TESTS"  # postgresql://postgres@127.0.0.1:PORT
START_S = 30
CLEAR = """
DO $$ BEGIN EXECUTE (
  SELECT 'TRUNCATE ' || string_agg(quote_ident(tablename), ', ') || ' CASCADE' FROM pg_tables
  WHERE schemaname = 'public' AND tablename <> 'alembic_version'
); END $$
"""
QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200", "shared_buffers=32MB")


def programs() -> Path:
    """Where ``initdb`` and ``postgres`` are; the test is skipped where they or the driver are not installed."""
    if find_spec("asyncpg") is None:
        pytest.skip("asyncpg is not installed (pip install service-assistant[postgresql])")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if on_path := shutil.which("initdb"):
        found.append(Path(on_path))
    if not found:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return found[-1].resolve().parent


@contextmanager
def running_server() -> Iterator[str]:
    """The address of a server of our own that forgets everything at the end."""
    bin_dir = programs()
    owner = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    if owner is not None:
        shutil.chown(folder, owner, pwd.getpwnam(owner).pw_gid)
    try:
        data = folder / "data"
        command = [bin_dir / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]
        subprocess.run([*command, "--no-sync"], check=True, user=owner, cwd=folder, stdout=subprocess.DEVNULL)
        with _serving(bin_dir, data, owner) as address:
            yield address
    finally:
        shutil.rmtree(folder)


@contextmanager
def _serving(bin_dir: Path, data: Path, owner: str | None) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [word for setting in QUICK for word in ("-c", setting)]
    command = [bin_dir / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", data.parent, *options]
    with (data.parent / "log").open("wb") as log:
        server = subprocess.Popen(command, user=owner, cwd=data.parent, stdout=log, stderr=log)
    address = f"postgresql://postgres@127.0.0.1:{port}"
    try:
        ready = [bin_dir / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port), "-t", str(START_S)]
        for _ in range(START_S * 10):
            if subprocess.run(ready, check=False).returncode == 0:
                break
            assert server.poll() is None, (data.parent / "log").read_text()
            time.sleep(0.1)
        yield address
    finally:
        server.send_signal(signal.SIGINT)  # SIGTERM would wait for its clients
        server.wait(START_S)


class Databases:
    """Makes databases on one server; the tables are made once, and copied."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._numbers = itertools.count()
        self._template = ""

    def new(self) -> str:
        """The SQLAlchemy address of a database with empty tables that are up to date."""
        if not self._template:
            self._template = self._create()
            with ThreadPoolExecutor(1) as apart:  # in this thread a loop may run already
                apart.submit(lambda: asyncio.run(_migrate(self._url(self._template)))).result()
        return self._url(self._create("--template", self._template))

    def empty(self) -> str:
        """The address of a database without any table."""
        return self._url(self._create())

    def clear(self, url: str) -> None:
        """Take every row out of a database."""
        self._run("psql", "-q", "-c", CLEAR, url.rpartition("/")[2])

    def _create(self, *options: str) -> str:
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self._run("createdb", *options, name)
        return name

    def _run(self, program: str, *words: str) -> None:
        url = urlsplit(self._address)
        server = ["-h", str(url.hostname), "-p", str(url.port), "-U", str(url.username)]
        subprocess.run([programs() / program, *server, *words], check=True)

    def _url(self, name: str) -> str:
        return f"{self._address.replace('postgresql:', 'postgresql+asyncpg:')}/{name}"


async def _migrate(url: str) -> None:
    database = Database(url)
    await database.open()
    await database.close()


# -- as a plugin


@pytest.fixture(scope="session")
def database_of_the_tests() -> tuple[Databases, str]:
    databases = Databases(os.environ[ADDRESS])
    return databases, databases.new()


@pytest.fixture(autouse=True)
def on_postgresql(
    database_of_the_tests: tuple[Databases, str], clean_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each test finds the database empty; its settings name it, since the environment counts for more than they do."""
    databases, url = database_of_the_tests
    databases.clear(url)
    monkeypatch.setenv("ASSISTANT_LOG__URL", url)
