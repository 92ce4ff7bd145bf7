"""Whether a piece of text asks something, in English and Chinese."""

from __future__ import annotations

import re

from assistant.language import HAN, HAN_RANGES, fold

MIN_HAN = 3
ASKING = (
    r"how|what|when|where|which|who|whom|whose|why|whether"
    r"|can|could|do|does|did|is|are|am|was|will|would|should|may|must|have|has"
)
ENGLISH_QUESTION = re.compile(
    rf"(?:^|[,:]\s+)(?:(?:so|and|but|also|then|please|hi|hello|hey|ok|sorry)[, ]{{1,4}}){{0,4}}(?:{ASKING})\b"
    r"|\b(?:tell me|let me know|i(?:'d| would) like to know|i (?:want|need) to know"
    r"|wondering|any idea|not sure)\b|\?\s*$",
    re.I,
)
CHINESE_QUESTION = re.compile(
    r"[吗呢么不没][?？。!！]*$|[?？]\s*$|怎么|怎样|咋|如何|多少|多久|几[天个次点时月年折件]|哪[里个些儿家种]?|什么|啥"
    rf"|([{HAN_RANGES}])不\1"
    r"|可不可以|可以.{0,12}吗|有没有|是否|谁|为何|何时|多长|多大|多重|多贵"
)

# What remains of "how much is it?" and 「多少钱啊」 without these is nothing: they are about what was said before.
GENERIC_WORDS = frozenset(
    "how what when where which why who much many long far soon often late can could do does did is are was will would "
    "it its that this the a an to for of me i my you your we cost price take takes need have get ok and so please then "
    "time day days hour hours go be there any".split()
)
GENERIC_CHINESE = re.compile(
    r"多少钱|多少|多久|多长时间|什么时候|几天|几[个点]|怎么[样办]?|如何|哪里|最低|最多|一般|大概|需要|可以|能不能|能|要|是|得|会|才|到|花|钱|好"
    r"|[的了吗呢吧啊呀哦啦么我你您这那它个，。？！,.?! ]"
)


def is_bare(text: str) -> bool:
    """Whether the text asks for something without saying of what: "how much?", 「要多久」."""
    text = fold(text)
    if HAN.search(text):
        return not GENERIC_CHINESE.sub("", text)
    words = re.findall(r"[a-z]+", text.lower())
    return bool(words) and all(word in GENERIC_WORDS for word in words)


def asks(piece: str) -> bool:
    """Whether the piece is a question, with or without its mark."""
    piece = fold(piece)
    if HAN.search(piece):
        return len(HAN.findall(piece)) >= MIN_HAN and bool(CHINESE_QUESTION.search(piece))
    return len(piece.split()) >= 2 and bool(ENGLISH_QUESTION.search(piece))
