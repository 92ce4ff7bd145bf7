"""Who writes in a conversation: every change from every mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from assistant.conversation.events import ConversationId, Mode, NewEvent, State, VisitorId
from assistant.conversation.log import Head
from assistant.dialogue import takeover
from assistant.dialogue.takeover import Person
from assistant.errors import ConversationClosed, NotTaken, TakenByAnother

pytestmark = pytest.mark.unit

MIA, WEI = Person("a_mia", "Mia"), Person("a_wei", "Wei")
LEAD = Person("a_lea", "Lea", overrides=True)
Change = Callable[[Head, Person], Sequence[NewEvent]]
Outcome = Mode | type[Exception] | None  # the new mode; None: nothing changes


def head(mode: Mode, assignee: str | None = None) -> Head:
    return Head(ConversationId("c_1"), "shop", VisitorId("v_1"), "en", mode=mode, assignee=assignee)


def to_wei(head: Head, person: Person) -> Sequence[NewEvent]:
    return takeover.assign(head, person, WEI)


PLACES = {"bot": head("bot"), "waiting": head("waiting"), "mine": head("human", "a_mia")}
PLACES |= {"other's": head("human", "a_xi"), "closed": head("closed")}
# What Mia, who may not override, and Lea, who does, bring about: in bot, waiting, Mia's own, somebody else's, closed.
MIAS: dict[Change, list[Outcome]] = {
    takeover.claim: ["human", "human", None, TakenByAnother, ConversationClosed],
    takeover.release: [NotTaken, NotTaken, "bot", TakenByAnother, ConversationClosed],
    to_wei: [NotTaken, NotTaken, "human", TakenByAnother, ConversationClosed],
    takeover.close: [NotTaken, NotTaken, "closed", TakenByAnother, None],
    takeover.reply: [NotTaken, NotTaken, None, TakenByAnother, ConversationClosed],
}
LEAS: dict[Change, list[Outcome]] = {
    takeover.claim: ["human", "human", "human", "human", ConversationClosed],
    takeover.release: [NotTaken, NotTaken, "bot", "bot", ConversationClosed],
    to_wei: ["human", "human", "human", "human", ConversationClosed],
    takeover.close: ["closed", "closed", "closed", "closed", None],
    takeover.reply: [NotTaken, NotTaken, TakenByAnother, TakenByAnother, ConversationClosed],
}
CELLS = [
    pytest.param(person, change, place, outcome, id=f"{person.name} {change.__name__} {place}")
    for person, table in ((MIA, MIAS), (LEAD, LEAS))
    for change, outcomes in table.items()
    for place, outcome in zip(PLACES, outcomes, strict=True)
]


@pytest.mark.parametrize(("person", "change", "place", "outcome"), CELLS)
def test_every_change_from_every_place(person: Person, change: Change, place: str, outcome: Outcome) -> None:
    if isinstance(outcome, type):
        with pytest.raises(outcome):
            change(PLACES[place], person)
        return
    events = change(PLACES[place], person)
    assert [event.payload.mode for event in events if isinstance(event.payload, State)] == (
        [outcome] if outcome else []
    )
    if outcome == "human":
        [state] = [event.payload for event in events]
        assert isinstance(state, State)
        holder = WEI if change is to_wei else person
        assert (state.assignee_id, state.assignee) == (holder.agent_id, holder.name)


def test_the_assistant_writes_only_where_no_person_has_it() -> None:
    assert [takeover.answer(head(mode)) for mode in ("bot", "waiting")] == [[], []]
    with pytest.raises(TakenByAnother) as taken:
        takeover.answer(head("human", "a_mia"))
    assert taken.value.holder == "a_mia"
    with pytest.raises(ConversationClosed):
        takeover.answer(head("closed"))


@pytest.mark.parametrize("mode", ["bot", "waiting", "human"])
def test_only_what_is_closed_reopens(mode: Mode) -> None:
    assert takeover.reopen(head(mode)) == []
    [reopened] = takeover.reopen(head("closed"))
    assert reopened.payload == State("bot", reason="reopened")


def test_the_wish_for_a_person_waits_for_one_unless_there_is_one() -> None:
    for mode in ("bot", "closed"):
        [waiting] = takeover.queue("asked", place=3)(head(mode))
        assert waiting.payload == State("waiting", reason="asked", queue_position=3)
    assert takeover.queue("asked", place=3)(head("waiting")) == [], "who asks again keeps their place"
    with pytest.raises(TakenByAnother):
        takeover.queue("asked")(head("human", "a_mia"))
