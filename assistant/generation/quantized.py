"""The built-in chat model in 4 bits, quantized once for the CPU, where that takes longer than all else of a start.

Measured on 2 cores: 10.7 s of computing to load and quantize, 1.5 s to read what was quantized; the logits are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import structlog
import torch
from transformers import PreTrainedModel

from assistant import models
from assistant.errors import StorageError
from assistant.generation.conversion import Conversion, converted

log = structlog.get_logger(__name__)

FOLDER = "nf4"
QUANTIZED_BYTES = 120_000_000


def quantized(unpacked: Path, dtype: torch.dtype, quantize: Callable[[], PreTrainedModel]) -> Path | None:
    """The folder of the weights that ``quantize`` makes of those in ``unpacked``; None where they cannot be kept.

    Another version of the libraries makes them again. Two processes may call it at once.
    """
    made_by = {name: version(name) for name in ("bitsandbytes", "transformers")}
    made_from = {"source_sha256": models.sha256_of(unpacked / models.MANIFEST), "dtype": str(dtype), **made_by}
    try:
        return converted(
            unpacked.parent,
            Conversion(FOLDER, QUANTIZED_BYTES, made_from),
            lambda folder: quantize().save_pretrained(folder),
        )
    except StorageError as error:
        log.info("model.quantized_not_kept", cause=error.message)
        return None
