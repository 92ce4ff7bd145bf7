"""The optimisation itself: AdamW, warm-up and cosine decay, clipped gradients, a loss over agents' tokens."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from peft import PeftModel
from torch.nn.functional import cross_entropy

from assistant.errors import ModelError
from training.dataset import IGNORED, Batch, Example, collate

# Batches are cut from this many examples sorted by length, so that little is padding.
BATCHES_PER_BUCKET = 16


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn; ``warmup`` is the share of the steps in which the rate rises."""

    num_steps: int
    batch_size: int
    grad_accumulation: int
    learning_rate: float
    warmup: float
    max_grad_norm: float
    seed: int


@dataclass(frozen=True, slots=True)
class Step:
    """One finished step: its mean loss per supervised token, and all tokens and seconds so far."""

    number: int
    loss: float
    num_tokens: int
    elapsed_s: float


def train(
    model: PeftModel,
    examples: Sequence[Example],
    schedule: Schedule,
    *,
    device: torch.device,
    on_step: Callable[[Step], None],
) -> list[float]:
    """Optimise the model's trainable weights in place and return the loss of every step.

    The loss is the mean over the supervised tokens of all batches of a step, whatever their lengths.
    Raises `ModelError` when the loss is no number any more.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=schedule.learning_rate, weight_decay=0.0)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, schedule))
    batches = _batches(examples, schedule)
    losses: list[float] = []
    num_tokens, started = 0, time.perf_counter()
    model.train()
    for number in range(1, schedule.num_steps + 1):
        group = [collate(next(batches), device) for _ in range(schedule.grad_accumulation)]
        loss = _accumulate(model, group)
        if not math.isfinite(loss):
            raise ModelError(f"The loss is {loss} at step {number}.", fix="Lower the learning rate.")
        torch.nn.utils.clip_grad_norm_(trainable, schedule.max_grad_norm)
        optimizer.step()
        rate.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss)
        num_tokens += sum(int(batch.attention_mask.sum()) for batch in group)
        on_step(Step(number, loss, num_tokens, time.perf_counter() - started))
    model.eval()
    return losses


def _accumulate(model: PeftModel, group: Sequence[Batch]) -> float:
    num_targets = sum(int((batch.labels != IGNORED).sum()) for batch in group)
    total = 0.0
    for batch in group:
        loss = _summed_loss(model, batch) / num_targets
        loss.backward()
        total += float(loss.detach())
    return total


def _summed_loss(model: PeftModel, batch: Batch) -> torch.Tensor:
    # Logits only where some row has a label: a large vocabulary makes them the biggest tensor by far.
    kept = (batch.labels[:, 1:] != IGNORED).any(dim=0).nonzero().flatten()
    logits = model(
        input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False, logits_to_keep=kept
    ).logits
    targets = batch.labels[:, kept + 1]
    return cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum")


def _rate(step: int, schedule: Schedule) -> float:
    num_warmup = math.ceil(schedule.num_steps * schedule.warmup)
    if step < num_warmup:
        return (step + 1) / (num_warmup + 1)
    progress = (step - num_warmup) / max(schedule.num_steps - num_warmup, 1)
    return 0.5 * (1 + math.cos(math.pi * progress))


def _batches(examples: Sequence[Example], schedule: Schedule) -> Iterator[list[Example]]:
    """Endless passes over the examples, each in a new order."""
    generator = torch.Generator().manual_seed(schedule.seed)
    bucket_size = schedule.batch_size * BATCHES_PER_BUCKET
    while True:
        order = torch.randperm(len(examples), generator=generator).tolist()
        batches: list[list[Example]] = []
        for start in range(0, len(order), bucket_size):
            bucket = sorted(
                (examples[place] for place in order[start : start + bucket_size]), key=lambda item: len(item.input_ids)
            )
            batches += [bucket[at : at + schedule.batch_size] for at in range(0, len(bucket), schedule.batch_size)]
        for place in torch.randperm(len(batches), generator=generator).tolist():
            yield batches[place]
