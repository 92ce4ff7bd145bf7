"""From a model's name to a model that can write: base weights, quantization, adapter, chat template.

An adapter is served unmerged, on exactly the base, quantization and template it was trained on.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog
import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging
from transformers.utils.hub import cached_file

from assistant import models
from assistant.config import Settings
from assistant.errors import ModelError, ModelMissing
from assistant.generation.adapter_card import AdapterCard
from assistant.generation.chat_format import ChatFormat
from assistant.generation.cpu import available_cores
from assistant.generation.gguf import unpacked
from assistant.generation.quantized import quantized

if TYPE_CHECKING:
    from peft import PeftModel

log = structlog.get_logger(__name__)

SAMPLE_BYTES = 1 << 20
WEIGHT_FILES = ("*.safetensors", "*.bin", "*.gguf")

# peft's model is not a PreTrainedModel, though it forwards every call to one.
AnyModel: TypeAlias = "PreTrainedModel | PeftModel"


@dataclass(frozen=True, slots=True)
class ChatModel:
    """A loaded chat model and what one must know to write with it.

    ``fingerprint`` tells the base weights apart, whatever the quantization; ``context_tokens`` holds prompt
    and answer together.
    """

    model: AnyModel
    chat_format: ChatFormat
    name: str
    languages: tuple[str, ...] | None
    context_tokens: int
    device: torch.device
    dtype: torch.dtype
    quantization: str
    fingerprint: str
    adapter_name: str | None = None
    adapter: AdapterCard | None = None


def load_chat_model(settings: Settings) -> ChatModel:
    """Load the chat model that the settings name, with its adapter. Takes seconds: call it off the loop.

    Raises `ModelMissing`, `ModelTampered`, `AdapterError`, `StorageError` or `ModelError`.
    """
    folder = settings.generation.adapter
    card = AdapterCard.read(folder) if folder else None  # what is wrong with it is said before the weights are read
    base = load_base_model(settings)
    return _with_adapter(base, folder, card) if folder and card else base


def load_base_model(settings: Settings) -> ChatModel:
    """Load the chat model without any adapter, as training needs it."""
    generation = settings.generation
    transformers_logging.disable_progress_bar()  # it runs for half a second
    device = _device(generation.device)
    dtype = _dtype(device)
    source = prepare(settings)
    model = _open_weights(settings, source, device=device, dtype=dtype)
    profile = models.profile(settings, generation.model)
    longest = profile.context_tokens or int(getattr(model.config, "max_position_embeddings", 0) or 1 << 20)
    return ChatModel(
        model=model,
        chat_format=ChatFormat.load(source, end_ids=_end_ids(model)),
        name=profile.name,
        languages=profile.languages,
        context_tokens=min(generation.context_tokens, longest),
        device=device,
        dtype=dtype,
        quantization=generation.quantize,
        fingerprint=fingerprint(settings, source),
    )


def prepare(settings: Settings) -> Path | str:
    """Where the weights can be read from; a built-in model is checked and, the first time, converted."""
    name = settings.generation.model
    source = models.model_path(settings, name)
    if name not in models.BUILT_IN:
        return source
    assert isinstance(source, Path)
    if models.BUILT_IN[name].kind != "chat":
        raise ModelError(
            f"{name} is a sentence encoder: it cannot write.", fix="Set [generation] model to a chat model."
        )
    models.verify(settings, name)
    return unpacked(source)


def fingerprint(settings: Settings, source: Path | str) -> str:
    """A sha256 that tells base weights apart: a built-in's pinned one, else over samples of the weight files."""
    built_in = models.BUILT_IN.get(settings.generation.model)
    if built_in:
        return built_in.wheel_sha256
    folder = Path(source) if Path(source).is_dir() else Path(str(cached_file(str(source), "config.json"))).parent
    digest = hashlib.sha256()
    for path in sorted(path for pattern in WEIGHT_FILES for path in folder.glob(pattern)):
        num_bytes = path.stat().st_size
        digest.update(f"{path.name} {num_bytes}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(SAMPLE_BYTES))
            file.seek(max(num_bytes - SAMPLE_BYTES, 0))
            digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()


def _device(wanted: str) -> torch.device:
    has_cuda = torch.cuda.is_available()
    if wanted == "cuda" and not has_cuda:
        raise ModelError("[generation] device is cuda, but torch finds no CUDA device.", fix="Set it to auto or cpu.")
    if wanted == "cpu" or not has_cuda:
        torch.set_num_threads(available_cores())
        return torch.device("cpu")
    return torch.device("cuda")


def _dtype(device: torch.device) -> torch.dtype:
    # GPUs before Ampere have no bfloat16.
    return torch.float16 if device.type == "cuda" and not torch.cuda.is_bf16_supported() else torch.bfloat16


def _open_weights(
    settings: Settings, source: Path | str, *, device: torch.device, dtype: torch.dtype
) -> PreTrainedModel:
    """The weights, quantized; a built-in model's are quantized once for the CPU, where it takes ten seconds."""
    generation = settings.generation

    def load() -> PreTrainedModel:
        return _load_weights(source, device=device, dtype=dtype, quantization=generation.quantize)

    if generation.model not in models.BUILT_IN or generation.quantize != "nf4" or device.type != "cpu":
        return load()
    assert isinstance(source, Path)
    kept = quantized(source, dtype, load)
    return load() if kept is None else _load_weights(kept, device=device, dtype=dtype, quantization="none")


def _load_weights(
    source: Path | str, *, device: torch.device, dtype: torch.dtype, quantization: str
) -> PreTrainedModel:
    options: dict[str, Any] = {"dtype": dtype, "device_map": {"": device}}
    if quantization == "nf4":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
        )
    elif quantization == "int8":
        options["quantization_config"] = BitsAndBytesConfig(load_in_8bit=True)
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(source, **options)
    except OSError as error:
        raise ModelMissing(
            f"The model {source} is neither a folder with a model nor reachable under this name: {error}.",
            fix="Correct [generation] model, or copy the model to this machine and name its folder.",
        ) from error
    except (ValueError, RuntimeError, ImportError, SafetensorError) as error:
        raise ModelError(
            f"The model {source} cannot be loaded with quantize = {quantization} on {device}: {error}.",
            fix="Check its files; set [generation] quantize to none if the model cannot be quantized.",
        ) from error
    model.eval()
    return model


def _end_ids(model: PreTrainedModel) -> frozenset[int]:
    configured = model.generation_config.eos_token_id if model.generation_config else model.config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    if ids == [None]:
        raise ModelError(
            "The model names no token that ends a turn.", fix="Add eos_token_id to generation_config.json."
        )
    return frozenset(ids)


def _with_adapter(base: ChatModel, folder: Path, card: AdapterCard) -> ChatModel:
    from assistant.generation.lora import attach  # peft takes three seconds that only an adapter needs

    card.require_fit(
        base=base.name,
        base_fingerprint=base.fingerprint,
        quantization=base.quantization,
        template_sha256=base.chat_format.template_sha256,
    )
    assert isinstance(base.model, PreTrainedModel)
    model = attach(base.model, folder)
    log.info("adapter.loaded", adapter=folder.name, base=base.name)
    return replace(base, model=model, adapter_name=folder.name, adapter=card)
