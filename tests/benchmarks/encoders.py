"""Compare ways to run the built-in English encoder: speed, start-up, memory, and likeness to torch's vectors.

Run ``python -m tests.benchmarks.encoders``; with ``ASSISTANT_EVAL_DATA`` set it also says how each ranks
StackFAQ's answers and questions. Ways that lost are built here and nowhere else, in a temporary folder.

Texts are the demo FAQ's English ones. "busy" is a query beside a thread that multiplies matrices in torch, as the
chat model does; "processor" is the time of all threads of one query.
"""

from __future__ import annotations

import gzip
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from tokenizers import Tokenizer
from transformers import AutoModel

from assistant.config import Settings
from assistant.models import model_path
from assistant.retrieval.embedding import Vectors, load_encoders
from assistant.retrieval.onnx_export import INT8_ACTIVATIONS, LONGEST, SHORTEST, SentenceVector
from assistant.retrieval.sources import load_knowledge
from tests.conftest import REPOSITORY

MINILM = "all-minilm-l6-v2"
MAX_TOKENS = 256
MAX_TEXTS = 400
QUERIES = (
    "How long does it take to return an item?",
    "my parcel says delivered but nothing has come, what now",
    "Can I pay for a sofa in three parts with my card?",
    "do you ship to Norway and who pays the customs",
)
ROUNDS = 25
HEADER = (
    f"{'':30s}{'idle':>14s}{'busy':>14s}{'processor':>11s}{'16 long':>9s}{'load s':>8s}{'MB':>6s}"
    f"{'least':>9s}{'1st pct':>9s}{'mean':>9s}{'hit@1':>8s}"
)
START_UP = """
import sys, time
begun = time.perf_counter()
from assistant.config import Settings
from assistant.retrieval.embedding import load_encoders
encoders = load_encoders(Settings(retrieval={"encoder_runtime": sys.argv[1]}))
encoders.english.encode(["hello"]), encoders.multilingual.encode(["hello"])
seconds = time.perf_counter() - begun
import psutil
print(f"{sys.argv[1]:6s} both encoders, from import to first vectors: {seconds:.1f} s, "
      f"{psutil.Process().memory_info().rss / 2**20:.0f} MiB")
"""

Encode = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True)
class Way:
    """One way to run the encoder, how long it took to load and how large its file is."""

    name: str
    encode: Encode
    load_s: float = 0
    num_bytes: int = 0


@dataclass(frozen=True)
class Faq:
    """StackFAQ; ``relevant`` has the number of the question that answers each query."""

    questions: Sequence[str]
    answers: Sequence[str]
    queries: Sequence[str]
    relevant: Sequence[int]


def main() -> None:
    """Print start-up, then a line per way."""
    logging.disable(logging.WARNING)  # the quantizer tells every matrix
    for runtime in ("torch", "onnx"):
        subprocess.run([sys.executable, "-W", "ignore", "-c", START_UP, runtime], check=True, cwd=REPOSITORY)
    by_torch = Way("torch", load_encoders(Settings(retrieval={"encoder_runtime": "torch"})).english.encode)
    faq, texts = _stackfaq(), _texts()
    expected = by_torch.encode(texts)
    print(f"\n{len(texts)} texts; times in ms, median / 95th percentile of {ROUNDS * len(QUERIES)} queries\n{HEADER}")
    print_line(by_torch, expected, texts, faq)
    with tempfile.TemporaryDirectory() as folder:
        for way in _onnx_ways(Path(folder)):
            print_line(way, expected, texts, faq)


def print_line(way: Way, expected: Vectors, texts: Sequence[str], faq: Faq | None) -> None:
    """Time one way and compare its vectors."""
    cosines = (way.encode(texts) * expected).sum(axis=1)
    idle = _latency(way.encode)
    with busy():
        beside = _latency(way.encode)
    long = sorted(texts, key=len)[-16:]
    cells = (
        f"{way.name:30s}{idle:>14s}{beside:>14s}{_processor_ms(way.encode):>11.1f}",
        f"{min(_ms(way.encode, long) for _ in range(3)):>9.0f}",
        f"{way.load_s:>8.2f}{way.num_bytes / 1e6:>6.0f}",
        f"{cosines.min():>9.4f}{np.quantile(cosines, 0.01):>9.4f}{cosines.mean():>9.4f}",
        f"{_hit_rate(way.encode, faq):>8.3f}" if faq else "",
    )
    print("".join(cells), flush=True)


