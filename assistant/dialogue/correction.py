"""When a customer corrects what they asked: "no, I meant shoes", 「不是，我问的是退款」."""

from __future__ import annotations

import re

from assistant.language import fold

# Who writes more asks anew.
MAX_CHARS = 500
_LEAD = (
    r"(?:no|nope|sorry|oh|oops|wait|actually|wrong|typo|my mistake|my bad|not that(?: one)?"
    r"|that(?:['’]s| is) not (?:it|what i (?:asked|meant)))\b"
)
# "wrong item delivered" and "no problem, ..." correct nothing: a lead ends in a mark, or what is meant follows it.
ENGLISH_LEAD = re.compile(
    rf"^(?:{_LEAD}[,.!;:… ]+){{0,5}}{_LEAD}"
    r"(?: *[,.!;:…][,.!;:… ]*| +(?=i(?:['’]m| meant?| was| am| asked| want)\b|it(?:['’]s| was| is)\b|not\b))",
    re.I,
)
ENGLISH_MEANT = re.compile(
    r"^(?:i (?:meant|mean|was asking about|am asking about|asked about|was talking about)"
    r"|what i meant (?:is|was))\b[,: ]*",
    re.I,
)
# "not the lamp, the table", "not shoes, lamps"; "not happy with the colour, ..." rules nothing out.
ENGLISH_INSTEAD = re.compile(
    r"^not (?:(?:the|an?|my|your|our|this|that|those|these|for|to|from|about|in|on|by|with)\b[^,.]*"
    r"|(?!sure|working|received|yet|happy|good|ok)[\w-]+(?: [\w-]+)?)[,.]\s*(?:but\s+)?",
    re.I,
)
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
    text = fold(text).strip()
    if len(text) > MAX_CHARS:
        return None
    rest = CHINESE_LEAD.sub("", ENGLISH_LEAD.sub("", text))
    has_lead = rest != text
    meant = CHINESE_INSTEAD.sub("", ENGLISH_INSTEAD.sub("", rest))
    meant = CHINESE_MEANT.sub("", ENGLISH_MEANT.sub("", meant)) if has_lead or meant == rest else meant
    if not has_lead and meant == rest:
        return None
    bare = CHINESE_NOT.sub("", ENGLISH_NOT.sub("", meant)).strip()
    return bare or meant.strip() or None
