"""How near a message comes to what must not be answered like any other: a linear head on the sentence encoders.

Multinomial logistic regression over the vectors of our own sentences in ``seeds/``, fitted when the server starts
(under a second once `kept` has the sentences' vectors): no weights lie in the repository, any encoder can be
configured, and a company adds a sentence where the head errs. `tests/benchmarks/calibrate_safety.py` measures it and
tunes the thresholds in `concerns`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import get_args

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from assistant.insight.encoding import EncoderPair, Vectors
from assistant.insight.kept import keeping
from assistant.values import Concern

ORDINARY = "ordinary"
SEED_LANGUAGES = ("en", "zh")
ANY_LANGUAGE = ""
# Of a long message the beginning and the end tell most, and two short pieces cost less than the whole.
HEAD_CHARS = 600
TAIL_CHARS = 300
INVERSE_REGULARISATION = 2.0
MAX_ITERATIONS = 1000

Seeds = Mapping[str, Sequence[str]]
"""Sentences by concern, and under ``ordinary`` those that are none."""


@dataclass(frozen=True, slots=True)
class Resemblance:
    """The concern a message resembles most, and the estimated probability (0 to 1) that it is of any concern."""

    concern: Concern
    score: float


class ConcernHead:
    """Tells what a message resembles. `fit` it once; `resemblance` is blocking and thread-safe."""

    def __init__(self, encoders: EncoderPair, models: Mapping[str, LogisticRegression]) -> None:
        self._encoders = encoders
        self._models = models

    @classmethod
    def fit(cls, encoders: EncoderPair, *, kept: Path | None = None) -> ConcernHead:
        """Fit one model for each language with seeds, and one on all of them for every other language.

        The seeds' vectors are read from the folder ``kept`` where they lie there, and written to it where not.
        """
        once, vectors = keeping(encoders, kept)
        models = {language: _fit(once, (language,), language) for language in SEED_LANGUAGES}
        models[ANY_LANGUAGE] = _fit(once, SEED_LANGUAGES, ANY_LANGUAGE)
        for one in vectors:
            one.store()
        return cls(encoders, models)

    def resemblance(self, text: str, *, language: str) -> Resemblance:
        """What ``text`` resembles most; of a long one its beginning or its end, whichever is worse."""
        return self.resemblances([text], language=language)[0]

    def resemblances(self, texts: Sequence[str], *, language: str) -> list[Resemblance]:
        """The same for many texts in one language."""
        pieces = [pieces_of(text) for text in texts]
        flat = [piece for several in pieces for piece in several]
        key = language if language in self._models else ANY_LANGUAGE
        found = iter(_judge(self._models[key], self._encoders.features(flat, language=key)))
        return [max((next(found) for _ in several), key=lambda one: one.score) for several in pieces]


def pieces_of(text: str) -> list[str]:
    """A text's beginning and, where it goes on, its end."""
    bare = text.strip()
    return [bare] if len(bare) <= HEAD_CHARS else [bare[:HEAD_CHARS], bare[-TAIL_CHARS:]]


@lru_cache(maxsize=len(SEED_LANGUAGES))
def load_seeds(language: str) -> Seeds:
    """Our own sentences in ``language``."""
    known = {*get_args(Concern), ORDINARY}
    seeds: dict[str, list[str]] = tomllib.loads(
        files("assistant.insight").joinpath("seeds", f"{language}.toml").read_text(encoding="utf-8")
    )
    assert set(seeds) == known, f"seeds/{language}.toml has {sorted(seeds)} instead of {sorted(known)}"
    return seeds


def _fit(encoders: EncoderPair, languages: Sequence[str], key: str) -> LogisticRegression:
    labelled = [
        (text, label) for language in languages for label, texts in load_seeds(language).items() for text in texts
    ]
    features = encoders.features([text for text, _ in labelled], language=key)
    model = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=MAX_ITERATIONS)
    # The products are so small that more threads only wait for each other: 0.1 s on one, 3 s on two busy ones.
    with threadpool_limits(1):
        return model.fit(features, [label for _, label in labelled])


def _judge(model: LogisticRegression, features: Vectors) -> list[Resemblance]:
    probabilities = model.predict_proba(features)
    concerns: tuple[Concern, ...] = get_args(Concern)
    classes = list(model.classes_)
    unsafe = probabilities[:, [classes.index(concern) for concern in concerns]]
    best = np.argmax(unsafe, axis=1)
    return [Resemblance(concerns[index], float(row.sum())) for index, row in zip(best, unsafe, strict=True)]
