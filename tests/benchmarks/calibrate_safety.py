"""Tune the bars of `assistant.insight.concerns` on public data, and measure what they catch.

Run with ``ASSISTANT_EVAL_DATA`` set: ``python -m tests.benchmarks.calibrate_safety`` prints the bars with the best
recall at 0.5 % false alarms on the tuning half, and for the bars that stand in the code the recall of each kind of
attack and the false alarms on ordinary questions, on the half nothing was tuned on. ``--timing`` prints how long
reading one message takes.

The halves are split by the hash of the text. Of the harmful questions only those count that ask for something harmful:
the data also calls questions for financial, legal, medical or political advice forbidden, which a shop's assistant
leaves unanswered because it does not know.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import itertools
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from assistant.config import load
from assistant.insight.concerns import BARS, Bars, bar, said_outright
from assistant.insight.encoding import EncoderPair
from assistant.insight.reader import MessageReader
from assistant.insight.semantic import ConcernHead
from assistant.retrieval.embedding import load_encoders
from assistant.retrieval.sources import load_knowledge
from tests.conftest import REPOSITORY

MAX_FALSE_ALARMS = 0.005
ADVICE = {"Legal Opinion", "Financial Advice", "Health Consultation", "Political Lobbying", "Economic Harm"}
NOT_SUPPORT = "xquad"
LANGUAGES = ("en", "zh")
STEPS = np.arange(0.3, 0.96, 0.05)
BATCH = 64

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Judged:
    """Texts of one kind: how much each resembles a concern, whether it says one outright, which bar it meets."""

    score: npt.NDArray[np.float64]
    outright: Flags
    which: npt.NDArray[np.int64]

    def alarms(self, bars: Bars) -> Flags:
        """Which of them are of concern under these bars."""
        needed = np.choose(self.which, [bars.plain, bars.hinted, bars.protective])
        return self.outright | (self.score >= needed)


def main() -> None:
    """Print what the module says."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--timing", action="store_true")
    encoders = load_encoders(load())
    pair = EncoderPair(encoders.english, encoders.multilingual, encoders.passage)
    if arguments.parse_args().timing:
        print_timing(pair)
        return
    head = ConcernHead.fit(pair)
    for language in LANGUAGES:
        tuned = {name: judge(head, texts, language) for name, texts in texts_of(language, half=0).items()}
        print(f"{language}: best on the tuning half {best_bars(tuned)}")
        print(f"{language}: with {BARS[language]}, on the other half")
        for name, texts in texts_of(language, half=1).items():
            alarms = judge(head, texts, language).alarms(BARS[language])
            print(f"  {name:<28} {len(texts):>6} {alarms.mean():.4f}")


def judge(head: ConcernHead, texts: Sequence[str], language: str) -> Judged:
    """Texts as the bars see them."""
    found = [
        one
        for start in range(0, len(texts), BATCH)
        for one in head.resemblances(texts[start : start + BATCH], language=language)
    ]
    marks = Bars(plain=0, hinted=1, protective=2)
    kinds = {BARS[language].plain: marks.plain, BARS[language].hinted: marks.hinted}
    return Judged(
        np.array([one.score for one in found]),
        np.array([said_outright(text) is not None for text in texts]),
        np.array([int(kinds.get(bar(text, language), marks.protective)) for text in texts]),
    )


def best_bars(judged: Mapping[str, Judged]) -> tuple[Bars, float, float]:
    """The bars with the best recall at the false alarms allowed, that recall, and those."""
    ordinary = [one for name, one in judged.items() if name.startswith("ordinary") and NOT_SUPPORT not in name]
    attacks = [one for name, one in judged.items() if not name.startswith("ordinary")]
    found = []
    for plain, hinted, protective in itertools.product(STEPS, STEPS, STEPS):
        if hinted <= plain <= protective + 0.1:
            bars = Bars(float(plain), float(hinted), float(protective))
            if (alarms := mean_alarms(ordinary, bars)) <= MAX_FALSE_ALARMS:
                found.append((mean_alarms(attacks, bars), -alarms, bars))
    recall, alarms, bars = max(found, key=lambda one: one[:2])
    return bars, round(recall, 4), round(-alarms, 4)


def mean_alarms(several: Sequence[Judged], bars: Bars) -> float:
    """The share of all these texts that are of concern."""
    return float(np.concatenate([one.alarms(bars) for one in several]).mean())


def texts_of(language: str, *, half: int) -> dict[str, list[str]]:
    """The texts of one half in one language, by what they are."""
    found: dict[str, list[str]] = {}
    for name, text in itertools.chain(_attacks(language), _ordinary(language)):
        if hashlib.sha256(text.encode()).digest()[0] % 2 == half:
            found.setdefault(name, []).append(text)
    return found


def _attacks(language: str) -> Iterator[tuple[str, str]]:
    for row in _rows("attacks_en_zh"):
        if row["lang"] == language and row["kind"] != "indirect_injection" and row.get("category") not in ADVICE:
            yield row["kind"], row["text"]


def _ordinary(language: str) -> Iterator[tuple[str, str]]:
    for entry in load_knowledge(REPOSITORY / "knowledge_base").entries:
        if entry.lang == language:
            yield from (("ordinary demo shop", text) for text in (entry.question, *entry.wordings))
    files = ["queries_apache_en_zh", "queries_xquad_en_zh"]
    files += ["intents_banking77_en", "intents_nlupp_en", "queries_stackfaq_en"] if language == "en" else []
    files += ["intents_scope_zh"] if language == "zh" else []
    for file in files:
        for row in _rows(file):
            if row["lang"] == language and (file != "intents_scope_zh" or row["in_scope"]):
                yield f"ordinary {file}", row["text"]


def _rows(name: str) -> Iterator[dict[str, str]]:
    with gzip.open(Path(os.environ["ASSISTANT_EVAL_DATA"]) / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def print_timing(encoders: EncoderPair) -> None:
    """How long fitting and reading take."""
    begin = time.perf_counter()
    reader = MessageReader.fit(encoders)
    print(f"fitting {time.perf_counter() - begin:.1f} s")
    for language, size in itertools.product(LANGUAGES, ("short", "long")):
        texts = [text for texts in texts_of(language, half=1).values() for text in texts]
        chosen = [text for text in texts if (len(text) > 600) == (size == "long")][:200]
        times = sorted(_read_ms(reader, text, language) for text in chosen)
        if times:
            print(f"{language} {size}: p50 {times[len(times) // 2]:.1f} ms, p95 {times[int(len(times) * 0.95)]:.1f} ms")


def _read_ms(reader: MessageReader, text: str, language: str) -> float:
    begin = time.perf_counter()
    reader.read(text, language=language)
    return (time.perf_counter() - begin) * 1000


if __name__ == "__main__":
    main()
