"""Conversations become token ids and labels, in the prompt and template that serving uses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from assistant.errors import DatasetError
from assistant.generation.chat_format import ChatFormat
from assistant.values import ChatMessage
from training.transcripts import Conversation

# What cross entropy leaves out.
IGNORED = -100


@dataclass(frozen=True, slots=True)
class Example:
    """One conversation: every token's id, and its label, which is the id itself where an agent writes."""

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Dataset:
    """The examples of a corpus. ``num_shortened`` lost old turns to fit; ``num_too_long`` could not fit."""

    examples: tuple[Example, ...]
    num_shortened: int
    num_too_long: int

    @property
    def num_tokens(self) -> int:
        """Tokens of one pass over the data."""
        return sum(len(example.input_ids) for example in self.examples)


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples padded on the right to one length: three tensors of shape (examples, tokens)."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    labels: torch.Tensor


def build_dataset(
    conversations: Iterable[Conversation], chat_format: ChatFormat, system: ChatMessage, *, max_length: int
) -> Dataset:
    """Render every conversation, its own system text or else ``system`` first.

    One that exceeds ``max_length`` tokens loses its oldest exchanges; one whose last exchange alone does is left out.
    Raises `DatasetError` when nothing remains.
    """
    examples: list[Example] = []
    num_shortened = num_too_long = 0
    for conversation in conversations:
        own = ChatMessage(role="system", content=conversation.system) if conversation.system else None
        example, num_dropped = _fitting(own or system, conversation.messages, chat_format, max_length)
        if example is None:
            num_too_long += 1
            continue
        examples.append(example)
        num_shortened += num_dropped > 0
    if not examples:
        raise DatasetError(
            f"All {num_too_long} conversations are longer than max_length = {max_length} tokens.",
            fix="Raise max_length, or shorten the answers.",
        )
    return Dataset(tuple(examples), num_shortened, num_too_long)


def collate(examples: Sequence[Example], device: torch.device) -> Batch:
    """Pad examples to the longest. Padding is masked by position: a pad id may also end a turn."""
    width = max(len(example.input_ids) for example in examples)

    def padded(rows: Iterable[Sequence[int]], filler: int) -> torch.Tensor:
        return torch.tensor([[*row, *[filler] * (width - len(row))] for row in rows], device=device)

    return Batch(
        input_ids=padded((example.input_ids for example in examples), 0),
        attention_mask=padded(([1] * len(example.input_ids) for example in examples), 0),
        labels=padded((example.labels for example in examples), IGNORED),
    )


def _fitting(
    system: ChatMessage, messages: Sequence[ChatMessage], chat_format: ChatFormat, max_length: int
) -> tuple[Example | None, int]:
    """The example of the latest exchanges that fit, and how many older ones were dropped."""
    for first in range(0, len(messages), 2):
        ids, mask = chat_format.render_with_mask([system, *messages[first:]])
        if len(ids) <= max_length:
            labels = (id_ if is_trained else IGNORED for id_, is_trained in zip(ids, mask, strict=True))
            return Example(tuple(ids), tuple(labels)), first // 2
    return None, len(messages) // 2
