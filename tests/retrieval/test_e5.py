"""The encoder for passages: its file is read, converted once, and gives the vectors of the original."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from assistant import models
from assistant.config import Settings
from assistant.errors import ModelTampered
from assistant.retrieval.e5 import OnnxE5
from assistant.retrieval.e5_file import BLOCK, FILE, E5File, unpacked
from assistant.retrieval.embedding import E5, load_encoders


@pytest.mark.unit
def test_blocks_of_4_bits_are_numbers_around_zero_times_their_scale() -> None:
    blocks = np.zeros(1, dtype=[("scale", "<f2"), ("weights", "u1", (BLOCK // 2,))])
    blocks["scale"] = 0.5
    blocks["weights"][0, 0] = 0xF0
    row = unpacked(blocks)
    assert row.shape == (BLOCK,)
    assert (row[0], row[BLOCK // 2], row[1]) == (-4.0, 3.5, -4.0)


@pytest.mark.unit
@pytest.mark.parametrize("content", [b"", b"E5S1", b"E5S1" + b"\x02\0\0\0" * 30, b"PK\x03\x04" * 100])
def test_another_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / FILE
    path.write_bytes(content or b"\0")
    with pytest.raises(ModelTampered, match=r"cannot be read as multilingual-e5-small.*models pull"):
        E5File(path)


@pytest.fixture(scope="module")
def source() -> Path:
    settings = Settings()
    found = models.pull(settings, E5, progress=False)
    assert isinstance(found, Path)
    return found


@pytest.mark.real
def test_its_tokens_are_those_of_its_vocabulary(source: Path) -> None:
    tokens = E5File(source / FILE).tokenizer().encode("query: 如何退货？ Where is my order").tokens
    assert tokens[0] == "<s>"
    assert tokens[-1] == "</s>"
    assert "如何" in tokens
    assert "▁order" in tokens
    assert "<unk>" not in tokens


@pytest.mark.real
def test_a_question_finds_its_answer_in_either_language() -> None:
    encoder = load_encoders(Settings()).passage
    assert isinstance(encoder, OnnxE5)
    answers = ["You can return an item within 30 days.", "Our showroom is open on weekdays.", "退款 3 个工作日到账。"]
    passages = encoder.encode(answers, "passage")
    for question, best in (
        ("how do I send something back?", 0),
        ("when can I visit the shop?", 1),
        ("什么时候收到退款", 2),
    ):
        assert int((passages @ encoder.encode([question])[0]).argmax()) == best
    np.testing.assert_allclose(np.linalg.norm(passages, axis=1), 1, atol=1e-5)


@pytest.mark.real
def test_many_texts_at_once_give_the_same_vectors_as_one_by_one() -> None:
    encoder = load_encoders(Settings()).passage
    assert encoder is not None
    texts = [f"Where is order {number}?" for number in range(9)]
    np.testing.assert_array_equal(encoder.encode(texts), np.concatenate([encoder.encode([text]) for text in texts]))


@pytest.mark.real
@pytest.mark.timeout(600)
def test_it_is_converted_once_and_like_torch(source: Path, tmp_path: Path) -> None:
    from assistant.retrieval.e5_torch import TorchE5

    cache = tmp_path / "models" / E5
    cache.mkdir(parents=True)
    for name in (FILE, models.MANIFEST):
        shutil.copy2(source / name, cache / name)
    chosen = {"english_encoder": E5, "multilingual_encoder": E5, "passage_encoder": E5}
    encoders = load_encoders(Settings(cache_dir=tmp_path, retrieval=chosen))
    assert encoders.english is encoders.multilingual is encoders.passage
    torch = TorchE5(cache, name=E5, fingerprint="")
    texts = ["How do I return a lamp?", "台灯保修多久？", "A longer text about delivery, returns and refunds. " * 8]
    cosines = (encoders.english.encode(texts, "passage") * torch.encode(texts, "passage")).sum(axis=1)
    assert cosines.min() > 0.99
    assert not list(cache.glob(".int8-partial-*"))
