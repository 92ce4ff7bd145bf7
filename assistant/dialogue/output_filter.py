"""What a model's text must not carry out: its instructions, and links to where nobody of the company linked to.

Bounds: `MAX_HELD` characters are held back while they may become a link.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from assistant.config import Settings
from assistant.dialogue.leaks import Listener, Secrets
from assistant.dialogue.links import hides_foreign, host_of, hosts_in, unfinished_from, without_foreign
from assistant.values import ChatMessage, Passage

MAX_HELD = 2_048


class OutputGuard:
    """One process's own: its canary and the hosts that are the company's.

    Without a ``canary`` prompts stay as they are, and only the instructions' own words give a leak away.
    """

    def __init__(self, settings: Settings, *, canary: str = "") -> None:
        self._settings = settings
        self._canary = canary

    def mark(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        """The prompt with the canary at the end of its instructions."""
        system, *rest = messages
        if not self._canary:
            return [system, *rest]
        return [{"role": system["role"], "content": f"{system['content']}\n[{self._canary}]"}, *rest]

    def filter(self, messages: Sequence[ChatMessage], passages: Sequence[Passage], *, tenant: str) -> OutputFilter:
        """The filter for one answer to this prompt from these passages."""
        texts = [text for passage in passages for text in (passage.title, passage.text)]
        instructions = Secrets(messages[0]["content"], canary=self._canary, known=texts)
        return OutputFilter(instructions, hosts_in(texts) | self._own_hosts(tenant))

    def _own_hosts(self, tenant: str) -> frozenset[str]:
        settings = self._settings
        origins = (urlsplit(origin).hostname or "" for origin in settings.gateway.allowed_origins)
        mail = settings.handoff_of(tenant).email.rpartition("@")[2]
        named = (*settings.dialogue.allowed_hosts, *origins, mail)
        return frozenset(host for name in named if (host := host_of(name)))


class OutputFilter:
    """Text goes in as the model writes it and comes out as it may be shown, never with half a link at its end.

    At a leak, or a link in disguise, it stops: ``stopped`` says why, and nothing comes out any more.
    """

    def __init__(self, instructions: Secrets, allowed_hosts: Collection[str]) -> None:
        self.stopped = ""
        self._listener = Listener(instructions)
        self._allowed = allowed_hosts
        self._held = ""

    def take(self, text: str, *, last: bool = False) -> str:
        """Some more text; gives what is safe of all that was held. ``last``: no more will come."""
        if self.stopped:
            return ""
        self._held += text
        if self._listener.hears_secret(text):
            return self._stop("it gave away its instructions")
        ready = len(self._held) if last else unfinished_from(self._held)
        if len(self._held) - ready > MAX_HELD:
            return self._stop(f"it wrote more than {MAX_HELD} characters without an end")
        finished, self._held = self._held[:ready], self._held[ready:]
        return self._screened(finished)

    def _screened(self, finished: str) -> str:
        kept = without_foreign(finished, allowed=self._allowed)
        if hides_foreign(kept, allowed=self._allowed):
            return self._stop("it hid a link")
        return kept

    def _stop(self, reason: str) -> str:
        self.stopped, self._held = reason, ""
        return ""
