"""multilingual-e5-small in torch: what the conversion for onnxruntime starts from, and the encoder without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertModel

from assistant.retrieval.e5_file import FILE, E5File
from assistant.retrieval.embedding import PREFIXES, Role, Vectors, encodable

_MATRICES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "fi": "intermediate.dense",
    "fo": "output.dense",
}
_NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}


class TorchE5:
    """An `Encoder`, one text at a time."""

    def __init__(self, folder: Path, *, name: str, fingerprint: str) -> None:
        self._file = E5File(folder / FILE)
        self._model = bert_of(self._file)
        self._tokenizer = self._file.tokenizer()
        self._tokenizer.enable_truncation(self._file.shape.positions)
        self.name = name
        self.fingerprint = fingerprint
        self.dimension = self._file.shape.hidden

    def encode(self, texts: Sequence[str], role: Role = "query") -> Vectors:
        """One L2-normalised float32 row per text; a text's row does not depend on the others."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for number, text in enumerate(encodable(texts)):
            ids = np.array(self._tokenizer.encode(PREFIXES[role] + text).ids, dtype=np.int64)
            vectors[number] = self._vector(torch.from_numpy(self._file.words[ids]))
        return vectors

    @torch.inference_mode()
    def _vector(self, words: torch.Tensor) -> Vectors:
        states = self._model(inputs_embeds=words[None]).last_hidden_state[0]
        vector: Vectors = torch.nn.functional.normalize(states.mean(dim=0), dim=0).numpy()
        return vector


def bert_of(file: E5File) -> BertModel:
    """The transformer that takes the tokens' vectors (``inputs_embeds``); it has none of its own."""
    shape = file.shape
    config = BertConfig(
        vocab_size=1,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.inner,
        max_position_embeddings=shape.positions,
        type_vocab_size=shape.token_types,
        layer_norm_eps=file.layer_norm_eps,
        pad_token_id=0,
    )
    config._attn_implementation = "eager"
    model = BertModel(config, add_pooling_layer=False)
    loaded = model.load_state_dict(dict(_weights(file)), strict=False)
    assert loaded.missing_keys == ["embeddings.word_embeddings.weight"], loaded
    assert not loaded.unexpected_keys, loaded
    model.eval()
    return model


def _weights(file: E5File) -> Iterator[tuple[str, torch.Tensor]]:
    hidden, inner = file.shape.hidden, file.shape.inner

    def tensor(name: str, *shape: int) -> torch.Tensor:
        return torch.from_numpy(file.array(name, *shape))

    yield "embeddings.position_embeddings.weight", tensor("emb.pos", file.shape.positions, hidden)
    yield "embeddings.token_type_embeddings.weight", tensor("emb.type", file.shape.token_types, hidden)
    yield "embeddings.LayerNorm.weight", tensor("emb.ln.w", hidden)
    yield "embeddings.LayerNorm.bias", tensor("emb.ln.b", hidden)
    for layer in range(file.shape.layers):
        for short, name in _MATRICES.items():
            rows, columns = (inner if short == "fi" else hidden), (inner if short == "fo" else hidden)
            yield f"encoder.layer.{layer}.{name}.weight", tensor(f"l{layer}.{short}.w", rows, columns)
            yield f"encoder.layer.{layer}.{name}.bias", tensor(f"l{layer}.{short}.b", rows)
        for short, name in _NORMS.items():
            yield f"encoder.layer.{layer}.{name}.weight", tensor(f"l{layer}.{short}.w", hidden)
            yield f"encoder.layer.{layer}.{name}.bias", tensor(f"l{layer}.{short}.b", hidden)
