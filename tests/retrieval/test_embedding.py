"""Loading encoders, and what they promise."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from assistant.config import Settings
from assistant.errors import ModelError, ModelMissing
from assistant.retrieval.embedding import Encoders, load_encoders
from tests.conftest import REPOSITORY
from tests.retrieval.hashing import HashingEncoder

ENGLISH_AND_CHINESE = ["How do I return an item?", "如何退货？", "", "👍", "a" * 5000]


@pytest.mark.unit
def test_importing_retrieval_loads_no_torch() -> None:
    modules = "sources embedding index artifact calibration retriever".split()
    program = (
        "; ".join(f"import assistant.retrieval.{name}" for name in modules)
        + "; import sys; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=REPOSITORY)


@pytest.mark.unit
def test_english_goes_to_the_english_encoder_and_the_rest_to_the_other() -> None:
    encoders = Encoders(HashingEncoder("english"), HashingEncoder("multilingual"))
    assert [encoders.for_language(lang).name for lang in ("en", "zh", "de")] == [
        "english",
        "multilingual",
        "multilingual",
    ]


@pytest.mark.unit
def test_a_built_in_model_that_was_not_fetched_says_how(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="assistant models pull all-minilm-l6-v2"):
        load_encoders(Settings(cache_dir=tmp_path))


@pytest.mark.real
def test_a_folder_that_is_no_encoder_is_named(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    settings = Settings(retrieval={"english_encoder": str(tmp_path / "model")})
    with pytest.raises(ModelError, match=r"model' in .* cannot be loaded"):
        load_encoders(settings)


@pytest.mark.real
def test_a_name_that_is_nothing_is_refused_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    settings = Settings(cache_dir=tmp_path, retrieval={"english_encoder": "nobody/no-such-encoder"})
    with pytest.raises(ModelMissing, match=r"'nobody/no-such-encoder' is no built-in model.*\[retrieval\]"):
        load_encoders(settings)


@pytest.mark.real
def test_vectors_are_float32_of_length_one_in_the_order_given(real_encoders: Encoders) -> None:
    for encoder, dimension in ((real_encoders.english, 384), (real_encoders.multilingual, 512)):
        vectors = encoder.encode(ENGLISH_AND_CHINESE)
        assert vectors.dtype == np.float32
        assert vectors.shape == (len(ENGLISH_AND_CHINESE), dimension) == (5, encoder.dimension)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
        alone = np.concatenate([encoder.encode([text]) for text in ENGLISH_AND_CHINESE])
        np.testing.assert_allclose(vectors, alone, atol=1e-4)
        assert encoder.encode([]).shape == (0, dimension)


@pytest.mark.real
def test_several_threads_get_what_one_would(real_encoders: Encoders) -> None:
    texts = [f"Where is order number {number}?" for number in range(12)]
    for encoder in (real_encoders.english, real_encoders.multilingual):
        expected = encoder.encode(texts)
        with ThreadPoolExecutor(6) as pool:
            found = np.concatenate(list(pool.map(lambda text, encoder=encoder: encoder.encode([text]), texts)))
        np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.real
def test_a_fingerprint_follows_the_weights(real_encoders: Encoders, tmp_path: Path, settings: Settings) -> None:
    source, copy = settings.models_dir / "all-minilm-l6-v2", tmp_path / "copy"
    copy.mkdir()
    for path in source.rglob("*"):
        target = copy / path.relative_to(source)
        target.mkdir(exist_ok=True) if path.is_dir() else target.write_bytes(path.read_bytes())
    chosen = Settings(retrieval={"english_encoder": str(copy), "multilingual_encoder": str(copy)})
    same = load_encoders(chosen)
    assert same.english is same.multilingual
    assert same.english.fingerprint == real_encoders.english.fingerprint
    (copy / "1_Pooling" / "config.json").write_text(
        (copy / "1_Pooling" / "config.json").read_text(encoding="utf-8") + "\n", encoding="utf-8"
    )
    assert load_encoders(chosen).english.fingerprint != real_encoders.english.fingerprint
