"""Who an action is for: the customer whom the site has signed in, or whoever the slots' values identify.

The signed-in customer's id comes with the message, as the gateway has verified it. No text, slot or earlier step can
set or replace it, and it counts for the message that it came with: who has signed out since is asked like anybody else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from assistant.actions.folding import fold
from assistant.actions.results import at
from assistant.config import ActionSettings, SlotSettings

APART = re.compile(r"[\s()-]+")


@dataclass(frozen=True, slots=True)
class Identity:
    """One action's view of the customer; ``user_id`` is None unless the site vouches for them."""

    action: ActionSettings
    user_id: str | None

    @property
    def is_by_login(self) -> bool:
        """Whether the sign-in says who they are, and nothing need be asked for that."""
        return self.action.login is not None and self.user_id is not None

    @property
    def needs_login(self) -> bool:
        """Whether the action is for signed-in customers alone, and this one is none."""
        return self.action.login is not None and self.action.login.required and self.user_id is None

    @property
    def slots(self) -> tuple[SlotSettings, ...]:
        """What has to be asked of this customer."""
        return tuple(slot for slot in self.action.slots if slot.name not in self._skipped)

    def sent(self, arguments: Mapping[str, str]) -> dict[str, str]:
        """What a call is sent: the values asked for, and the user id of who is signed in."""
        asked = {slot.name for slot in self.slots}
        values = {name: value for name, value in arguments.items() if name in asked}
        return values | self._login

    def identifying(self, arguments: Mapping[str, str]) -> dict[str, str]:
        """What the call that identifies is sent: the identifiers, with the user id in place of what is skipped."""
        known = {name: arguments[name] for name in self.action.identifiers if name not in self._skipped}
        return known | self._login

    @property
    def claimed(self) -> frozenset[str]:
        """The slots whose values say who the customer is, or whose thing it is."""
        return frozenset({*self.action.identifiers, *self.action.verify} - {*self._skipped})

    def claims(self, arguments: Mapping[str, str]) -> dict[str, str]:
        """What they say, written in one way; the user id counts too, of whoever is signed in."""
        said = {name: _bare(value) for name, value in arguments.items() if name in self.claimed}
        return said | self._login

    def owns(self, body: Mapping[str, object], arguments: Mapping[str, str]) -> bool:
        """Whether a call's answer is about this customer, as far as the settings say how to tell."""
        asked = {slot: path for slot, path in self.action.verify.items() if slot not in self._skipped}
        if not all(_alike(at(body, path), arguments[slot]) for slot, path in asked.items()):
            return False
        login = self.action.login
        return not self.is_by_login or login is None or not login.owner or at(body, login.owner) == self.user_id

    @property
    def _skipped(self) -> tuple[str, ...]:
        return self.action.login.skip if self.action.login and self.is_by_login else ()

    @property
    def _login(self) -> dict[str, str]:
        if self.action.login is None or self.user_id is None:
            return {}
        return {self.action.login.field: self.user_id}


def _alike(known: object, given: str) -> bool:
    return isinstance(known, str) and _bare(known) == _bare(given)


def _bare(value: str) -> str:
    return APART.sub("", fold(value))
