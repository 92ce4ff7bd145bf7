from __future__ import annotations

import pytest
import torch
from transformers import RepetitionPenaltyLogitsProcessor, TopKLogitsWarper, TopPLogitsWarper

from assistant.generation.sampling import choose, nucleus, penalize
from assistant.values import Sampling

pytestmark = pytest.mark.unit


def logits(seed: int, *, size: int = 3000, spread: float = 3) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed)) * spread


def test_temperature_zero_takes_the_best() -> None:
    row = logits(1)
    assert choose(row, [], Sampling(temperature=0)) == int(row.argmax())


@pytest.mark.parametrize("top_p", [0.2, 0.9, 1.0])
@pytest.mark.parametrize("spread", [0.1, 3.0])
def test_the_nucleus_is_that_of_transformers(top_p: float, spread: float) -> None:
    row = logits(2, spread=spread)
    expected = TopPLogitsWarper(top_p)(None, row[None])[0].isfinite().nonzero().flatten()
    _, ids = nucleus(row, top_k=0, top_p=top_p)
    # At the edge of the nucleus a sum of 3000 floats may fall on either side.
    assert len(set(ids.tolist()) ^ set(expected.tolist())) <= 1


def test_top_k_comes_before_top_p() -> None:
    row = logits(3)
    expected = TopPLogitsWarper(0.8)(None, TopKLogitsWarper(20)(None, row[None]))[0].isfinite().nonzero().flatten()
    _, ids = nucleus(row, top_k=20, top_p=0.8)
    assert sorted(ids.tolist()) == expected.tolist()


def test_the_penalty_is_that_of_transformers() -> None:
    row, seen = logits(4), [5, 6, 6, 700]
    expected = RepetitionPenaltyLogitsProcessor(1.3)(torch.tensor([seen]), row[None].clone())[0]
    assert torch.equal(penalize(row, seen, 1.3), expected)


def test_the_penalty_leaves_the_models_logits_alone() -> None:
    row = logits(5)
    before = row.clone()
    choose(row, [1, 2, 3], Sampling(repetition_penalty=1.5))
    assert torch.equal(row, before)


def test_the_same_seed_draws_the_same_tokens() -> None:
    def draw(seed: int) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        return [choose(logits(n), [], Sampling(temperature=1, top_p=1), generator) for n in range(20)]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
