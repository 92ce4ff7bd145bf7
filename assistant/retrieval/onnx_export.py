"""A program that writes a BERT sentence encoder for onnxruntime, its matrices in 8 bits: SOURCE TARGET.

`onnx_conversion` runs it once per model in a process of its own.

Weights and, while it computes, activations are rounded in blocks of 64 numbers with a scale each (block-wise
quantization; Dettmers et al. 2022, "8-bit Optimizers via Block-wise Quantization", section 2.1). One scale per
tensor, as onnxruntime's dynamic quantization has for activations, is faster by a third, but left some vectors
at a cosine of 0.96 from the original's; blocks leave all above 0.997. `tests/benchmarks/encoders.py` measures it.

The graph takes one text, token ids of shape (1, length), and gives its L2-normalised mean, shape (1, dimension).
Without padding no text's vector depends on the texts beside it, and short ones cost what they are worth.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from tokenizers import Tokenizer
from transformers import AutoModel, PreTrainedModel

from assistant.retrieval.onnx_conversion import MODEL
from assistant.retrieval.onnx_conversion import PROBES as PROBES_FILE

BLOCK = 64
INT8_ACTIVATIONS = 4  # onnxruntime's accuracy_level: compute in 8 bits, not only store in them
SHORTEST, LONGEST = 2, 512  # an empty text has its two markers

# What the converted model is tried with wherever it is loaded. They differ in length and in what they are about.
PROBES = (
    "",
    "Hi",
    "refund??",
    "Where is my order 10482?",
    "How do I return an item that I bought in a shop?",
    "my card got charged twice and nobody answers the phone!!",
    "We deliver on working days between 8 and 18 h. You can change the day and the address until the parcel "
    "leaves our warehouse; after that the carrier's page lets you choose a neighbour, a shop or another day.",
    "The lamp flickers when the dimmer is below 20 %.",
)


class SentenceVector(torch.nn.Module):
    """A transformer whose output is its tokens' mean, of length 1."""

    def __init__(self, transformer: PreTrainedModel) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Shape (1, length) to (1, dimension)."""
        states = self.transformer(input_ids=input_ids).last_hidden_state
        return torch.nn.functional.normalize(states.mean(dim=1), dim=1)


def main(source: Path, target: Path) -> None:
    """Write ``model.onnx`` and ``probes.json`` into the new folder ``target``."""
    model = SentenceVector(AutoModel.from_pretrained(source, attn_implementation="eager")).eval()
    target.mkdir()
    with torch.inference_mode():
        (target / PROBES_FILE).write_text(json.dumps(probe_vectors(model, source)), encoding="utf-8")
        length = torch.export.Dim("length", min=SHORTEST, max=LONGEST)
        write_int8(model, torch.full((1, 16), 1000), {1: length}, target / MODEL)


def probe_vectors(model: SentenceVector, source: Path) -> dict[str, list[float]]:
    """What the unconverted model makes of each probe."""
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.no_padding()
    return {text: model(torch.tensor([tokenizer.encode(text).ids]))[0].tolist() for text in PROBES}


def write_int8(model: torch.nn.Module, example: torch.Tensor, lengths: dict[int, object], path: Path) -> None:
    """Export ``model`` for one text of any length, given an ``example`` of its input, and round its matrices."""
    exported = torch.onnx.export(
        model,
        (example,),
        dynamo=True,
        input_names=["input"],
        output_names=["vector"],
        dynamic_shapes=(lengths,),
        verbose=False,
    )
    assert exported is not None, "the dynamo exporter returns its program"
    quantizer = MatMulNBitsQuantizer(
        exported.model_proto,
        bits=8,
        block_size=BLOCK,
        is_symmetric=True,
        accuracy_level=INT8_ACTIVATIONS,
        op_types_to_quantize=("MatMul",),
    )
    quantizer.process()
    quantizer.model.save_model_to_file(str(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
