"""How the next token is chosen from one row of logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from assistant.values import Sampling

# A nucleus is nearly always within these; sorting all of a 49152-token vocabulary takes 6 ms, these 0.5 ms.
NUM_CANDIDATES = 1024


def choose(
    logits: torch.Tensor, generated: Sequence[int], sampling: Sampling, generator: torch.Generator | None = None
) -> int:
    """The next token id from logits of shape (vocabulary,).

    Repetition penalty (Keskar et al. 2019) looks at generated tokens only: an answer should repeat the words
    of the passages in its prompt. Then temperature, top-k and top-p (Holtzman et al. 2020), in that order.
    """
    scores = penalize(logits.float(), generated, sampling.repetition_penalty)
    if sampling.temperature == 0:
        return int(scores.argmax())
    probabilities, ids = nucleus(scores / sampling.temperature, top_k=sampling.top_k, top_p=sampling.top_p)
    return int(ids[torch.multinomial(probabilities, 1, generator=generator)])


def penalize(scores: torch.Tensor, generated: Sequence[int], penalty: float) -> torch.Tensor:
    """Scores with every generated token's made less likely; a penalty of 1 changes nothing."""
    if penalty == 1 or not generated:
        return scores
    ids = torch.tensor(sorted(set(generated)), device=scores.device)
    seen = scores[ids]
    return scores.index_copy(0, ids, torch.where(seen < 0, seen * penalty, seen / penalty))


def nucleus(scores: torch.Tensor, *, top_k: int, top_p: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities (not normalised) and ids of the tokens that may be drawn, the likeliest first.

    They are the fewest of the ``top_k`` (0: all) that hold ``top_p`` of the probability.
    """
    size = scores.shape[-1]
    best, ids = scores.topk(min(top_k or NUM_CANDIDATES, size))
    total = best.logsumexp(-1) if top_k else scores.logsumexp(-1)
    probabilities = (best - total).exp()
    if not top_k and len(ids) < size and float(probabilities.sum()) < top_p:
        best, ids = scores.sort(descending=True)
        probabilities = (best - total).exp()
    num_kept = int((probabilities.cumsum(-1) - probabilities < top_p).sum())
    return probabilities[: max(num_kept, 1)], ids[: max(num_kept, 1)]
