"""Loading encoders, and what they promise."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from assistant import models
from assistant.config import Settings
from assistant.errors import ModelError, ModelMissing
from assistant.retrieval import onnx_encoder
from assistant.retrieval.embedding import CONVERTED, Encoders, load_encoders
from assistant.retrieval.sources import load_knowledge
from tests.conftest import REPOSITORY
from tests.retrieval.hashing import HashingEncoder

MINILM = "all-minilm-l6-v2"
ENGLISH_AND_CHINESE = ["How do I return an item?", "如何退货？", "", "👍", "a" * 5000, "half \ud83d"]


@pytest.mark.unit
def test_importing_retrieval_loads_no_torch() -> None:
    modules = "sources embedding onnx_encoder use index artifact calibration retriever".split()
    program = (
        "; ".join(f"import assistant.retrieval.{name}" for name in modules)
        + "; import sys; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=REPOSITORY)


@pytest.mark.unit
def test_an_index_may_do_without_an_encoder_for_passages() -> None:
    english, multilingual, passage = (HashingEncoder(name) for name in ("english", "multilingual", "passage"))
    assert list(Encoders(english, multilingual).by_system()) == ["english", "multilingual"]
    assert Encoders(english, multilingual, passage).by_system()["passage"] is passage


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
        assert vectors.shape == (6, dimension) == (6, encoder.dimension)
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


@pytest.fixture
def copy_of_minilm(settings: Settings, tmp_path: Path) -> Path:
    """The built-in English encoder, in a model cache that a test may change."""
    models_dir = tmp_path / "cache" / "models"
    shutil.copytree(settings.models_dir / MINILM, models_dir / MINILM, ignore=shutil.ignore_patterns(".*"))
    return models_dir / MINILM


def on(cache: Path, **retrieval: str) -> Settings:
    """Settings with a model cache of its own and one encoder for everything."""
    return Settings(cache_dir=cache, retrieval={"multilingual_encoder": MINILM, "passage_encoder": "", **retrieval})


@pytest.mark.real
def test_a_fingerprint_follows_the_weights_and_nothing_made_from_them(copy_of_minilm: Path) -> None:
    chosen = Settings(retrieval={"english_encoder": str(copy_of_minilm), "multilingual_encoder": str(copy_of_minilm)})
    with_conversion = load_encoders(chosen)
    assert with_conversion.english is with_conversion.multilingual
    shutil.rmtree(copy_of_minilm / CONVERTED)
    assert load_encoders(chosen).english.fingerprint == with_conversion.english.fingerprint
    pooling = copy_of_minilm / "1_Pooling" / "config.json"
    pooling.write_text(pooling.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert load_encoders(chosen).english.fingerprint != with_conversion.english.fingerprint


@pytest.mark.real
def test_eight_bits_give_torchs_vectors_under_another_fingerprint(settings: Settings) -> None:
    eight_bits = load_encoders(on(settings.cache_dir, encoder_runtime="onnx")).english
    torch = load_encoders(on(settings.cache_dir, encoder_runtime="torch")).english
    texts = [entry.question for entry in load_knowledge(settings.knowledge.root).entries if entry.lang == "en"]
    texts += [entry.answer for entry in load_knowledge(settings.knowledge.root).entries if entry.lang == "en"]
    cosines = (eight_bits.encode(texts) * torch.encode(texts)).sum(axis=1)
    assert len(texts) > 150
    assert cosines.min() >= 0.99
    assert (eight_bits.name, eight_bits.dimension) == (torch.name, torch.dimension) == (MINILM, 384)
    assert eight_bits.fingerprint != torch.fingerprint


@pytest.mark.real
def test_a_texts_vector_does_not_depend_on_the_texts_beside_it(settings: Settings) -> None:
    encoder = load_encoders(on(settings.cache_dir, encoder_runtime="onnx")).english
    texts = [f"Where is order {number}? " * number for number in range(1, 9)]
    np.testing.assert_array_equal(encoder.encode(texts), np.concatenate([encoder.encode([text]) for text in texts]))


@pytest.mark.real
def test_the_built_in_encoders_run_without_torch(settings: Settings) -> None:
    load_encoders(settings)  # converts where no test did before
    program = (
        "import sys; from assistant.config import Settings; from assistant.retrieval.embedding import load_encoders\n"
        f"encoders = load_encoders(Settings(cache_dir={str(settings.cache_dir)!r}))\n"
        "assert len(encoders.english.encode(['hello'])) == len(encoders.multilingual.encode(['你好'])) == 1\n"
        "assert 'torch' not in sys.modules and 'sentence_transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=REPOSITORY)


@pytest.mark.real
def test_a_damaged_conversion_is_made_again(copy_of_minilm: Path) -> None:
    folder = copy_of_minilm / CONVERTED
    model = folder / "model.onnx"
    whole = model.read_bytes()
    model.write_bytes(whole[: len(whole) // 2])
    encoder = load_encoders(on(copy_of_minilm.parent.parent, encoder_runtime="onnx")).english
    # The exporter writes its call stack into the file: whole ones differ in size, so it is held to its manifest.
    models.check_manifest(folder, full=True, fix="")
    assert model.stat().st_size > len(whole) * 0.9
    assert encoder.encode(["hello"]).shape == (1, 384)
    assert not list(copy_of_minilm.glob(".int8-partial-*"))


@pytest.mark.real
def test_a_model_that_cannot_be_converted_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match=r"cannot be converted for onnxruntime: .+ encoder_runtime"):
        onnx_encoder.load_int8(tmp_path, name="broken", fingerprint="")
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


@pytest.mark.real
def test_where_onnxruntime_is_missing_torch_does_unless_onnx_was_asked_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModelError, match=r"onnxruntime cannot be imported.*Install onnxruntime, onnx and onnxscript"):
        load_encoders(on(settings.cache_dir, encoder_runtime="onnx"))
    by_torch = load_encoders(on(settings.cache_dir, encoder_runtime="torch")).english
    assert load_encoders(on(settings.cache_dir)).english.fingerprint == by_torch.fingerprint


@pytest.mark.unit
def test_a_processor_that_computes_other_vectors_is_refused(tmp_path: Path) -> None:
    encoder = HashingEncoder("here")
    texts = ["Where is my order?", "refund please"]
    near = encoder.encode(texts) + np.float32([[0.01], [0.02]])
    probes = tmp_path / "probes.json"
    probes.write_text(json.dumps(dict(zip(texts, near.tolist(), strict=True))), encoding="utf-8")
    onnx_encoder.require_likeness(encoder, probes)
    probes.write_text(json.dumps(dict(zip(texts, (0.5 * near).tolist(), strict=True))), encoding="utf-8")
    with pytest.raises(ModelError, match=r"'here' in 8 bits gives other vectors .* cosine 0\.5\d\d, at least 0\.98"):
        onnx_encoder.require_likeness(encoder, probes)
