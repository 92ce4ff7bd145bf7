"""Who may do what: one table, and what does not stand in it is denied.

Every frame on the agents' socket and every agents' or admin route of HTTP asks here. Visitors stand in it so that it
is said, and tested, that they may do none of this: what they may do is bound to their own conversation instead.
"""

from __future__ import annotations

from typing import Literal, get_args

from assistant.conversation.events import AgentRole
from assistant.gateway.protocol import Refusal

Role = Literal["visitor"] | AgentRole
Permission = Literal[
    "session.use",
    "conversation.list",
    "conversation.read",
    "conversation.claim",
    "conversation.release",
    "conversation.reply",
    "conversation.note",
    "conversation.label",
    "conversation.assign",
    "conversation.close",
    "conversation.override",
    "knowledge.read",
    "knowledge.edit",
    "server.operate",
]
"""``conversation.override``: to act on what somebody else has, or nobody, as if it were one's own. ``server.operate``:
what the admin key opens and no other permission names.
"""

_STAFF: frozenset[Role] = frozenset({"agent", "supervisor", "admin"})
_LEADS: frozenset[Role] = frozenset({"supervisor", "admin"})
_ADMIN: frozenset[Role] = frozenset({"admin"})

MATRIX: dict[Permission, frozenset[Role]] = {
    "session.use": _STAFF,
    "conversation.list": _STAFF,
    "conversation.read": _STAFF,
    "conversation.claim": _STAFF,
    "conversation.release": _STAFF,
    "conversation.reply": _STAFF,
    "conversation.note": _STAFF,
    "conversation.label": _STAFF,
    "conversation.assign": _STAFF,
    "conversation.close": _STAFF,
    "conversation.override": _LEADS,
    "knowledge.read": _LEADS,
    "knowledge.edit": _ADMIN,
    "server.operate": _ADMIN,
}
assert set(MATRIX) == set(get_args(Permission))


def may(role: Role, permission: Permission) -> bool:
    """Whether the table allows it; what it does not know is denied."""
    return role in MATRIX.get(permission, frozenset())


def require(role: Role, permission: Permission) -> None:
    """Raises `Refusal` (``forbidden``) where the table does not allow it."""
    if not may(role, permission):
        raise Refusal(
            "forbidden", f"The role {role} has not the permission {permission}.", fix="Ask somebody who has it."
        )


def permissions_of(role: Role) -> list[Permission]:
    """Everything the role may do, in the table's order."""
    return [permission for permission, roles in MATRIX.items() if role in roles]