@contextmanager
def busy() -> Iterator[None]:
    """A thread that multiplies matrices on every core that torch takes."""
    done = threading.Event()

    def burn() -> None:
        matrix = torch.randn(1024, 1024)
        while not done.is_set():
            matrix @ matrix

    thread = threading.Thread(target=burn)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _latency(encode: Encode) -> str:
    encode(QUERIES)
    times = [_ms(encode, [query]) for _ in range(ROUNDS) for query in QUERIES]
    return f"{np.median(times):.1f} / {np.quantile(times, 0.95):.1f}"


def _processor_ms(encode: Encode) -> float:
    """What one query costs all threads together; other programs on the machine do not change it much."""
    started = time.process_time()
    for query in QUERIES * ROUNDS:
        encode([query])
    return 1e3 * (time.process_time() - started) / (len(QUERIES) * ROUNDS)


def _ms(encode: Encode, texts: Sequence[str]) -> float:
    started = time.perf_counter()
    encode(texts)
    return 1e3 * (time.perf_counter() - started)


def _hit_rate(encode: Encode, faq: Faq) -> float:
    """How often the entry with the nearest question or answer is the right one."""
    queries, questions, answers = (encode(texts) for texts in (faq.queries, faq.questions, faq.answers))
    best = np.maximum(queries @ questions.T, queries @ answers.T).argmax(axis=1)
    return float((best == np.array(faq.relevant)).mean())


# The ways on onnxruntime.


def _onnx_ways(folder: Path) -> Iterator[Way]:
    source = model_path(Settings(), MINILM)
    assert isinstance(source, Path)
    exported = folder / "exported.onnx"
    _export(source, exported)
    yield from _opened("onnxruntime, float32", exported, source)
    for name, options in (("one scale", {}), ("scale per channel", {"per_channel": True, "reduce_range": True})):
        path = folder / f"{name}.onnx"
        quantize_dynamic(exported, path, weight_type=QuantType.QInt8, **options)
        yield from _opened(f"int8, {name}", path, source)
    for block in (32, 64, 128):
        path = folder / f"{block}.onnx"
        _in_blocks(exported, path, block)
        yield from _opened(f"int8, blocks of {block}", path, source)


def _export(source: Path, path: Path) -> None:
    model = SentenceVector(AutoModel.from_pretrained(source, attn_implementation="eager")).eval()
    length = torch.export.Dim("length", min=SHORTEST, max=LONGEST)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model,
            (torch.full((1, 16), 1000),),
            dynamo=True,
            input_names=["input_ids"],
            dynamic_shapes=({1: length},),
            verbose=False,
        )
    assert program is not None
    program.save(path)


def _in_blocks(exported: Path, path: Path, block: int) -> None:
    quantizer = MatMulNBitsQuantizer(
        onnx.load(exported),
        bits=8,
        block_size=block,
        is_symmetric=True,
        accuracy_level=INT8_ACTIVATIONS,
        op_types_to_quantize=("MatMul",),
    )
    quantizer.process()
    quantizer.model.save_model_to_file(str(path))


def _opened(name: str, path: Path, source: Path) -> Iterator[Way]:
    """The model on one core and on two."""
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    for threads in (1, 2):
        started = time.perf_counter()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        seconds = time.perf_counter() - started

        def encode(texts: Sequence[str], session: onnxruntime.InferenceSession = session) -> Vectors:
            ids = [np.array([tokenizer.encode(text).ids], dtype=np.int64) for text in texts]
            return np.concatenate([session.run(None, {"input_ids": row})[0] for row in ids])

        yield Way(f"{name}, {threads} core{'s' * (threads > 1)}", encode, seconds, path.stat().st_size)


# The texts.


def _texts() -> list[str]:
    entries = [entry for entry in load_knowledge(REPOSITORY / "knowledge_base").entries if entry.lang == "en"]
    texts = [text for entry in entries for text in (entry.question, *entry.wordings, entry.answer)]
    return texts[:: max(1, len(texts) // MAX_TEXTS)]


def _stackfaq() -> Faq | None:
    folder = os.environ.get("ASSISTANT_EVAL_DATA")
    if not folder:
        return None
    faq, queries = (_rows(Path(folder) / f"{name}_stackfaq_en.jsonl.gz") for name in ("faq", "queries"))
    numbers = {row["id"]: number for number, row in enumerate(faq)}
    return Faq(
        [row["question"] for row in faq],
        [row["answer"] for row in faq],
        [row["text"] for row in queries],
        [numbers[row["relevant"][0]] for row in queries],
    )


def _rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


if __name__ == "__main__":
    main()
