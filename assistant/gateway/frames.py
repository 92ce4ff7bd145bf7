"""The frames a visitor is sent: events from the log, the running answer, and direct replies. No I/O."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

from assistant.config import Settings
from assistant.conversation.events import ConversationId, Event, Message, now, public_record
from assistant.conversation.log import Head
from assistant.dialogue import replies
from assistant.dialogue.live import LiveTurn
from assistant.gateway.protocol import VERSION, Refusal
from assistant.gateway.schemas import Error, Welcome
from assistant.language import primary_language

Frame = dict[str, object]

STATUS_TTL_MS = 15_000
STATUS_REFRESH_S = 10.0  # a phase that lasts is told again before the client's indicator goes out


def to_json(frame: Mapping[str, object]) -> str:
    """A frame as it goes on the wire."""
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))


def ephemeral(
    kind: str, conversation_id: ConversationId | None, data: Mapping[str, object], *, turn_id: str = ""
) -> Frame:
    """An ephemeral frame; before the ``welcome`` it has no conversation_id."""
    return {
        "v": VERSION,
        "type": kind,
        **({"conversation_id": conversation_id} if conversation_id else {}),
        "ts": now(),
        **({"turn_id": turn_id} if turn_id else {}),
        "data": dict(data),
    }


def event_frame(event: Event) -> Frame:
    """A committed public event, as socket, snapshot and REST show it: without what is private."""
    assert event.visibility == "public", "private events never leave the company's side"
    return {
        "v": VERSION,
        "type": event.kind,
        "conversation_id": event.conversation_id,
        "seq": event.seq,
        "ts": event.ts,
        "data": public_record(event.payload) | {"author": event.author},
    }


def welcome(head: Head, settings: Settings, *, locale: str) -> Frame:
    """The first frame: where the conversation stands, the limits, and what the widget shows around it."""
    language: replies.Written = "zh" if primary_language(locale) == "zh" else "en"
    language = language if locale else settings.default_language
    gateway, handoff = settings.gateway, settings.handoff
    data: Welcome = {
        "epoch": head.epoch,
        "last_seq": head.last_seq,
        "heartbeat_s": gateway.heartbeat_s,
        "limits": {
            "max_text_chars": gateway.max_text_chars,
            "max_frame_bytes": gateway.max_frame_bytes,
            "messages_per_minute": gateway.messages_per_minute,
        },
        "mode": head.mode,
        "brand": {"name": replies.local(settings.brand.name, language)},
        "greeting": replies.local(settings.brand.greeting, language),
        "handoff": {
            "email": handoff.email,
            "phone": replies.local(handoff.phone, language),
            "hours": replies.local(handoff.hours, language),
        },
    }
    return ephemeral("welcome", head.conversation_id, data)


def error(refusal: Refusal, conversation_id: ConversationId | None) -> Frame:
    """What was not done, why, and what to do."""
    data: Error = {"code": refusal.code, "message": str(refusal)}
    if refusal.client_msg_id is not None:
        data["client_msg_id"] = refusal.client_msg_id
    if refusal.retry_after_ms is not None:
        data["retry_after_ms"] = refusal.retry_after_ms
    return ephemeral("error", conversation_id, data)


class LiveCursor:
    """How much of the running answer one socket has been sent; gives the frames for the rest.

    However long the socket did not look, the rest is one ``delta``. Offsets are code points.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turn_id = ""
        self._phase = ""
        self._phase_sent_at = 0.0
        self._num_chars = 0
        self._final_id = ""

    def finish(self, final: Message) -> None:
        """The final message is sent: what may still be shown of its turn is void."""
        self._final_id = final.message_id

    def advance(self, turn: LiveTurn | None) -> list[Frame]:
        """What is new: ``turn.started`` once, ``status`` on a phase or when it gets old, ``delta`` on text."""
        if turn is None or turn.message_id == self._final_id:
            return []
        frames = self._start(turn) if turn.turn_id != self._turn_id else []
        if turn.phase != self._phase or self._clock() - self._phase_sent_at >= STATUS_REFRESH_S:
            self._phase, self._phase_sent_at = turn.phase, self._clock()
            frames.append(_of(turn, "status", {"phase": turn.phase, "ttl_ms": STATUS_TTL_MS}))
        if len(turn.text) > self._num_chars:
            new = {"message_id": turn.message_id, "index": self._num_chars, "text": turn.text[self._num_chars :]}
            frames.append(_of(turn, "delta", new))
            self._num_chars = len(turn.text)
        return frames

    def _start(self, turn: LiveTurn) -> list[Frame]:
        self._turn_id, self._phase, self._num_chars = turn.turn_id, "", 0
        return [_of(turn, "turn.started", {"message_id": turn.message_id, "reply_to": turn.reply_to})]


def _of(turn: LiveTurn, kind: str, data: Mapping[str, object]) -> Frame:
    return ephemeral(kind, turn.conversation_id, data, turn_id=turn.turn_id)
