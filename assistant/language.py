"""Which language a text is in, and one spelling for what is written in several.

Languages are `en`, `zh` (every Chinese is one), others by ISO 639-1. Chinese is read in simplified characters, Latin
letters and digits in half width; what customers wrote is kept as they wrote it.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import lru_cache

from opencc import OpenCC
from py3langid.langid import MODEL_FILE, LanguageIdentifier

HAN_RANGES = "㐀-䶿一-鿿豈-﫿\U00020000-\U0003ffff"
"""Chinese characters with their extensions and compatibility forms, for the inside of a character class."""
HAN = re.compile(f"[{HAN_RANGES}]")
KANA_OR_HANGUL = re.compile(r"[぀-ヿ가-힯]")
WORD = re.compile(r"[^\W\d_]+")
# An address or an order number is in no language.
CODE = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w.-]+|https?://[!-~]+|(?<![A-Za-z])[A-Za-z]*\d[\w-]*", re.ASCII)

KEPT = "，！？：；（）＜＞｜［］"
# The planes of scripts and symbols. Nobody fills the memory with the rest.
KEPT_BELOW = 0x20000

# Short Latin texts are guesses: another language than the conversation's needs a clear case.
SURE = 0.85
MAX_CHARS = 2_000
LATIN_MIN_LETTERS = 8
MIN_LATIN_WORDS = 3
CHINESE_GRAMMAR = re.compile(r"[的了吗呢吧么我你您怎哪几多是在有没能会要想请把给被和跟还]|什么|可以")
CANDIDATES = "en de fr es it pt nl pl sv da fi cs tr ru uk ja ko ar he el vi th id".split()
_identifying = threading.Lock()


def primary_language(tag: str) -> str:
    """The language of a BCP 47 tag: ``zh-Hant-TW`` gives ``zh``, ``en_US`` gives ``en``."""
    return re.split(r"[-_]", tag.strip().lower(), maxsplit=1)[0]


def fold(text: str) -> str:
    """The text in half width and simplified characters, character by character: what stands where stays there.

    Each character becomes its compatibility form (Unicode's NFKC) where that is one character. `KEPT` stay: Chinese
    punctuation, and the brackets of chat templates, so that no harmless text becomes a control token.
    """
    return simplify(_in_half_width(text))


def simplify(text: str) -> str:
    """The text with traditional Chinese characters as simplified ones (OpenCC), so that both are compared alike."""
    if not HAN.search(text):
        return text
    simplified = str(_simplifier().convert(text))
    return simplified.replace("甚么", "什么").replace("妳", "你")


def detect(text: str, *, fallback: str) -> str:
    """The language ``text`` is written in, or ``fallback`` where it is too short to tell.

    Chinese characters decide for Chinese even in a mixed sentence (「我的order在哪」), unless kana or
    hangul stand beside them, or they only name a thing in another language's sentence ("is the 台灯 dimmable?").
    Latin text counts as another language than ``fallback`` only when the identifier is sure, because "refund pls"
    must not turn an English conversation Danish. Of a long text the first `MAX_CHARS` count.
    """
    text = CODE.sub(" ", _in_half_width(text[:MAX_CHARS]))
    if KANA_OR_HANGUL.search(text):
        return _identify(text)[0]
    if HAN.search(text) and not _only_names_in_chinese(text):
        return "zh"
    text = HAN.sub(" ", text)
    letters = sum(len(word) for word in WORD.findall(text))
    if letters < LATIN_MIN_LETTERS:
        return _short(text, fallback=fallback)
    language, probability = _identify(text)
    if probability >= SURE:
        return language
    return "en" if fallback == "zh" else fallback


def _only_names_in_chinese(text: str) -> bool:
    """Whether no Chinese word of grammar and more Latin words than Chinese characters stand in the text."""
    if CHINESE_GRAMMAR.search(simplify(text)):
        return False
    latin = re.findall(r"[A-Za-z]{2,}", text)
    return len(latin) >= MIN_LATIN_WORDS and len(latin) >= len(HAN.findall(text)) / 2


def _short(text: str, *, fallback: str) -> str:
    """A few Latin letters do not change the language: an order number stays in a Chinese conversation."""
    language, probability = _identify(text) if WORD.search(text) else (fallback, 0.0)
    return language if probability >= SURE and language == "en" else fallback


def _identify(text: str) -> tuple[str, float]:
    with _identifying:  # the identifier's buffers are shared
        language, probability = _identifier().classify(text)
    return str(language), float(probability)


@lru_cache(maxsize=1)
def _simplifier() -> OpenCC:
    return OpenCC("tw2s")  # as t2s, and 著 as 着, which Taiwan writes with one character


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(CANDIDATES)
    return identifier


def _in_half_width(text: str) -> str:
    return text if text.isascii() else text.translate(_HALF_WIDTH)


class _Forms(dict[int, int]):
    """Code points and their compatibility forms; those in use are kept once they are met."""

    def __missing__(self, code: int) -> int:
        form = unicodedata.normalize("NFKC", chr(code))
        folded = ord(form) if len(form) == 1 else code
        if code < KEPT_BELOW:
            self[code] = folded
        return folded


_HALF_WIDTH = _Forms({ord(mark): ord(mark) for mark in KEPT})
