from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from assistant.errors import StorageError
from assistant.generation import quantized as quantizing
from assistant.generation.conversion import Conversion, converted
from assistant.generation.loader import load_base_model
from tests.generation.tiny import tiny_settings

pytestmark = pytest.mark.unit

V1, V2 = Conversion("made", 10, {"version": "1"}), Conversion("made", 10, {"version": "2"})


@pytest.fixture
def write() -> Callable[[Path], None]:
    """Writes one file, and counts in it how often it was called."""
    calls: list[Path] = []

    def write(folder: Path) -> None:
        calls.append(folder)
        folder.mkdir()
        (folder / "weights").write_text(str(len(calls)))

    return write


def test_it_is_made_once(tmp_path: Path, write: Callable[[Path], None]) -> None:
    first, second = (converted(tmp_path, V1, write) for _ in range(2))
    assert first == second == tmp_path / "made"
    assert (first / "weights").read_text() == "1"


def test_what_was_made_from_others_or_is_damaged_is_made_again(tmp_path: Path, write: Callable[[Path], None]) -> None:
    converted(tmp_path, V1, write)
    assert (converted(tmp_path, V2, write) / "weights").read_text() == "2"
    (tmp_path / "made" / "weights").write_text("x")
    assert (converted(tmp_path, V2, write) / "weights").read_text() == "3"


def test_what_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def full(folder: Path) -> None:
        folder.mkdir()
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError):
        converted(tmp_path, V1, full)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_kept_4_bit_weights_give_the_same_logits(tiny_folder: Path, tmp_path: Path) -> None:
    model = load_base_model(tiny_settings(tmp_path, tiny_folder, quantize="nf4")).model
    (tmp_path / "cache" / "hf").mkdir(parents=True)
    (tmp_path / "cache" / "hf" / "manifest.json").write_text("{}")
    kept = quantizing.quantized(tmp_path / "cache" / "hf", torch.bfloat16, lambda: model)
    assert kept is not None
    again = load_base_model(tiny_settings(tmp_path, tiny_folder, quantize="nf4")).model.__class__.from_pretrained(kept)
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        assert torch.equal(model(ids).logits, again(ids).logits.to(model.dtype))


def test_where_they_cannot_be_kept_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "manifest.json").write_text("{}")
    monkeypatch.setattr(quantizing, "QUANTIZED_BYTES", 1 << 60)
    assert quantizing.quantized(tmp_path / "hf", torch.bfloat16, lambda: pytest.fail("quantized for nothing")) is None
