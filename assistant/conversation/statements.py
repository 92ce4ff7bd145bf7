"""The log's statements, built once.

Building one takes three times as long as running it, and SQLAlchemy finds the compiled form of one that stays.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, Update, and_, bindparam, exists, insert, or_, select, update

from assistant.conversation.tables import conversations, events

_this = events.c.conversation_id == bindparam("conversation_id")
_events = select(events).where(_this)
_limit: Any = bindparam("limit")  # typed as a number only
_before = events.c.position < bindparam("before")
_newest_first = events.c.position.desc()

HEAD = select(conversations).where(conversations.c.conversation_id == bindparam("conversation_id"))
HEAD_TO_CHANGE = HEAD.with_for_update()  # SQLite's writers are alone in any case
OPEN = insert(conversations)
INSERT_EVENTS = insert(events)

PUBLIC_AFTER = _events.where(events.c.seq > bindparam("after")).order_by(events.c.seq).limit(_limit)
AFTER = _events.where(events.c.position > bindparam("after")).order_by(events.c.position).limit(_limit)
LATEST_OF_KIND = _events.where(events.c.kind == bindparam("kind"), _before).order_by(_newest_first).limit(_limit)
MESSAGE = _events.where(events.c.message_id == bindparam("message_id"))
BY_CLIENT_KEY = _events.where(events.c.client_msg_id == bindparam("client_msg_id"))
BY_REPLY_TO = _events.where(events.c.reply_to == bindparam("reply_to"))


def _save_head() -> Update:
    changing = ("epoch", "last_position", "last_seq", "mode", "assignee", "updated_at")
    this = conversations.c.conversation_id == bindparam("changed_id")
    return update(conversations).where(this).values({name: bindparam(name) for name in changing})


SAVE_HEAD = _save_head()


def _unanswered() -> Select[Any]:
    """Customers' messages without an answer, which no person has dealt with, oldest first."""
    answer, later = events.alias("answer"), events.alias("later")
    answered = (answer.c.conversation_id == events.c.conversation_id) & (answer.c.reply_to == events.c.message_id)
    return (
        select(events)
        .join(conversations, conversations.c.conversation_id == events.c.conversation_id)
        .outerjoin(answer, answered)
        .where(events.c.kind == "message", events.c.author == "customer")
        .where(answer.c.position.is_(None), conversations.c.mode.in_(("bot", "waiting")))
        .where(~exists().where(_settles(later), later.c.position > events.c.position))
        .order_by(events.c.ts, events.c.position)
    )


def _settles(later: FromClause) -> ColumnElement[bool]:
    """Whether a later event of the conversation says that a person has dealt with what came before."""
    is_reply = and_(later.c.kind == "message", later.c.author == "agent")
    is_closing = and_(later.c.kind == "state", later.c.payload["mode"].as_string() == "closed")
    return and_(later.c.conversation_id == events.c.conversation_id, or_(is_reply, is_closing))


UNANSWERED = _unanswered()
UNANSWERED_IN = UNANSWERED.where(_this)
UNANSWERED_SINCE = UNANSWERED.where(conversations.c.updated_at >= bindparam("since"))
