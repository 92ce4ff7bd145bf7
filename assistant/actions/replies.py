"""The fixed texts around business actions; what an action itself asks and tells stands in its settings."""

from __future__ import annotations

from typing import Literal

from assistant.config import HandoffSettings
from assistant.dialogue.replies import Written, contact, paragraphs, say

YES: dict[Written, str] = {"en": "Yes", "zh": "确认"}
NO: dict[Written, str] = {"en": "No", "zh": "取消"}

Line = Literal[
    "not_understood",
    "too_long",
    "yes_or_no",
    "cancelled",
    "not_found",
    "refused",
    "failure",
    "done",
    "unknown",
    "gave_up",
    "go_on",
    "sign_in",
]
LINES: dict[Line, dict[Written, str]] = {
    "not_understood": {
        "en": "Sorry, I could not make that out. (You can also say “cancel”.)",
        "zh": "抱歉，没能识别您发的内容。（不想继续的话，回复“取消”就行。）",
    },
    "too_long": {
        "en": "That is too long for me to pass on; {limit} characters at most, please.",
        "zh": "内容太长了，请控制在{limit}个字以内。",
    },
    "yes_or_no": {
        "en": "Please answer with yes or no, so that I do nothing you do not want.",
        "zh": "为避免误操作，请您回复“确认”或“取消”。",
    },
    "cancelled": {
        "en": "All right, I have dropped it; nothing was changed. Is there anything else I can help you with?",
        "zh": "好的，已为您取消，没有做任何改动。还有其他可以帮您的吗？",
    },
    "not_found": {
        "en": "I found nothing that fits these details together. Please check them and send me the right ones.",
        "zh": "没有查到与您提供的信息相符的记录，请核对后重新发给我。",
    },
    "refused": {
        "en": "I am sorry, our system did not accept this.",
        "zh": "抱歉，系统没有受理这个申请。",
    },
    "failure": {
        "en": "I am sorry, our system is not answering as it should, so I cannot tell you right now. "
        "Please try again a little later, or ask for a person.",
        "zh": "抱歉，系统暂时无法正常响应，现在办不了。请您稍后再试，或转接人工客服。",
    },
    "done": {
        "en": "That is done.",
        "zh": "已为您办理完成。",
    },
    "unknown": {
        "en": "I am sorry: our system did not answer clearly, so I do not know whether your request went through. "
        "Please do not send it again; a colleague will check and get back to you.",
        "zh": "抱歉，系统没有明确回应，暂时无法确定您的申请是否已经提交成功。请先不要重复提交，"
        "客服人员会核实后联系您。",
    },
    "go_on": {
        "en": "Shall we go on with what you asked before? {asked}",
        "zh": "我们接着办刚才的事吧。{asked}",
    },
    "sign_in": {
        "en": "For this I need to know who you are: please sign in on our site, then ask me again.",
        "zh": "办理这项业务需要先确认您的身份，请登录后再来问我。",
    },
    "gave_up": {
        "en": "I am not getting any further with this here, so a colleague had better help you.",
        "zh": "看来我这边没办法帮您办好，还是请客服人员来处理吧。",
    },
}


def line(name: Line, language: Written, **values: str | int) -> str:
    """One fixed text."""
    return LINES[name][language].format(**values)


def with_contact(lead: str, language: Written, handoff: HandoffSettings) -> str:
    """A text, and how to reach a person."""
    return paragraphs(lead, contact(language, handoff))


def with_person(lead: str, language: Written, handoff: HandoffSettings) -> str:
    """A text, and that a person takes over."""
    details = contact(language, handoff)
    return paragraphs(lead, details, say("leave_address" if details else "only_address", language))
