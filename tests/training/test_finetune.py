from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from assistant.config import Settings
from assistant.errors import ConfigError, DatasetError, ModelError, StorageError
from assistant.generation.adapter_card import CARD, AdapterCard
from assistant.generation.engine import Engine
from assistant.values import ChatMessage, Sampling
from tests.generation.tiny import tiny_settings
from training import finetune as finetune_module
from training import loop
from training.finetune import SftOptions, finetune

pytestmark = pytest.mark.unit

QUESTION, ANSWER = "Who?", "你好 😀"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.jsonl"
    row = {"messages": [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]}
    path.write_text(json.dumps(row) + "\n")
    return path


def options(data: Path, out: Path, **changes: object) -> SftOptions:
    values = {"max_steps": 2, "epochs": 1000, "lora_rank": 8, "lora_dropout": 0.0, "batch_size": 1, **changes}
    return SftOptions(file=data, out=out, **values)


async def ask(settings: Settings) -> str:
    engine = Engine(settings)
    engine.load()
    engine.start()
    system = finetune_module.system_message(
        finetune_module.Voice(finetune_module._brand_name(settings), settings.style)
    )
    messages: list[ChatMessage] = [system, {"role": "user", "content": QUESTION}]
    try:
        sampling = Sampling(temperature=0, repetition_penalty=1, max_new_tokens=20)
        return "".join([piece.text async for piece in engine.stream(messages, sampling=sampling)])
    finally:
        engine.close()


@pytest.mark.parametrize("quantize", ["none", "nf4"])
async def test_a_trained_adapter_changes_what_is_served(
    data: Path, tiny_folder: Path, tmp_path: Path, quantize: str
) -> None:
    settings = tiny_settings(tmp_path, tiny_folder, quantize=quantize)
    run = options(data, tmp_path / "adapter", max_steps=60, learning_rate=2e-2, lora_rank=16, warmup=0.05)
    before = await ask(settings)
    report = finetune(settings, run, progress=False)
    served = tiny_settings(tmp_path, tiny_folder, quantize=quantize, adapter=run.out)
    assert before != ANSWER
    assert await ask(served) == ANSWER
    # The frozen head of the tiny model cannot be surer than that.
    assert report.loss_end < 0.5 < 3 < report.loss_start


def test_the_card_tells_the_run(data: Path, tiny_folder: Path, tmp_path: Path) -> None:
    report = finetune(tiny_settings(tmp_path, tiny_folder), options(data, tmp_path / "a" / "b"), progress=False)
    card = AdapterCard.read(tmp_path / "a" / "b")
    assert card.quantization == "none"
    assert card.training["num_steps"] == 2
    assert card.training["losses"] == [round(loss, 4) for loss in report.losses]
    assert str(tmp_path) not in (tmp_path / "a" / "b" / CARD).read_text().replace(card.base, "")
    assert "Trained 2 steps on 1 conversations" in str(report)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_the_same_seed_trains_the_same_adapter(data: Path, tiny_folder: Path, tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, tiny_folder)
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        finetune(settings, options(data, tmp_path / name, seed=seed, lora_dropout=0.1), progress=False)
    digests = [AdapterCard.read(tmp_path / name).weights_sha256 for name in ("one", "same", "other")]
    assert digests[0] == digests[1] != digests[2]


def test_an_adapter_is_replaced_only_when_asked(data: Path, tiny_folder: Path, tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, tiny_folder)
    finetune(settings, options(data, tmp_path / "adapter"), progress=False)
    first = AdapterCard.read(tmp_path / "adapter").weights_sha256
    with pytest.raises(ConfigError, match="holds an adapter already"):
        finetune(settings, options(data, tmp_path / "adapter", seed=5), progress=False)
    finetune(settings, options(data, tmp_path / "adapter", seed=5, overwrite=True), progress=False)
    assert AdapterCard.read(tmp_path / "adapter").weights_sha256 != first


def test_a_folder_that_is_no_adapter_is_never_replaced(data: Path, tiny_folder: Path, tmp_path: Path) -> None:
    precious = tmp_path / "home" / "letter.txt"
    precious.parent.mkdir()
    precious.write_text("dear")
    with pytest.raises(ConfigError, match="is no adapter"):
        finetune(tiny_settings(tmp_path, tiny_folder), options(data, precious.parent, overwrite=True), progress=False)
    assert precious.read_text() == "dear"


def test_an_interrupted_run_leaves_nothing_and_says_so(
    data: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(finetune_module, "train", interrupt)
    with pytest.raises(KeyboardInterrupt):
        finetune(tiny_settings(tmp_path, tiny_folder), options(data, tmp_path / "out" / "adapter"), progress=False)
    assert not (tmp_path / "out").exists()
    assert "Stopped at step 0 of 2: no adapter was written." in capsys.readouterr().err


def test_a_failed_write_leaves_nothing(
    data: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AdapterCard, "write", full)
    with pytest.raises(StorageError, match="No space left"):
        finetune(tiny_settings(tmp_path, tiny_folder), options(data, tmp_path / "out" / "adapter"), progress=False)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_loss_that_is_no_number_ends_the_run(
    data: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "cross_entropy", lambda logits, *_, **__: logits.sum() * math.nan)
    run = options(data, tmp_path / "adapter")
    with pytest.raises(ModelError, match=r"loss is nan at step 1.*Lower the learning rate"):
        finetune(tiny_settings(tmp_path, tiny_folder), run, progress=False)
    assert not run.out.exists()


def test_a_missing_file_is_told_before_the_model_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"missing\.jsonl"):
        finetune(tiny_settings(tmp_path, tmp_path / "no-model"), options(tmp_path / "missing.jsonl", tmp_path / "a"))


@pytest.mark.parametrize("change", [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": 2.0}, {"max_length": 8}])
def test_options_out_of_their_limits_are_named(tmp_path: Path, change: dict[str, float]) -> None:
    (name, value) = next(iter(change.items()))
    with pytest.raises(ConfigError, match=f"{name} = {value}"):
        options(tmp_path / "data", tmp_path / "out", **change)
