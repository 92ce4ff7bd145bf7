"""A socket cut anywhere: what its client holds in the end is what an uninterrupted one holds."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy import update

from assistant.config import Settings
from assistant.conversation.events import ConversationId
from assistant.conversation.tables import conversations
from assistant.gateway.frames import event_frame
from tests.databases import opened
from tests.gateway.conftest import StartRig
from tests.gateway.rig import Rig, start_rig, stop_rig
from tests.reliability.customer import Customer, Frame, Held
from tests.reliability.server import GENEROUS

pytestmark = pytest.mark.reliability

NUM_EVENTS = 60
MAX_ASKED = 8
SENTENCES = ["You have 30 days. ", "Shoes have 60."]
Result = TypeVar("Result")


def question(number: int) -> Frame:
    return {"client_msg_id": f"m{number}", "text": f"question number {number}"}


async def test_a_cut_after_any_event_of_a_conversation_changes_nothing(start: StartRig) -> None:
    rig = await start(**GENEROUS, sockets_per_visitor=2 * NUM_EVENTS)
    speaker = Customer(rig.http, rig.own_origin)
    await speaker.connect()
    speaker.held.see(await speaker.receive())  # the welcome
    start_held = {"conversation_id": speaker.held.conversation_id}
    watchers = [
        Customer(rig.http, rig.own_origin, identity=speaker.identity, held=Held(**start_held))
        for _ in range(NUM_EVENTS)
    ]
    watching = asyncio.gather(*(watch(watcher, cut_after=n) for n, watcher in enumerate(watchers)))
    while speaker.held.last_seq < NUM_EVENTS:
        if len(speaker.held.answered) == (asked := len(speaker.held.asked)):
            await speaker.send("message", **question(asked))
        await see_until(speaker, speaker.held.last_seq + 1)
    await watching
    for number, watcher in enumerate(watchers):
        assert watcher.held.events == speaker.held.events, f"cut after event {number}"
        assert watcher.num_drops == 1
    speaker.drop()


async def watch(watcher: Customer, *, cut_after: int) -> None:
    """Hold the whole conversation, with one cut on the way, sometimes within an answer's text."""
    await watcher.connect()
    await see_until(watcher, cut_after)
    watcher.drop()
    watcher.num_drops += 1
    await watcher.connect()
    await see_until(watcher, NUM_EVENTS)
    watcher.drop()


async def see_until(customer: Customer, last_seq: int) -> None:
    while customer.held.last_seq < last_seq:
        customer.held.see(await customer.receive())


class Cuts(RuleBasedStateMachine):
    """One customer whose socket, model and server do whatever they like, in any order.

    What may be done next depends on what was done, never on what has arrived, so that every run can be repeated.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = TemporaryDirectory()
        self.num_asked = 0
        self.is_connected = False

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    @initialize()
    def begin(self) -> None:
        self.settings = Settings(data_dir=Path(self.folder.name), gateway={**GENEROUS, "drain_s": 0.05})
        self.database = self.run(opened(self.settings.log_url))
        self.rig = self.run(self.serving())
        self.customer = Customer(self.rig.http, self.rig.own_origin)
        self.come_back()

    async def serving(self) -> Rig:
        rig = await start_rig(self.settings, self.database)
        rig.responder.holds, rig.responder.sentences = True, SENTENCES
        await rig.parts.manager.start()
        return rig

    @precondition(lambda self: not self.is_connected)
    @rule()
    def come_back(self) -> None:
        self.run(self.customer.connect())
        self.run(self.read_one())  # the welcome
        self.is_connected = True

    @precondition(lambda self: self.is_connected)
    @rule()
    def cut(self) -> None:
        self.customer.drop()
        self.is_connected = False

    @precondition(lambda self: self.is_connected and self.num_asked < MAX_ASKED)
    @rule()
    def ask(self) -> None:
        self.run(self.customer.send("message", **question(self.num_asked)))
        self.num_asked += 1

    @precondition(lambda self: self.is_connected and self.num_asked > 0)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, self.num_asked - 1))
        self.run(self.customer.send("message", **question(number)))

    @rule(sentences=st.integers(1, 3))
    def write(self, sentences: int) -> None:
        for _ in range(sentences):
            self.rig.responder.go.put_nowait(None)
        self.run(asyncio.sleep(0.002))

    @precondition(lambda self: self.is_connected)
    @rule(frames=st.integers(1, 8))
    def read(self, frames: int) -> None:
        for _ in range(frames):
            try:
                self.run(self.read_one(within_s=0.005))
            except TimeoutError:
                return

    @precondition(lambda self: self.is_connected)
    @rule()
    def stop(self) -> None:
        turn = self.rig.parts.manager.live(ConversationId(str(self.customer.held.conversation_id)))
        if turn is not None:
            self.run(self.customer.send("stop", turn_id=turn.turn_id))

    @rule()
    def restart(self) -> None:
        self.run(self.restarted())

    @rule()
    def raise_epoch(self) -> None:
        """As an erasure or a restored backup does."""
        self.run(self.with_next_epoch())
        if self.is_connected:
            self.cut()

    def teardown(self) -> None:
        if hasattr(self, "rig"):
            self.run(self.compared())
            self.run(stop_rig(self.rig))
            self.run(self.database.close())
        self.runner.close()
        self.folder.cleanup()

    async def read_one(self, within_s: float = 10) -> None:
        async with asyncio.timeout(within_s):
            frame = await self.customer.receive()
        self.customer.held.see(frame)

    async def restarted(self) -> None:
        if self.is_connected:
            self.customer.drop()
            self.is_connected = False
        await stop_rig(self.rig)
        self.rig = await self.serving()
        self.customer = Customer(
            self.rig.http, self.rig.own_origin, identity=self.customer.identity, held=self.customer.held
        )

    async def with_next_epoch(self) -> None:
        async with self.database.writing() as connection:
            await connection.execute(update(conversations).values(epoch=conversations.c.epoch + 1))

    async def compared(self) -> None:
        """Say again what was not acknowledged, let everything be answered, and compare with the log."""
        await self.restarted()
        self.rig.responder.holds = False
        for _ in range(1_000):
            self.rig.responder.go.put_nowait(None)
        wanted = {question(number)["client_msg_id"] for number in range(self.num_asked)}

        def unsaid(held: Held) -> Frame | None:
            return next((question(n) for n in range(self.num_asked) if f"m{n}" not in held.acked), None)

        held = self.customer.held
        await self.customer.until(lambda held: wanted <= held.answered and bool(held.conversation_id), say=unsaid)
        conversation_id = ConversationId(str(held.conversation_id))
        stored = [event_frame(event) for event in await self.rig.parts.log.public_events(conversation_id)]
        assert held.events == stored[: held.last_seq]
        assert len(held.answered) == len(held.asked) == self.num_asked
        assert [frame["data"]["author"] for frame in stored].count("customer") == self.num_asked


@pytest.mark.timeout(3_600)
def test_no_order_of_cuts_restarts_and_repetitions_changes_what_a_client_holds(is_long: bool) -> None:
    chosen = hypothesis_settings(
        max_examples=400 if is_long else 12,
        stateful_step_count=40 if is_long else 25,
        deadline=None,
        database=None,
        derandomize=not is_long,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Cuts, settings=chosen)
