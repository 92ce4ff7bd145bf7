"""The fixed texts the assistant says by itself, in English and Chinese."""

from __future__ import annotations

from typing import Literal

from assistant.config import BrandSettings, HandoffSettings, LocalText
from assistant.dialogue.smalltalk import Pleasantry

Written = Literal["en", "zh"]

TALK_TO_A_PERSON: dict[Written, str] = {"en": "Talk to a person", "zh": "转人工客服"}

_PLEASANTRIES: dict[Pleasantry, dict[Written, str]] = {
    "greeting": {
        "en": "Hello! I am the assistant of {brand}. What can I help you with?",
        "zh": "您好！我是{brand}的智能客服，请问有什么可以帮您？",
    },
    "thanks": {
        "en": "You are welcome! Is there anything else I can help you with?",
        "zh": "不客气！请问还有其他可以帮您的吗？",
    },
    "goodbye": {
        "en": "Thank you for getting in touch. Good-bye!",
        "zh": "感谢您的咨询，祝您生活愉快，再见！",
    },
    "identity": {
        "en": "I am the automatic assistant of {brand}. I answer from our help pages, and I can get you a person.",
        "zh": "我是{brand}的智能客服，根据我们的帮助内容为您解答，也可以为您转接人工客服。",
    },
}
_ABSTAIN: dict[Written, str] = {
    "en": "I am sorry, I have no reliable answer to that. A colleague of mine can help you.",
    "zh": "抱歉，这个问题我暂时没有可靠的答案，可以请人工客服为您解答。",
}
_HANDOFF: dict[Written, str] = {
    "en": "Of course, I am passing you on to a person.",
    "zh": "好的，正在为您转接人工客服。",
}
_LEAVE_ADDRESS: dict[Written, str] = {
    "en": "You can also leave your e-mail address here, and we will write to you.",
    "zh": "您也可以在这里留下邮箱，我们会尽快与您联系。",
}
_ONLY_ADDRESS: dict[Written, str] = {
    "en": "Please leave your e-mail address here, and we will write to you.",
    "zh": "请在这里留下您的邮箱，我们会尽快与您联系。",
}
_ADDRESS_TAKEN: dict[Written, str] = {
    "en": "Thank you. A person will write to {address}. You can go on asking me in the meantime.",
    "zh": "谢谢！客服人员会通过 {address} 与您联系。在此期间，您可以继续向我提问。",
}
_CLOSEST: dict[Written, str] = {
    "en": "This is the closest answer I have, to “{title}”:",
    "zh": "为您找到最接近的问题“{title}”：",
}
_OTHER_LANGUAGE = "I can answer in English and Chinese. 我可以用中文和英文回答。"
_FAILED: dict[Written, str] = {
    "en": "I am sorry, something went wrong on our side. Please ask again, or talk to a person.",
    "zh": "抱歉，系统出了点问题。请您再问一次，或转接人工客服。",
}
_STOPPED: dict[Written, str] = {"en": "(stopped)", "zh": "（已停止）"}
_CONTACT: dict[Written, dict[str, str]] = {
    "en": {"email": "E-mail: {value}", "phone": "Phone: {value}", "hours": "Hours: {value}"},
    "zh": {"email": "邮箱：{value}", "phone": "电话：{value}", "hours": "服务时间：{value}"},
}


def written(language: str, default: Written) -> Written:
    """The language of fixed texts for a customer's language."""
    if language == "zh":
        return "zh"
    return "en" if language == "en" else default


def local(text: LocalText, language: Written) -> str:
    """A setting's text in a language, or in the one it has."""
    return text.get(language) or next(iter(text.values()), "")


def pleasantry(kind: Pleasantry, language: Written, brand: BrandSettings) -> str:
    """The answer to small talk."""
    return _PLEASANTRIES[kind][language].format(brand=local(brand.name, language))


def abstain(language: Written, handoff: HandoffSettings) -> str:
    """No answer, and how to reach a person."""
    return _paragraphs(_ABSTAIN[language], contact(language, handoff))


def hand_over(language: Written, handoff: HandoffSettings) -> str:
    """A person takes over: the contact, and the offer to leave an address."""
    details = contact(language, handoff)
    return _paragraphs(_HANDOFF[language], details, (_LEAVE_ADDRESS if details else _ONLY_ADDRESS)[language])


def address_taken(language: Written, address: str) -> str:
    """The customer's e-mail address is noted."""
    return _ADDRESS_TAKEN[language].format(address=address)


def closest(language: Written, title: str) -> str:
    """The line before a curated answer that may not be what was asked."""
    return _CLOSEST[language].format(title=title)


def other_language() -> str:
    """The line for a customer whose language nothing here is written in."""
    return _OTHER_LANGUAGE


def failed(language: Written) -> str:
    """A turn broke."""
    return _FAILED[language]


def stopped(language: Written) -> str:
    """An answer was stopped before it had a first sentence."""
    return _STOPPED[language]


def contact(language: Written, handoff: HandoffSettings) -> str:
    """How to reach a person, one line each, as Markdown; empty where nothing is set."""
    values = {"email": handoff.email, "phone": local(handoff.phone, language), "hours": local(handoff.hours, language)}
    return "\n".join(f"- {_CONTACT[language][name].format(value=value)}" for name, value in values.items() if value)


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
