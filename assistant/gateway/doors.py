"""What the gateway needs for programs that use the assistant with an API key; `server.py` fits it."""

from __future__ import annotations

from dataclasses import dataclass

from assistant.conversation.api_keys import ApiKeys
from assistant.conversation.senders import ChannelSenders
from assistant.dialogue.responder import Responder


@dataclass(frozen=True)
class Doors:
    """Who may come in, whom they speak for, and who answers where nothing is stored.

    ``responder`` must have no business actions: each of their steps is an event of the log, and answers to
    ``/v1/chat/completions`` are in none.
    """

    keys: ApiKeys
    senders: ChannelSenders
    responder: Responder
