"""When a customer is so angry that only a person helps."""

from __future__ import annotations

import re

from assistant.language import fold
from assistant.values import Reading

ENGLISH = re.compile(
    r"\b(?:unacceptable|outrag(?:e|ed|eous)|disgrace(?:ful)?|disgust(?:ing|ed)|furious|livid|scam(?:mers?)?|rip[- ]?off"
    r"|joke of a|worst|crooks?|thie(?:f|ves)|liars?|lied to me|(?:stole|stealing) my"
    r"|shame on you|i['’]ve had it|had enough"
    r"|fed up|sick (?:and tired )?of|never (?:again|buy(?:ing)?|order(?:ing)?)|ridiculous|pathetic|appalling"
    r"|zero answers|(?:third|fourth|fifth|sixth|3rd|4th|5th|tenth) time"
    r"|how (?:dare|hard can it be)|waste of (?:time|money)|incompetent"
    r")\b",
    re.I,
)
CHINESE = re.compile(
    r"太(?:过分|离谱|差劲?|坑|恶心|气人)了?|气[死炸疯]|忍无可忍|骗子|骗人|垃圾(?!桶|袋|箱)|黑店|奸商|坑人|坑爹"
    r"|什么破|第[三四五六七八九十]次|受够了|再也不(?:会?买|会?来)|差评|烂透|恶心|敷衍|糊弄|不要脸"
    r"|浪费(?:我的)?时间|到底(?:有没有人|管不管|还要)|凭什么|太让人失望|(?:没|无)(?:一个)?人(?:管|理)|还我钱|说了等于没说"
)
SHOUTING_LETTERS = 12
NEEDED = 2


def is_furious(text: str, reading: Reading) -> bool:
    """Whether at least two things say so: hard words (each counts), shouting, exclamation marks, the mood read."""
    text = fold(text)
    signs = len(ENGLISH.findall(text)) + len(CHINESE.findall(text))
    if not signs:
        return False
    return signs + _shouts(text) + (reading.sentiment == "negative") >= NEEDED


def _shouts(text: str) -> bool:
    letters = [letter for letter in text if letter.isascii() and letter.isalpha()]
    in_capitals = len(letters) >= SHOUTING_LETTERS and sum(map(str.isupper, letters)) > 0.7 * len(letters)
    return in_capitals or text.count("!") + text.count("！") >= NEEDED
