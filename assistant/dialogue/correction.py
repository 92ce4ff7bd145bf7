"""When a customer corrects what they asked: "no, I meant shoes", 「不是，我问的是退款」."""

from __future__ import annotations

import re

ENGLISH_LEAD = re.compile(
    r"^(?:(?:no|nope|sorry|oh|oops|wait|actually|wrong|typo|my mistake|my bad|not that(?: one)?"
    r"|that(?:['’]s| is) not (?:it|what i (?:asked|meant)))\b[,.!;:… ]+)+",
    re.I,
)
ENGLISH_MEANT = re.compile(
    r"^(?:i (?:meant|mean|was asking about|am asking about|asked about|was talking about)"
    r"|what i meant (?:is|was))\b[,: ]*",
    re.I,
)
ENGLISH_INSTEAD = re.compile(r"^not\b(?! (?:sure|working|received|yet))[^,.]*[,.]\s*(?:but\s+)?", re.I)
ENGLISH_NOT = re.compile(r",\s*(?:and\s+)?not\b[^,?!]*[.!]*$", re.I)
CHINESE_LEAD = re.compile(r"^(?:(?:不[是对]|不不|啊不|[打说搞弄]?错了|口误|抱歉|不好意思)[，,。！! ]+)+")
CHINESE_MEANT = re.compile(
    r"^(?:我(?:问|说|指|想问|要问)的(?:其实)?是|我是(?:说|问|想问|指)|我是想|应该是|是(?!不是|否))[，,：: ]*"
)
CHINESE_INSTEAD = re.compile(r"^不是[^，,。]+[，,](?:而)?是")
CHINESE_NOT = re.compile(r"[，,](?:而)?不是[^，,。？?]*[。！!]*$")


def corrected(text: str) -> str | None:
    """What is asked instead, or None where the text corrects nothing.

    What is ruled out is left out: of "no, I meant the delivery to me, not sending it back" the delivery stays.
    """
    text = text.strip()
    rest = CHINESE_LEAD.sub("", ENGLISH_LEAD.sub("", text))
    has_lead = rest != text
    meant = CHINESE_INSTEAD.sub("", ENGLISH_INSTEAD.sub("", rest))
    meant = CHINESE_MEANT.sub("", ENGLISH_MEANT.sub("", meant)) if has_lead or meant == rest else meant
    if not has_lead and meant == rest:
        return None
    bare = CHINESE_NOT.sub("", ENGLISH_NOT.sub("", meant)).strip()
    return bare or meant.strip() or None
