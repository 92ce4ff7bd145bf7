"""The built-in chat model's GGUF, unpacked once into safetensors beside it; every later start reads those."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from assistant import models
from assistant.generation.conversion import Conversion, converted

FOLDER = "hf"
CONVERTED_BYTES = 280_000_000


def unpacked(source: Path) -> Path:
    """The folder of safetensors made from the GGUF in ``source``, made now if it is not there or damaged.

    Takes about ten seconds the first time. Two processes may call it at once. Raises `StorageError`.
    """
    gguf = next(source.glob("*.gguf"))
    conversion = Conversion(FOLDER, CONVERTED_BYTES, {"source_sha256": models.sha256_of(gguf)})
    return converted(source, conversion, lambda folder: _write_safetensors(gguf, folder))


def _write_safetensors(gguf: Path, folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)
