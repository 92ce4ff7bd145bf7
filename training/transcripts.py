"""Reads conversations to learn from: chat rows and transcript rows, as JSON Lines, plain or gzipped.

Two shapes, which may be mixed in one file:

    {"messages": [{"role": "user" | "assistant" | "system", "content": "..."}]}
    {"id": "...", "lang": "en", "turns": [{"role": "customer" | "agent", "text": "..."}]}
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from assistant.errors import DatasetError
from assistant.values import ChatMessage, Role

SHAPES = 'A row is {"messages": [{"role", "content"}]} or {"turns": [{"role", "text"}]}.'
MESSAGE_ROLES: Mapping[str, Role] = MappingProxyType({"system": "system", "user": "user", "assistant": "assistant"})
TURN_ROLES: Mapping[str, Role] = MappingProxyType({"customer": "user", "agent": "assistant"})


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns that begin with a customer and end with an answer, the two in turn.

    ``system`` is the row's own system text, if it has one.
    """

    messages: tuple[ChatMessage, ...]
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Corpus:
    """The conversations of one file, and how many of its rows had no answered question."""

    conversations: tuple[Conversation, ...]
    num_unanswered: int


def read_corpus(path: Path) -> Corpus:
    """Read every row of ``path`` (.jsonl or .jsonl.gz, UTF-8).

    Raises `DatasetError` with file and line for the first row that cannot be used, or if none can.
    """
    conversations = [_conversation(row, where) for where, row in _rows(path)]
    answered = tuple(conversation for conversation in conversations if conversation.messages)
    if not answered:
        raise DatasetError(f"{path} has no conversation in which a customer is answered.", fix=SHAPES)
    return Corpus(answered, len(conversations) - len(answered))


def _rows(path: Path) -> Iterator[tuple[str, dict[str, object]]]:
    number = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path}:{number}", _parse(line, f"{path}:{number}")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{path}:{number + 1}: cannot be read: {error}.", fix="Give a UTF-8 file, .jsonl or .jsonl.gz."
        ) from error


def _parse(line: str, where: str) -> dict[str, object]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DatasetError(f"{where}: is not JSON: {error}.", fix="Write one JSON object per line.") from error
    if not isinstance(row, dict):
        raise DatasetError(f"{where}: is {type(row).__name__}, not an object.", fix=SHAPES)
    return row


def _conversation(row: dict[str, object], where: str) -> Conversation:
    if "messages" in row:
        messages = list(_messages(row["messages"], where, roles=MESSAGE_ROLES, text_key="content"))
    elif "turns" in row:
        messages = list(_messages(row["turns"], where, roles=TURN_ROLES, text_key="text"))
    else:
        raise DatasetError(f"{where}: has neither messages nor turns.", fix=SHAPES)
    system = "\n".join(message["content"] for message in messages if message["role"] == "system")
    spoken = [message for message in messages if message["role"] != "system"]
    return Conversation(_alternating(spoken), system or None)


def _messages(turns: object, where: str, *, roles: Mapping[str, Role], text_key: str) -> Iterator[ChatMessage]:
    if not isinstance(turns, list):
        raise DatasetError(f"{where}: the turns are {type(turns).__name__}, not a list.", fix=SHAPES)
    for number, turn in enumerate(turns, start=1):
        if not isinstance(turn, dict):
            raise DatasetError(f"{where}: turn {number} is {type(turn).__name__}, not an object.", fix=SHAPES)
        role, text = turn.get("role"), turn.get(text_key)
        if not isinstance(role, str) or role not in roles:
            raise DatasetError(f"{where}: turn {number} has the role {role!r}.", fix=f"Use one of {', '.join(roles)}.")
        if not isinstance(text, str):
            raise DatasetError(f"{where}: turn {number} has no {text_key}.", fix=f"Put its text into {text_key}.")
        if text.strip():
            yield ChatMessage(role=roles[role], content=text.strip())


def _alternating(messages: Iterable[ChatMessage]) -> tuple[ChatMessage, ...]:
    """Turns of one role in a row become one; what precedes the first question or follows the last answer goes."""
    merged: list[ChatMessage] = []
    for message in messages:
        if merged and merged[-1]["role"] == message["role"]:
            content = merged[-1]["content"] + "\n" + message["content"]
            merged[-1] = ChatMessage(role=message["role"], content=content)
        elif merged or message["role"] == "user":
            merged.append(message)
    if merged and merged[-1]["role"] == "user":
        merged.pop()
    return tuple(merged)
