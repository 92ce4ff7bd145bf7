"""Words that query and entry share: BM25 over the entries of one tenant in one language.

Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", computed by bm25s. Chinese has no
spaces, so its terms are character bigrams and the words of other lengths that rjieba finds; traditional
characters count as simplified ones, full-width ones as half-width ones. Latin words in Chinese text are terms too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

import bm25s
import numpy as np
import numpy.typing as npt
import rjieba
from bm25s.stopwords import STOPWORDS_EN

from assistant.language import HAN, HAN_RANGES, simplify

Scores = npt.NDArray[np.float32]

# How soon a repeated word stops to count (k1) and how much long texts are marked down (b): tried on question-to-
# answer data in both languages, where 1.2 / 0.75 and 1.5 / 0.75 did no better in English and worse in Chinese.
SATURATION = 0.8
LENGTH_PENALTY = 0.4
MAX_QUERY_TERMS = 256

_CAMEL = re.compile(r"(?<=[a-z]{2})(?=[A-Z][a-z])")
_TERM = re.compile(rf"[{HAN_RANGES}]+|[^\W_{HAN_RANGES}]+(?:'[a-z]+)?")
_ENGLISH_STOP = frozenset(STOPWORDS_EN)
_CHINESE_STOP = frozenset(
    """
    什么 怎么 如何 为什么 为何 是否 可以 能否 怎样 哪些 哪个 哪里 多少 请问 我们 你们 他们 可能 需要
    应该 没有 一个 这个 那个 有没有 是不是 能不能 可不可以 怎么办 怎么样 一下
    的 了 吗 呢 吧 啊 是 在 有 和 与 及 或 就 都 也 还 把 被 让 给 对 从 到 为 以
    我 你 您 他 她 它 这 那 哪 么 会 能 要 不 并 但 而 其 之 于 时 后 中 上 下 里
    """.split()
)


def fold(text: str) -> str:
    """The text as it is compared: half-width, simplified, lower-case."""
    return simplify(unicodedata.normalize("NFKC", text)).lower()


def terms(text: str) -> list[str]:
    """The terms of a text in any language, in order, repeated ones too."""
    return [term for run in _TERM.findall(fold(_CAMEL.sub(" ", text))) for term in _terms_of(run)]


class LexicalIndex:
    """BM25 over some texts, numbered from 0. Never changes; scoring is thread-safe."""

    def __init__(self, texts: Sequence[str]) -> None:
        documents = [terms(text) for text in texts]
        self._num_texts = len(documents)
        self._model: bm25s.BM25 | None = None
        self._ids: dict[str, int] = {}
        if any(documents):
            self._model = bm25s.BM25(k1=SATURATION, b=LENGTH_PENALTY, method="lucene")
            self._model.index(documents, show_progress=False)
            self._ids = self._model.vocab_dict
        self._weights = self._inverse_frequencies()

    def __len__(self) -> int:
        return self._num_texts

    def scores(self, query: str) -> Scores:
        """How well each text matches; 0 where they share no term. Shape (texts,)."""
        found = [self._ids[term] for term in terms(query)[:MAX_QUERY_TERMS] if term in self._ids]
        if self._model is None or not found:
            return np.zeros(self._num_texts, dtype=np.float32)
        scores: Scores = self._model.get_scores_from_ids(found)
        return scores

    def attainable(self, query: str) -> float:
        """The score of a text that holds every term of the query, again and again; 0 for a query without terms."""
        asked = terms(query)[:MAX_QUERY_TERMS]
        return float(sum(self._weights[self._ids.get(term, -1)] for term in asked))

    def _inverse_frequencies(self) -> npt.NDArray[np.float64]:
        """What each term weighs, by its id; the last one is for terms that no text holds."""
        frequencies = np.zeros(1, dtype=np.int64)
        if self._model is not None:
            counts = np.diff(self._model.scores["indptr"])
            frequencies = np.append(counts[: len(self._ids)], 0)
        return np.log1p((self._num_texts - frequencies + 0.5) / (frequencies + 0.5))


def _terms_of(run: str) -> Iterator[str]:
    if HAN.match(run):
        yield from _chinese_terms(run)
    elif run not in _ENGLISH_STOP:
        yield _stem(run)


def _chinese_terms(run: str) -> Iterator[str]:
    """Bigrams within what stop words leave, and the words that are not bigrams themselves."""
    kept = ""
    for word in [*rjieba.cut(run), ""]:
        if word and word not in _CHINESE_STOP:
            kept += word
            if len(word) != 2:
                yield word
        else:
            yield from (kept[start : start + 2] for start in range(len(kept) - 1))
            kept = ""


def _stem(word: str) -> str:
    """An English word without its plural or tense, roughly: the same stem for one word's forms is all that counts."""
    word = word.removesuffix("'s")
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    for suffix in ("ing", "ed", "es", "s"):
        if len(word) >= len(suffix) + 3 and word.endswith(suffix) and not word.endswith("ss"):
            return word.removesuffix(suffix)
    return word
