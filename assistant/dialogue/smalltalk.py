"""Greetings, thanks and good-byes: no question, so nothing is searched."""

from __future__ import annotations

import re
from typing import Literal

from assistant.language import HAN_RANGES, fold

Pleasantry = Literal["greeting", "thanks", "goodbye", "identity"]

PARTS = re.compile(
    r"[.,!?;:~…、，。！？；：～()（）\n\U0001F300-\U0001FAFF\u2600-\u27BF]+"
    rf"|(?<=[{HAN_RANGES}])\s+(?=[{HAN_RANGES}])"
)
APART = re.compile(r"[\s\"'’-]+")
MAX_CHARACTERS = 60

OK = "好的?|嗯+|行|好吧|好嘞|可以了|没问题了?|收到|懂了|明白了?|知道了?|了解了?"

PHRASES: dict[Pleasantry, re.Pattern[str]] = {
    "greeting": re.compile(
        r"(?:(?:hi|hello|hey|hiya|howdy|greetings)(?: there| all| team| everyone| again)?"
        r"|good (?:morning|afternoon|evening|day)|how are you(?: doing)?(?: today)?|what ?s up"
        r"|您好|你好|你们好|嗨|哈喽|哈啰|早上好|上午好|中午好|下午好|晚上好|在吗|在不在|有人吗|亲|[呀啊哦])+"
    ),
    "thanks": re.compile(
        r"(?:(?:ok(?:ay)?|great|perfect|cool|super|nice|awesome|got it) ?)?"
        r"(?:(?:many )?thanks?(?: you)?(?: (?:so|very) much| a (?:lot|bunch|million)| again)?"
        r"(?: for (?:(?:all )?(?:of )?(?:your|the) )?"
        r"(?:help|support|time|patience|answer|quick (?:reply|answer)|info\w*))?"
        r"|thx|ty|cheers|much appreciated)"
        r"|(?:ok(?:ay)?|great|perfect|cool|nice|got it|alright)|(?:that|this) (?:really )?helped(?: a lot| me)?"
        rf"|(?:{OK})*(?:(?:非常|太|十分)?(?:谢谢|多谢|感谢|感激)(?:您|你|你们|客服)?(?:的(?:帮助|帮忙|解答|回复))?|辛苦(?:您|你)?了)"
        r"(?:了|啦|呀|哦|哈|啊|咯|喽|嘞|亲)*"
        rf"|(?:{OK})+"
    ),
    "goodbye": re.compile(
        r"(?:ok(?:ay)? )?(?:bye(?: bye)?|good ?bye|see you(?: later)?|cya|have a (?:nice|good|great) (?:day|evening))"
        r"|再见|拜拜|回见|下次聊"
    ),
    "identity": re.compile(
        r"(?:who|what) are you"
        r"|who am i (?:talking|speaking|chatting) (?:to|with)"
        r"|are you (?:a )?(?:bot|robot|human|real|an ai|ai|a person|a real person)"
        r"|(?:what is|what s) your name|what can you do"
        r"|(?:请问)?(?:[你您]是谁|[你您]叫什么(?:名字)?|[你您]是(?:机器人|真人|人工)吗|[你您](?:能|可以)?(?:会|做)什么)"
    ),
}


def pleasantry(text: str) -> Pleasantry | None:
    """Which kind of small talk the whole text is, or None where there is more in it."""
    if len(text) > MAX_CHARACTERS:
        return None
    kinds = [_kind(part) for part in PARTS.split(fold(text).lower()) if part.strip()]
    return kinds[0] if kinds and None not in kinds else None


def _kind(part: str) -> Pleasantry | None:
    bare = " ".join(APART.sub(" ", part).split())
    return next((kind for kind, phrase in PHRASES.items() if phrase.fullmatch(bare)), None)


def is_small_talk(text: str) -> bool:
    """Whether the text is nothing but a pleasantry."""
    return pleasantry(text) is not None
