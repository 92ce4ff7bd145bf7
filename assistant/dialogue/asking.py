"""Whether a piece of text asks something, in English and Chinese."""

from __future__ import annotations

import re

MIN_HAN = 3
HAN = re.compile(r"[一-鿿]")
ASKING = (
    r"how|what|when|where|which|who|whom|whose|why"
    r"|can|could|do|does|did|is|are|am|was|will|would|should|may|must|have|has"
)
ENGLISH_QUESTION = re.compile(
    rf"(?:^|[,:]\s+)(?:(?:so|and|but|also|then|please|hi|hello|hey|ok|sorry)[, ]+)*(?:{ASKING})\b"
    r"|\b(?:tell me|let me know|i(?:'d| would) like to know|i want to know|wondering|any idea|not sure)\b|\?\s*$",
    re.I,
)
CHINESE_QUESTION = re.compile(
    r"[吗呢么]\s*[?？。!！]*$|[?？]\s*$|怎么|怎样|如何|多少|多久|几[天个次点时月年折]|哪[里个些儿家种]?|什么|啥|能不能|可不可以|可以.{0,12}吗"
    r"|是不是|有没有|是否|要不要|会不会|谁|为何|为什么|何时|多长|多大|多重|多贵"
)


def asks(piece: str) -> bool:
    """Whether the piece is a question, with or without its mark."""
    if HAN.search(piece):
        return len(HAN.findall(piece)) >= MIN_HAN and bool(CHINESE_QUESTION.search(piece))
    return len(piece.split()) >= 2 and bool(ENGLISH_QUESTION.search(piece))
