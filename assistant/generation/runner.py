"""The tensors: prompts are read one at a time, then all answers advance together by one token per step.

Rows of a batch have their keys and values aligned at the right end; shorter rows are padded on the left and
masked. Models whose layers keep less than the whole past (sliding windows, state spaces) cannot be padded
so: theirs advance one after another.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.functional import pad
from transformers.cache_utils import Cache, DynamicLayer

from assistant.generation.loader import AnyModel
from assistant.generation.sequence import Sequence


class Runner:
    """Holds what the model computed for every running sequence. Only the model's thread calls it."""

    def __init__(self, model: AnyModel, device: torch.device) -> None:
        self._model = model
        self._device = device
        self._batches: list[Batch] = []

    @property
    def num_running(self) -> int:
        """How many sequences hold a place."""
        return sum(len(batch.rows) for batch in self._batches)

    @torch.inference_mode()
    def start(self, sequence: Sequence) -> None:
        """Read the sequence's prompt, choose its first token, and give it a place in the batch."""
        ids = torch.tensor([sequence.prompt_ids], device=self._device)
        output = self._model(input_ids=ids, use_cache=True, logits_to_keep=1)
        sequence.accept(output.logits[0, -1].float().cpu())
        self._place(Batch(sequence, output.past_key_values))

    @torch.inference_mode()
    def step(self, on_error: Callable[[list[Sequence], Exception], None]) -> None:
        """Choose one more token for every running sequence.

        When the model throws, the sequences it was computing lose their places and go to ``on_error``.
        """
        for batch in list(self._batches):
            try:
                logits = self._forward(batch)
            except Exception as error:  # whatever a model throws must not end the others
                self._batches.remove(batch)
                on_error(batch.rows, error)
                continue
            for row, row_logits in zip(batch.rows, logits, strict=True):
                try:
                    row.accept(row_logits)
                except Exception as error:  # such as logits that are not numbers, in this row alone
                    on_error([row], error)

    def drop(self, sequences: list[Sequence]) -> None:
        """Free the places of these sequences."""
        for batch in self._batches:
            batch.drop(sequences)
        self._batches = [batch for batch in self._batches if batch.rows]

    def _forward(self, batch: Batch) -> torch.Tensor:
        """The next token's logits of shape (rows, vocabulary), on the CPU; the batch grows by one position."""
        tokens = torch.tensor([[row.output_ids[-1]] for row in batch.rows], device=self._device)
        output = self._model(
            input_ids=tokens,
            attention_mask=batch.attention_mask(self._device),
            position_ids=batch.positions(self._device),
            past_key_values=batch.cache,
            use_cache=True,
        )
        batch.grow()
        logits: torch.Tensor = output.logits[:, -1].float().cpu()
        return logits

    def _place(self, batch: Batch) -> None:
        if self._batches and batch.can_join and self._batches[0].can_join:
            self._batches[0].join(batch)
        else:
            self._batches.append(batch)


class Batch:
    """Sequences that advance together: row ``i`` of ``cache`` has ``lengths[i]`` real positions at its right end."""

    def __init__(self, sequence: Sequence, cache: Cache) -> None:
        self.rows = [sequence]
        self.cache = cache
        self._lengths = [len(sequence.prompt_ids)]
        self._width = self._lengths[0]

    @property
    def can_join(self) -> bool:
        """Whether other sequences may be padded into the same tensors."""
        return all(type(layer) is DynamicLayer for layer in self.cache.layers)

    def attention_mask(self, device: torch.device) -> torch.Tensor | None:
        """Of shape (rows, width + 1), the new token included; None where no row is padded."""
        if all(length == self._width for length in self._lengths):
            return None
        first = torch.tensor([[self._width - length] for length in self._lengths], device=device)
        return (torch.arange(self._width + 1, device=device) >= first).long()

    def positions(self, device: torch.device) -> torch.Tensor:
        """Of shape (rows, 1): where in its own text each row's new token stands."""
        return torch.tensor([[length] for length in self._lengths], device=device)

    def grow(self) -> None:
        """Count the token that the model has just added to every row."""
        self._lengths = [length + 1 for length in self._lengths]
        self._width += 1

    def join(self, other: Batch) -> None:
        """Take in another batch's rows, padding the shorter of the two on the left."""
        width = max(self._width, other._width)
        for layer, added in zip(self._layers(), other._layers(), strict=True):
            layer.keys = torch.cat([_padded(layer.keys, width), _padded(added.keys, width)])
            layer.values = torch.cat([_padded(layer.values, width), _padded(added.values, width)])
        self.rows += other.rows
        self._lengths += other._lengths
        self._width = width

    def drop(self, sequences: list[Sequence]) -> None:
        """Take rows out, and the padding that only they needed."""
        kept = [place for place, row in enumerate(self.rows) if row not in sequences]
        if len(kept) == len(self.rows):
            return
        self.rows = [self.rows[place] for place in kept]
        self._lengths = [self._lengths[place] for place in kept]
        if self.rows and self.can_join:
            self._select(kept, max(self._lengths))

    def _select(self, kept: list[int], width: int) -> None:
        start = self._width - width
        for layer in self._layers():
            indices = torch.tensor(kept, device=_some(layer.keys).device)
            layer.keys = _some(layer.keys)[:, :, start:].index_select(0, indices)
            layer.values = _some(layer.values)[:, :, start:].index_select(0, indices)
        self._width = width

    def _layers(self) -> list[DynamicLayer]:
        return [layer for layer in self.cache.layers if isinstance(layer, DynamicLayer)]


def _some(states: torch.Tensor | None) -> torch.Tensor:
    assert states is not None, "a layer is filled by the prompt, before any sequence joins or leaves"
    return states


def _padded(states: torch.Tensor | None, width: int) -> torch.Tensor:
    """Keys or values (rows, heads, positions, size) with zeros on the left up to ``width`` positions."""
    return pad(_some(states), (0, 0, width - _some(states).shape[-2], 0))
