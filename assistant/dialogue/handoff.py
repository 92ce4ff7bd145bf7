"""When a customer wants a person, and where they may be written to meanwhile."""

from __future__ import annotations

import re
from itertools import islice

from assistant.dialogue.asking import asks
from assistant.dialogue.replies import TALK_TO_A_PERSON
from assistant.language import fold

# Of a longer text so much of the beginning and of the end counts: there a wish for a person stands.
END_CHARS = 2_000
MAX_WISHES = 40
MAX_COURTESY_CHARS = 300

PERSON = (
    r"(?:human(?: being| agent)?s?|(?:real|actual|live) (?:person|people|human|agent)|persons?|agents?"
    r"|representatives?|reps?"
    r"|operator|somebody|someone|colleagues?|advisors?|(?:member of )?(?:the |your )?staff(?: member)?"
    r"|employees?|manager"
    r"|supervisor|(?:the |your )?(?:support |service )?team)"
)
ENGLISH = re.compile(
    rf"""
      \b(?:talk|speak|chat|connect|transfer|put|hand|pass|discuss)\b [^.?!]{{0,24}}
      \b(?:to|with)\b [^.?!]{{0,20}} \b{PERSON}\b
    | \b(?:want|need|get|give|like)\b (?:\ me)? (?:\ to\ have)? (?:\ (?:a|an|some))? (?:\ (?:real|live|actual))?
      \ (?:human|person|agent|representative|operator|somebody\ from|someone\ from)\b
    | ^(?:an?\ |the\ )?(?:human|(?:real|live|actual)\ (?:person|agent|human)|agent|operator|representative)
      (?:\ (?:now|please|pls))*[.!]*$
    | \b(?:human|real\ person|live\ agent)\ please\b | \bno\ (?:more\ )?(?:ro)?bots?\b
    """,
    re.I | re.X,
)
CHINESE_PERSON = r"(?:人工|真人|活人|客服(?:人员|代表|专员|小姐姐|小哥)?|专员)"
CHINESE = re.compile(
    rf"(?:转|找|要|换|叫|接|联系|需要|呼叫|安排|派)(?:一?下|一?[个位名])?{CHINESE_PERSON}(?!电话|热线|邮箱|费)"
    rf"|(?:跟|和|与|让){CHINESE_PERSON}(?:客服)?(?:讲|说|聊|谈|沟通|对话|联系)|有(?:没有)?(?:活人|真人)"
    r"|(?:叫|找|派|换|让|安排)(?:一?[个位])?人(?:来|跟|和|过来|处理|给我)|人工客服|人工服务|真人客服|^人工$|不要机器人"
)
# "When are your agents there?" asks about people without wanting one now.
ABOUT = re.compile(r"\b(?:hours|when|opening|open)\b|几点|(?<!都)什么时候|时间|上班", re.I)
MARK = re.compile(r"[,.!?;:，。！？；：、\n]")
REST_OF_CLAUSE = re.compile(r"[^,.!?;:，。！？；：、\n]{0,80}[?？]?")
REACH = 80
EMAIL = re.compile(r"[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}", re.ASCII)
WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
# What may stand beside an address that is left: "you can reach me at ...", 「我的邮箱是……，谢谢」.
COURTESY = frozenset(
    "a about address am and answer at best by can cheers contact could dear e-mail email for get hello here here's hey "
    "hi i i'm in is it it's its just mail may me my myself number of ok okay on or our please pls reach regards reply "
    "respond send so soon sure thank thanks that's the there this to touch under us use very via will with would write "
    "yes you your".split()
)
CHINESE_COURTESY = re.compile(
    r"电子邮件|电子邮箱|邮箱|邮件|电邮|信箱|邮址|地址|账号|联系方式|联系|联络|回复|答复|通知|写信|发送|你好|您好|谢谢|多谢|感谢|麻烦"
    r"|可以|通过|好的|这是|这个|我的|你们|您们|方便|[我你您请是为在发给到用写回至往就的了吧啊哦嗯好]"
)


def wants_person(text: str) -> bool:
    """Whether the customer asks for a person now."""
    if text.strip() in TALK_TO_A_PERSON.values():
        return True
    said = _both_ends(text)
    wishes = (match for pattern in (ENGLISH, CHINESE) for match in islice(pattern.finditer(said), MAX_WISHES))
    return any(not _asks_about_hours(said, wish) for wish in wishes)


def _both_ends(text: str) -> str:
    return fold(text if len(text) <= 2 * END_CHARS else f"{text[:END_CHARS]}\n{text[-END_CHARS:]}")


def _asks_about_hours(text: str, wish: re.Match[str]) -> bool:
    """Whether the clause around the wish is a question about a time: another clause's time takes no wish back."""
    before = MARK.split(text[max(0, wish.start() - REACH) : wish.start()])[-1]
    rest = REST_OF_CLAUSE.match(text, wish.end())
    clause = f"{before}{wish.group()}{rest.group() if rest else ''}"
    return bool(ABOUT.search(clause)) and asks(clause.strip())


def email_address(text: str) -> str | None:
    """The first e-mail address in the text."""
    found = EMAIL.search(_both_ends(text))
    return found.group().rstrip(".-") if found else None


def address_left(text: str) -> str | None:
    """The e-mail address in a text that says nothing else but courtesies, and perhaps whose it is."""
    address = email_address(text)
    if address is None or len(text) > MAX_COURTESY_CHARS:
        return None
    beside = CHINESE_COURTESY.sub(" ", fold(text).replace(address, " "))
    whose = frozenset(WORD.findall(address.lower().partition("@")[0]))
    words = (word.lower().replace("’", "'") for word in WORD.findall(beside))
    return address if all(word in COURTESY or word in whose for word in words) else None
