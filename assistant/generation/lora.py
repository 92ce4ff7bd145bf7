"""LoRA matrices beside a base model (Hu et al. 2021), by peft: put on to serve, or made new to train."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import SafetensorError
from transformers import PreTrainedModel

from assistant.errors import AdapterError


def attach(base: PreTrainedModel, folder: Path) -> PeftModel:
    """Put the adapter in ``folder`` on ``base``, unmerged and not trainable. Raises `AdapterError`."""
    try:
        with _without_deprecations():
            model = PeftModel.from_pretrained(base, folder, is_trainable=False)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise AdapterError(
            f"The adapter {folder} cannot be put on its base: {error}.", fix="Train it again on this base."
        ) from error
    model.eval()
    return model


def create(base: PreTrainedModel, *, rank: int, alpha: int, dropout: float) -> PeftModel:
    """Trainable matrices beside every linear layer of ``base`` but its head; they change nothing yet."""
    config = LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    with _without_deprecations():
        model = get_peft_model(base, config)
    assert isinstance(model, PeftModel)
    return model


@contextmanager
def _without_deprecations() -> Iterator[None]:
    with warnings.catch_warnings():
        # peft 0.21 asks transformers 5.23 by a name that is to go; both still agree on what it means.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
        yield
