"""When a customer wants a person."""

from __future__ import annotations

import re

from assistant.dialogue.replies import TALK_TO_A_PERSON

PERSON = (
    r"(?:human(?: being| agent)?|(?:real|actual|live) (?:person|human|agent)|person|agent|representative|rep|operator"
    r"|somebody|someone|colleague|advisor|staff member|employee|manager|supervisor)"
)
ENGLISH = re.compile(
    rf"""
      \b(?:talk|speak|chat|connect|transfer|put|hand|pass)\b [^.?!]{{0,20}} \b(?:to|with)\b [^.?!]{{0,20}} \b{PERSON}\b
    | \b(?:want|need|get|give|like)\b (?:\ me)? (?:\ to\ have)? (?:\ (?:a|an|some))? (?:\ (?:real|live|actual))?
      \ (?:human|person|agent|representative|operator)\b
    | ^(?:an?\ |the\ )?(?:human|real\ person|live\ agent|agent|operator|representative)(?:\ please)?[.!]*$
    | \b(?:human|real\ person|live\ agent)\ please\b
    """,
    re.I | re.X,
)
CHINESE = re.compile(
    r"(?:转|找|要|换|叫|接|联系|需要|呼叫)(?:一?下|个)?(?:人工|真人|客服人员|客服(?:代表|专员))"
    r"|人工(?:客服|服务)|真人客服|^人工$|不要机器人"
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
