"""Yes, no, never mind, or a question: what a message says to something that was asked.

Only a message that says nothing else counts: "yes, but to another address" is no yes.
"""

from __future__ import annotations

import re

from assistant.actions.folding import bare, fold

MAX_CHARACTERS = 40

# Words that may stand around a yes or a no without changing it; never "but".
ENGLISH_TAIL = r"(?: (?:please|thanks|thank you|that's (?:right|correct|fine)|go ahead|do it|do that|of course))*"
CHINESE_TAIL = r"(?:的|了|吧|呀|啊|呢|哦|谢谢|麻烦了|麻烦你了|麻烦您了|请|就这样|没问题|没错| )*"
YES = re.compile(
    rf"(?:yes|yep|yeah|yup|y|sure|ok|okay|correct|right|confirm|confirmed|i confirm|agreed|of course|absolutely"
    rf"|go ahead|do it|please do|that's right|that's correct|yes i do|yes i am sure|i'm sure|i am sure){ENGLISH_TAIL}"
    rf"|(?:是|是的|对|对的|好|好的|好啊|行|可以|确认|我确认|确定|我确定|同意|没错|没问题|嗯是的|嗯好的|提交|确认提交)"
    rf"{CHINESE_TAIL}"
)
NO = re.compile(
    r"(?:no|nope|nah|n|not now|no way|don't|do not|please don't|please do not|rather not|i'd rather not|wrong)"
    r"(?: (?:thanks|thank you|please|that's wrong|that's not right|don't|do not|not yet))*"
    rf"|(?:不|不是|不对|不行|不要|不用|不可以|不确认|不同意|先不|先不要|先不用|暂时不|不提交|否|错了){CHINESE_TAIL}"
)
CANCEL = re.compile(
    r"(?:(?:no|ok|okay|oh|actually|sorry|wait|please|well) )*"
    r"(?:cancel(?: (?:it|that|this|the request|the whole thing|everything))?|never ?mind|nevermind"
    r"|forget (?:it|that|about it)|stop(?: (?:it|that|this))?|leave it|drop it|abort|quit|no thanks|no thank you"
    r"|i(?: have|'ve)? changed my mind|i don't want (?:to|it|that|this)(?: any ?more)?|not any ?more|i give up)"
    r"(?: (?:please|thanks|thank you|sorry|then|i changed my mind|i've changed my mind|forget it|cancel))*"
    r"|(?:那|那就|还是|哦|好吧|抱歉|不好意思|请| )*"
    r"(?:算了|取消|先取消|不用了|不要了|不办了|不退了|不查了|不弄了|不需要了|不想(?:办|退|要|弄|查)了|别(?:办|退|弄|查)了"
    r"|我?改主意了|我?改变主意了|停止?|退出|放弃|我?后悔了|先不用了|先不办了|下次再说)"
    r"(?:[了吧的呀啊呢哦 ]|谢谢|麻烦[你您]?了|不好意思|取消|算了|不办了|不用了|不退了|就这样)*"
)
ENGLISH_QUESTION = re.compile(
    r"^(?:(?:and|but|so|ok|okay|well|hi|hello|sorry|wait|first|also|by the way) )*"
    r"(?:who|what|what's|when|where|where's|why|how|how's|which|whose|is|are|am|do|does|did|can|could|will|would|should|may"
    r"|has|have|had)\b"
)
CHINESE_QUESTION = re.compile(
    r"吗|怎么|怎样|咋|如何|为什么|为啥|什么|多久|多少|几[天个点号时件]|哪[里儿个些天家]?|谁|是否|能不能|可不可以|是不是|有没有|要不要|呢$|不$"
)


def is_yes(text: str) -> bool:
    """Whether the text is an explicit yes and nothing else."""
    return _is(YES, text) and not fold(text).rstrip().endswith("?")


def is_no(text: str) -> bool:
    """Whether the text is a no and nothing else."""
    return _is(NO, text)


def cancels(text: str) -> bool:
    """Whether the text ends what was begun, whatever was asked last."""
    return _is(CANCEL, text)


def asks(text: str) -> bool:
    """Whether the text asks something itself."""
    if fold(text).rstrip().endswith("?"):
        return True
    said = bare(text)
    return bool(ENGLISH_QUESTION.match(said) or CHINESE_QUESTION.search(said))


def _is(pattern: re.Pattern[str], text: str) -> bool:
    return len(text) <= MAX_CHARACTERS and bool(pattern.fullmatch(bare(text)))
