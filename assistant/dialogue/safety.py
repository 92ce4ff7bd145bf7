"""What is said to a message of concern: kind, the same in every tone, and never by the model."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from assistant.config import HandoffSettings
from assistant.conversation.events import Decision
from assistant.dialogue import replies
from assistant.values import Concern


@dataclass(frozen=True, slots=True)
class FixedReply:
    """A text, what it decides, whether it offers a person to choose, and why, for the record."""

    text: str
    decision: Decision
    wants_person: bool
    reason: str


def fixed_reply(
    concern: Concern, language: replies.Written, handoff: HandoffSettings, *, repeated: bool = False
) -> FixedReply:
    """The reply to a message of concern.

    Danger and matters for people go to a person at once; an insult does when it is ``repeated``. What is forbidden and
    what is an instruction to the assistant itself is declined, and help with the shop's own matters is offered.
    """
    match concern:
        case "harm":
            return FixedReply(say("harm", language), "abstained", False, "it asks for something harmful or illegal")
        case "injection":
            return FixedReply(say("injection", language), "abstained", False, "it instructs the assistant itself")
        case "self_harm":
            text = replies.paragraphs(say("self_harm", language), replies.contact(language, handoff))
            return FixedReply(text, "handoff", False, "a person may be in danger")
        case "sensitive":
            return _to_a_person(
                replies.paragraphs(say("sensitive", language), say("hurt", language)),
                language,
                handoff,
                "a legal threat, an accident, data or the press: a matter for people",
            )
        case "abuse":
            if repeated:
                return _to_a_person(say("abuse_again", language), language, handoff, "it insults again")
            return FixedReply(say("abuse", language), "abstained", True, "it insults the assistant or the staff")


def say(key: str, language: replies.Written) -> str:
    """A text of ``safety.toml``."""
    return _texts()[key][language].strip()


def openings() -> tuple[str, ...]:
    """How every such reply begins, so that a measurement can tell them from other answers."""
    return tuple(text.strip() for key, texts in _texts().items() if key != "hurt" for text in texts.values())


def _to_a_person(text: str, language: replies.Written, handoff: HandoffSettings, reason: str) -> FixedReply:
    details = replies.contact(language, handoff)
    leave = replies.say("leave_address" if details else "only_address", language)
    return FixedReply(replies.paragraphs(text, details, leave), "handoff", False, reason)


@lru_cache(maxsize=1)
def _texts() -> dict[str, dict[replies.Written, str]]:
    return tomllib.loads((files("assistant.dialogue") / "safety.toml").read_text(encoding="utf-8"))
