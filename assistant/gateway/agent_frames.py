"""The frames an agent is sent: events with their position and all that is private, the list, and direct replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from assistant.config import GatewaySettings
from assistant.conversation.agents import Agent
from assistant.conversation.events import ConversationId, Event, Mode, to_record
from assistant.conversation.log import Head
from assistant.conversation.overview import Summary
from assistant.gateway.frames import Frame, ephemeral
from assistant.gateway.protocol import VERSION, Refusal
from assistant.gateway.roles import permissions_of


def agent_event_frame(event: Event) -> Frame:
    """A committed event as the company's own people see it. Never for a visitor's socket."""
    numbers: Frame = {"position": event.position, **({} if event.seq is None else {"seq": event.seq})}
    data = {key: value for key, value in to_record(event.payload).items() if value is not None and value != ()}
    return {
        "v": VERSION,
        "type": event.kind,
        "conversation_id": event.conversation_id,
        **numbers,
        "ts": event.ts,
        "data": data | {"author": event.author},
    }


def agent_welcome(
    agent: Agent, colleagues: Sequence[Agent], settings: GatewaySettings, *, max_subscriptions: int
) -> Frame:
    """The first frame: who one is, what one may do, and who else there is."""
    data = {
        "agent": _named(agent),
        "permissions": permissions_of(agent.role),
        "colleagues": [_named(colleague) for colleague in colleagues],
        "heartbeat_s": settings.heartbeat_s,
        "limits": {
            "max_text_chars": settings.max_text_chars,
            "max_frame_bytes": settings.max_frame_bytes,
            "max_subscriptions": max_subscriptions,
        },
    }
    return ephemeral("welcome", None, data)


def listed(summaries: Sequence[Summary], counts: Mapping[Mode, int], *, is_whole: bool) -> Frame:
    """The list of conversations, or what changed in it."""
    shown = [asdict(summary) for summary in summaries]
    return ephemeral("conversations", None, {"is_whole": is_whole, "counts": dict(counts), "conversations": shown})


def subscribed(head: Head) -> Frame:
    """The conversation is shown from now on."""
    return ephemeral("subscribed", head.conversation_id, _stand(head))


def agent_snapshot(head: Head, events: Sequence[Event]) -> Frame:
    """The conversation's latest events in one frame."""
    shown = [agent_event_frame(event) for event in events]
    return ephemeral("snapshot", head.conversation_id, {**_stand(head), "events": shown})


def agent_ack(conversation_id: ConversationId, command: str, position: int, client_msg_id: str | None) -> Frame:
    """What was asked for is on the disk."""
    about = {} if client_msg_id is None else {"client_msg_id": client_msg_id}
    return ephemeral("ack", conversation_id, {"command": command, "position": position, **about})


def agent_error(
    refusal: Refusal, *, conversation_id: ConversationId | None, command: str | None, holder: Agent | None
) -> Frame:
    """What was not done, why, what to do, and where somebody else has the conversation, who."""
    data: Frame = {"code": refusal.code, "message": str(refusal)}
    if command is not None:
        data["command"] = command
    if refusal.client_msg_id is not None:
        data["client_msg_id"] = refusal.client_msg_id
    if refusal.retry_after_ms is not None:
        data["retry_after_ms"] = refusal.retry_after_ms
    if holder is not None:
        data["holder"] = {"agent_id": holder.agent_id, "name": holder.name}
    return ephemeral("error", conversation_id, data)


def _named(agent: Agent) -> Frame:
    return {"agent_id": agent.agent_id, "name": agent.name, "role": agent.role}


def _stand(head: Head) -> Frame:
    return {
        "epoch": head.epoch,
        "last_position": head.last_position,
        "mode": head.mode,
        "assignee": head.assignee,
    }
