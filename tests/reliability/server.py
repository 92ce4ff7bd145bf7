"""The real gateway, log and manager with a scripted responder, in a process of its own that can be killed.

``python -m tests.reliability.server`` loads everything once; each line ``PORT DATA_DIR`` on its standard input forks a
server on that port (0: a free one), which prints ``URL PID``. When it has ended, ``ended STATUS`` is printed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import sys
import time
from pathlib import Path

import structlog
from aiohttp import web

from assistant.config import Settings
from assistant.conversation.database import Database
from assistant.dialogue.draft import Sink
from assistant.dialogue.turn import Question, Reply
from assistant.gateway.app import make_app, serve
from assistant.language import detect
from tests.gateway.rig import ScriptedResponder, build_parts, reply

STALL_LOOK_S = 0.01
GENEROUS = {
    "messages_per_minute": 1_000_000,
    "handshakes_per_minute": 1_000_000,
    "sockets_per_address": 100_000,
    "tokens_per_day": 1_000_000_000,
}


class Vitals:
    """How the process is: the longest stall of its loop since it was last asked, its memory, tasks and descriptors."""

    def __init__(self) -> None:
        self._longest_s = 0.0

    async def watch(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(STALL_LOOK_S)
            self._longest_s = max(self._longest_s, time.monotonic() - before - STALL_LOOK_S)

    async def get(self, _: web.Request) -> web.Response:
        longest_s, self._longest_s = self._longest_s, 0.0
        return web.json_response(
            {
                "stall_ms": round(1_000 * longest_s, 1),
                "rss_kb": resident_kb(),
                "tasks": len(asyncio.all_tasks()),
                "descriptors": len(os.listdir("/proc/self/fd")),
                "cpu_s": time.process_time(),
            }
        )


def resident_kb() -> int:
    """The memory this process holds now (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


async def answer(question: Question, sink: Sink) -> Reply:
    """Repeats the question in some pieces; ``slow`` in it makes pauses, so that a crash meets every moment."""
    sink.enter("searching")
    sink.enter("writing")
    text = f"You asked: {question.text}"
    for word in text.split(" "):
        if "slow" in question.text:
            await asyncio.sleep(random.choice([0, 0, 0.002, 0.01]))
        sink.release(word + " ")
    return reply(text)


async def run(data_dir: Path, port: int) -> None:
    settings = Settings(data_dir=data_dir, gateway=GENEROUS, dialogue={"max_turns": 2_000, "max_running": 500})
    database, vitals = Database(settings.log_url), Vitals()
    await database.open()
    parts, manager = build_parts(settings, database, ScriptedResponder(answer=answer), [])
    app = make_app(parts)
    app.router.add_get("/vitals", vitals.get)
    watching = asyncio.create_task(vitals.watch())
    await manager.start()

    def say_where(url: str) -> None:
        print(url, os.getpid(), flush=True)

    try:
        await serve(app, host="127.0.0.1", port=port, on_listening=say_where)
    finally:
        watching.cancel()
        await manager.close()
        await database.close()


def main() -> None:
    detect("How long does delivery take?", fallback="en")  # loads its model, once for all forks
    only_errors = structlog.make_filtering_bound_logger(logging.ERROR)
    structlog.configure(wrapper_class=only_errors, logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            port, _, data_dir = line.strip().partition(" ")
            asyncio.run(run(Path(data_dir), int(port)))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print("ended", os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
