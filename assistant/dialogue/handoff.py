"""When a customer wants a person."""

from __future__ import annotations

import re

from assistant.dialogue.replies import TALK_TO_A_PERSON

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
CHINESE_PERSON = r"(?:人工|真人|活人|客服(?:人员|代表|专员|小姐姐|小哥)?)"
CHINESE = re.compile(
    rf"(?:转|找|要|换|叫|接|联系|需要|呼叫|安排|派)(?:一?下|一?[个位名])?{CHINESE_PERSON}(?!电话|热线|邮箱|费)"
    rf"|(?:跟|和|与|让){CHINESE_PERSON}(?:客服)?(?:讲|说|聊|谈|沟通|对话|联系)|有(?:没有)?(?:活人|真人)"
    r"|(?:叫|找|派|换|让|安排)(?:一?[个位])?人(?:来|跟|和|过来|处理|给我)|人工客服|人工服务|真人客服|^人工$|不要机器人"
)
# "When are your agents there?" asks about people without wanting one now.
ABOUT = re.compile(r"\b(?:hours|when|opening|open)\b|几点|什么时候|时间|上班", re.I)
EMAIL = re.compile(r"[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}", re.ASCII)


def wants_person(text: str) -> bool:
    """Whether the customer asks for a person now."""
    if text.strip() in TALK_TO_A_PERSON.values():
        return True
    return bool((ENGLISH.search(text) or CHINESE.search(text)) and not ABOUT.search(text))


def email_address(text: str) -> str | None:
    """The first e-mail address in the text."""
    found = EMAIL.search(text)
    return found.group().rstrip(".-") if found else None
