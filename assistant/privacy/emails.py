"""E-mail addresses (RFC 5321 lengths), also where no space parts them from the words around."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assistant.privacy.spans import Candidate

MAX_LOCAL = 64
MAX_DOMAIN = 255

LOCAL_RUN = re.compile(r"[A-Za-z0-9À-ɏ._%+'-]*\Z")
DOMAIN = re.compile(
    r"(?:[A-Za-z0-9À-ɏ](?:[A-Za-z0-9À-ɏ-]{0,61}[A-Za-z0-9À-ɏ])?\.){1,8}(?:xn--[A-Za-z0-9-]{2,59}|[A-Za-z]{2,24})"
    r"(?![A-Za-z0-9À-ɏ_])"
)
FILES = frozenset("png jpg jpeg gif svg webp pdf js css json html xml txt zip mp4 py".split())
NEXT_SENTENCE = re.compile(r"\.[A-Z][a-z]+\Z")  # "...@example.com.Thanks", typed without a space


def emails(text: str) -> Iterator[Candidate]:
    """The addresses of a folded text. Each ``@`` is looked at once, with bounded surroundings."""
    at = text.find("@")
    while at >= 0:
        local = LOCAL_RUN.search(text[max(0, at - MAX_LOCAL) : at])
        domain = DOMAIN.match(text, at + 1, at + 1 + MAX_DOMAIN)
        name = local.group().lstrip(".-'%+") if local else ""
        if name and domain:
            host = _without_next_sentence(domain.group())
            if host.rpartition(".")[2].lower() not in FILES:
                yield Candidate("email", at - len(name), at + 1 + len(host))
        at = text.find("@", at + 1)


def _without_next_sentence(host: str) -> str:
    follows = NEXT_SENTENCE.search(host)
    shorter = host[: follows.start()] if follows else host
    return shorter if "." in shorter and shorter == shorter.lower() else host
