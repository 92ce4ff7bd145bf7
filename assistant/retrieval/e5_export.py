"""A program that writes multilingual-e5-small for onnxruntime, its matrices in 8 bits: SOURCE TARGET.

`onnx_conversion` runs it once, in a process of its own. The graph takes the vectors of one text's tokens, shape
(1, length, dimension), and gives their L2-normalised mean, shape (1, dimension). The tokens' own vectors stay in the
model's file, of which a text needs a few rows only.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from assistant.retrieval.e5_file import FILE, E5File
from assistant.retrieval.e5_torch import TorchE5, bert_of
from assistant.retrieval.onnx_conversion import MODEL, PROBES
from assistant.retrieval.onnx_export import LONGEST, SHORTEST, write_int8

TOKENIZER = "tokenizer.json"

TEXTS = (
    "",
    "Hi",
    "refund??",
    "怎么退货",
    "Where is my order 10482?",
    "请问实木餐桌可以送到新疆吗？运费要多少，多久能到，需要自己组装吗",
    "How do I return an item that I bought in a shop?",
    "my card got charged twice and nobody answers the phone!!",
    "We deliver on working days between 8 and 18 h. You can change the day and the address until the parcel "
    "leaves our warehouse; after that the carrier's page lets you choose a neighbour, a shop or another day.",
)
"""What the converted model is tried with wherever it is loaded."""


class SentenceVector(torch.nn.Module):
    """The transformer whose output is its tokens' mean, of length 1."""

    def __init__(self, file: E5File) -> None:
        super().__init__()
        self.transformer = bert_of(file)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        """Shape (1, length, dimension) to (1, dimension)."""
        states = self.transformer(inputs_embeds=words).last_hidden_state
        return torch.nn.functional.normalize(states.mean(dim=1), dim=1)


def main(source: Path, target: Path) -> None:
    """Write the model, its tokenizer and the probes into the new folder ``target``."""
    file = E5File(source / FILE)
    target.mkdir()
    file.tokenizer().save(str(target / TOKENIZER))
    vectors = TorchE5(source, name="", fingerprint="").encode(TEXTS)
    (target / PROBES).write_text(json.dumps(dict(zip(TEXTS, vectors.tolist(), strict=True))), encoding="utf-8")
    length = torch.export.Dim("length", min=SHORTEST, max=LONGEST)
    with torch.inference_mode():
        write_int8(SentenceVector(file), torch.zeros((1, 16, file.shape.hidden)), {1: length}, target / MODEL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
