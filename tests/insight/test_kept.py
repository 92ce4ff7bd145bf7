"""The vectors of our own sentences are computed once, and what is kept of them is only believed where it fits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from assistant.insight.encoding import EncoderPair, Vectors
from assistant.insight.kept import KeptVectors
from assistant.insight.semantic import ConcernHead, load_seeds
from tests.retrieval.hashing import HashingEncoder

pytestmark = pytest.mark.unit

TEXTS = ["Where is my order?", "我要退货", "Where is my order?"]


class Counting(HashingEncoder):
    """Notes how many texts it was asked for."""

    num_asked = 0

    def encode(self, texts: Sequence[str], role: str = "query") -> Vectors:
        self.num_asked += len(texts)
        return super().encode(texts)


def test_a_text_is_computed_once_and_in_its_place() -> None:
    encoder = Counting("here")
    kept = KeptVectors(encoder)
    np.testing.assert_array_equal(kept.encode(TEXTS), HashingEncoder("here").encode(TEXTS))
    np.testing.assert_array_equal(kept.encode(TEXTS[:1]), HashingEncoder("here").encode(TEXTS[:1]))
    assert encoder.num_asked == 2


def test_the_next_start_computes_only_what_is_new(tmp_path: Path) -> None:
    first = KeptVectors(HashingEncoder("here"), tmp_path)
    first.encode(TEXTS)
    first.store()
    encoder = Counting("here")
    found = KeptVectors(encoder, tmp_path).encode([*TEXTS, "new"])
    np.testing.assert_array_equal(found, HashingEncoder("here").encode([*TEXTS, "new"]))
    assert encoder.num_asked == 1


def test_another_encoder_finds_nothing_of_this_one(tmp_path: Path) -> None:
    first = KeptVectors(HashingEncoder("here"), tmp_path)
    first.encode(TEXTS)
    first.store()
    other = Counting("there")
    KeptVectors(other, tmp_path).encode(TEXTS)
    assert other.num_asked == 2


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_computed_and_written_again(tmp_path: Path, content: bytes) -> None:
    first = KeptVectors(HashingEncoder("here"), tmp_path)
    first.encode(TEXTS)
    first.store()
    [path] = tmp_path.iterdir()
    path.write_bytes(content)
    second = KeptVectors(HashingEncoder("here"), tmp_path)
    np.testing.assert_array_equal(second.encode(TEXTS), HashingEncoder("here").encode(TEXTS))
    second.store()
    encoder = Counting("here")
    KeptVectors(encoder, tmp_path).encode(TEXTS)
    assert encoder.num_asked == 0


def test_where_nothing_can_be_written_it_works_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    kept = KeptVectors(HashingEncoder("here"), tmp_path / "file")
    assert kept.encode(TEXTS).shape[0] == 3
    kept.store()


def test_a_head_fitted_from_kept_vectors_judges_alike(tmp_path: Path) -> None:
    first, second = EncoderPair(Counting("one"), Counting("two")), EncoderPair(Counting("one"), Counting("two"))
    fresh, again = ConcernHead.fit(first, kept=tmp_path), ConcernHead.fit(second, kept=tmp_path)
    num_seeds = sum(len(texts) for language in ("en", "zh") for texts in load_seeds(language).values())
    assert isinstance(first.multilingual, Counting)
    assert isinstance(second.multilingual, Counting)
    assert first.multilingual.num_asked <= num_seeds
    assert second.multilingual.num_asked == 0
    told = [head.resemblance("how do I hurt someone", language="en") for head in (fresh, again)]
    assert told[0] == told[1]
