from __future__ import annotations

import json
from pathlib import Path

import peft
import pytest
import torch

from assistant.errors import AdapterError, ModelError, ModelMissing
from assistant.generation.adapter_card import CARD, WEIGHTS, AdapterCard
from assistant.generation.cpu import available_cores
from assistant.generation.loader import load_base_model, load_chat_model
from assistant.generation.lora import create
from assistant.models import sha256_of
from tests.generation.tiny import save_tiny_model, tiny_settings

pytestmark = pytest.mark.unit


@pytest.fixture
def adapter(tiny_folder: Path, tmp_path: Path) -> Path:
    """An adapter that changes what the unquantized tiny model writes, with its card."""
    base = load_base_model(tiny_settings(tmp_path, tiny_folder))
    folder = tmp_path / "adapter-1"
    model = create(base.model, rank=4, alpha=8, dropout=0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    model.save_pretrained(folder)
    AdapterCard(
        base=base.name,
        base_fingerprint=base.fingerprint,
        quantization="none",
        template_sha256=base.chat_format.template_sha256,
        prompt_version="1",
        weights_sha256=sha256_of(folder / WEIGHTS),
    ).write(folder)
    return folder


def logits(settings: object) -> torch.Tensor:
    loaded = load_chat_model(settings)
    ids = torch.tensor([loaded.chat_format.render([{"role": "user", "content": "hi"}])])
    with torch.inference_mode():
        return loaded.model(input_ids=ids).logits


def edit_card(folder: Path, **changes: str) -> None:
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**card, **changes}))


@pytest.mark.parametrize("quantize", ["none", "nf4", "int8"])
def test_every_quantization_runs_on_the_cpu(tiny_folder: Path, tmp_path: Path, quantize: str) -> None:
    settings = tiny_settings(tmp_path, tiny_folder, quantize=quantize)
    exact = logits(tiny_settings(tmp_path, tiny_folder)).float()
    found = logits(settings).float()
    assert torch.nn.functional.cosine_similarity(found.flatten(), exact.flatten(), dim=0) > 0.95
    assert (quantize == "none") == torch.equal(found, exact)


def test_any_model_by_path_brings_its_limits(tiny_folder: Path, tmp_path: Path) -> None:
    loaded = load_chat_model(tiny_settings(tmp_path, tiny_folder, context_tokens=100_000))
    assert loaded.context_tokens == 4096
    assert loaded.languages is None
    assert loaded.adapter_name is None
    assert loaded.device.type == "cpu"


def test_the_fingerprint_tells_weights_apart_but_not_quantizations(tiny_folder: Path, tmp_path: Path) -> None:
    plain = load_base_model(tiny_settings(tmp_path, tiny_folder)).fingerprint
    quantized = load_base_model(tiny_settings(tmp_path, tiny_folder, quantize="nf4")).fingerprint
    other_folder = save_tiny_model(tmp_path / "other")
    weights = bytearray((other_folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (other_folder / "model.safetensors").write_bytes(weights)
    assert plain == quantized != load_base_model(tiny_settings(tmp_path, other_folder)).fingerprint


def test_a_model_without_template_is_refused(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "bare", template=None)
    with pytest.raises(ModelError, match="no chat template"):
        load_chat_model(tiny_settings(tmp_path, folder))


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="empty"):
        load_chat_model(tiny_settings(tmp_path, tmp_path / "empty"))


def test_a_built_in_model_that_was_not_pulled_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="assistant models pull smollm2-135m-instruct"):
        load_chat_model(tiny_settings(tmp_path, Path("smollm2-135m-instruct")))


def test_an_encoder_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="all-minilm-l6-v2"):
        load_chat_model(tiny_settings(tmp_path, Path("all-minilm-l6-v2")))


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_cuda_without_a_device_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no CUDA device"):
        load_chat_model(tiny_settings(tmp_path, tiny_folder, device="cuda"))


def test_an_adapter_is_served_unmerged(adapter: Path, tiny_folder: Path, tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, tiny_folder, adapter=adapter)
    loaded = load_chat_model(settings)
    assert loaded.adapter_name == "adapter-1"
    assert isinstance(loaded.model, peft.PeftModel)
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert not torch.equal(logits(settings), logits(tiny_settings(tmp_path, tiny_folder)))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"base_fingerprint": "f" * 64}, "was trained on"),
        ({"quantization": "nf4"}, "trained with quantize = nf4"),
        ({"template_sha256": "f" * 64}, "another chat template"),
        ({"weights_sha256": "f" * 64}, "has sha256 .* expected ffff"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(
    adapter: Path, tiny_folder: Path, tmp_path: Path, change: dict[str, str], problem: str
) -> None:
    edit_card(adapter, **change)
    with pytest.raises(AdapterError, match=problem):
        load_chat_model(tiny_settings(tmp_path, tiny_folder, adapter=adapter))


@pytest.mark.parametrize("name", [CARD, WEIGHTS, "adapter_config.json"])
def test_an_adapter_with_a_missing_file_is_refused(adapter: Path, tiny_folder: Path, tmp_path: Path, name: str) -> None:
    (adapter / name).unlink()
    with pytest.raises(AdapterError, match="adapter-1"):
        load_chat_model(tiny_settings(tmp_path, tiny_folder, adapter=adapter))


def test_a_missing_adapter_folder_is_named(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"nowhere does not exist"):
        load_chat_model(tiny_settings(tmp_path, tiny_folder, adapter=tmp_path / "nowhere"))


def test_the_containers_quota_bounds_the_cores(tmp_path: Path) -> None:
    limit = tmp_path / "cpu.max"
    limit.write_text("100000 100000\n")
    assert available_cores(limit) == 1
    limit.write_text("max 100000\n")
    unlimited = available_cores(limit)
    assert unlimited == available_cores(tmp_path / "nothing") >= 1
