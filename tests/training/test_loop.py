from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from assistant.generation import lora
from tests.generation.tiny import tiny_chat_model
from training.dataset import IGNORED, Example, collate
from training.loop import Schedule, _accumulate, _batches, _rate, train

pytestmark = pytest.mark.unit

SCHEDULE = Schedule(
    num_steps=2, batch_size=2, grad_accumulation=1, learning_rate=1e-2, warmup=0, max_grad_norm=1, seed=3
)
EXAMPLES = [Example(tuple(range(10, 10 + size)), (IGNORED, IGNORED, *range(12, 10 + size))) for size in (6, 12, 9, 20)]
RECORDED_LOSSES = [6.1878, 5.8161]
CPU = torch.device("cpu")


@pytest.fixture
def model(tiny_folder: Path) -> PeftModel:
    torch.manual_seed(1)
    return lora.create(tiny_chat_model(tiny_folder).model, rank=4, alpha=8, dropout=0)


def gradient(model: PeftModel) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_two_steps_hit_their_recorded_losses(model: PeftModel) -> None:
    losses = train(model, EXAMPLES, SCHEDULE, device=CPU, on_step=lambda _: None)
    assert losses == pytest.approx(RECORDED_LOSSES, abs=2e-3)


def test_the_loss_is_that_of_transformers(model: PeftModel) -> None:
    batch = collate(EXAMPLES[:2], CPU)
    expected = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, labels=batch.labels).loss
    assert _accumulate(model, [batch]) == pytest.approx(expected.item(), abs=1e-4)


def test_accumulating_small_batches_is_one_large_batch(model: PeftModel) -> None:
    whole_loss = _accumulate(model, [collate(EXAMPLES, CPU)])
    whole = gradient(model)
    model.zero_grad()
    parts_loss = _accumulate(model, [collate([example], CPU) for example in EXAMPLES])
    assert parts_loss == pytest.approx(whole_loss, abs=1e-4)
    assert torch.allclose(gradient(model), whole, atol=1e-5)


def test_only_the_lora_matrices_change(model: PeftModel) -> None:
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    train(model, EXAMPLES, SCHEDULE, device=CPU, on_step=lambda _: None)
    changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed
    assert all("lora_" in name for name in changed)


def test_one_pass_sees_every_example_once() -> None:
    examples = [Example((number,), (number,)) for number in range(50)]
    batches = _batches(examples, replace(SCHEDULE, batch_size=8))
    first = [next(batches) for _ in range(7)]
    assert sorted(example.input_ids[0] for batch in first for example in batch) == list(range(50))
    again = _batches(examples, replace(SCHEDULE, batch_size=8))
    assert [next(again) for _ in range(7)] == first


def test_the_rate_rises_and_then_falls_to_nothing() -> None:
    schedule = replace(SCHEDULE, num_steps=100, warmup=0.1)
    rates = [_rate(step, schedule) for step in range(101)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[10] == 1
    assert rates[100] == pytest.approx(0, abs=1e-9)
