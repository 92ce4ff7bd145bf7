"""What a turn knows of the turns before it: which fit the prompt, and what a follow-up refers to."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from assistant.conversation.events import Event, Message
from assistant.dialogue.asking import asks, is_bare
from assistant.dialogue.correction import corrected
from assistant.dialogue.prompt import Exchange
from assistant.dialogue.smalltalk import is_small_talk
from assistant.language import HAN, fold

# "and for shoes?", "what about abroad?", "does it cost extra?": they say nothing without what came before.
ENGLISH_OPENING = re.compile(
    r"^(?:(?:ok(?:ay)?|yes|no|thanks|hm+)[,.! ]+)?(?:and|but|or|so|what about|how about|what if|also|then)\b[,: ]*",
    re.I,
)
ENGLISH_REFERENCE = re.compile(
    r"\b(?:it|its|that|this|those|these|they|them|one|ones)\b|(?<!\bis )(?<!\bare )\bthere\b", re.I
)
# "is it possible to ...", "this shop", "the sofa that I ordered", "which one": they refer to nothing that was said.
ENGLISH_EXPLETIVE = re.compile(
    r"\b(?:is it|it is|it['’]s|would it be) (?:\w+ ){0,2}?(?:possible|true|ok(?:ay)?|allowed|necessary|enough|better"
    r"|best|too late|normal|usual|hard|easy) (?:to|that|if|for|when)\b"
    r"|\b(?:does|will|did|would) it (?:usually )?(?:take|cost)\b(?=.* (?:to|for|until|till)\b)"
    r"|\b(?:this|that) (?:shop|store|site|website|page|company|year|month|week|weekend|evening|morning|afternoon"
    r"|summer|winter|spring|autumn|christmas|chat)\b|\bthat(?= (?:i|you|we|my|the)\b)|\bwhich one\b",
    re.I,
)
CHINESE_OPENING = re.compile(r"^(?:那么?|还有|另外|然后|而且|但是?|如果是?|要是)[，, ]*")
CHINESE_REFERENCE = re.compile(r"(?:它|这个|那个|这种|那种|这些|那些|这样|那样)")
CHINESE_ENDING = re.compile(r"呢[？?！!。.]*$")
SHORT_WORDS = 9
SHORT_CHARACTERS = 14
SELF_CONTAINED_CHARACTERS = 9
OPENED_WORDS = 14
REMINDED_WORDS = 12
REMINDED_CHARACTERS = 20
# Who writes more says what it is about.
FOLLOW_UP_CHARACTERS = 500


def standalone(question: str, earlier: Sequence[str]) -> str:
    """The question with what it refers to, for search and prompt alike.

    ``earlier`` are the customer's messages before it, oldest first. A follow-up is joined to the last
    question that stands by itself; anything else is returned as it is, but for its script and width (`fold`).
    """
    question = fold(question)
    if not is_follow_up(question):
        return corrected(question) or question
    previous = _last_standing(earlier)
    return f"{previous} {new_part(question)}" if previous else question


def reminded(question: str, earlier: Sequence[str]) -> str | None:
    """A short question with the one before it, where it may lean on that though nothing in it says so.

    After "Is there a birthday voucher?" the question "until when is a code valid" is about that voucher; after "Do you
    have express?" the question "Which shoe size do I need?" is not. The search has to tell.
    """
    is_short = len(question) <= REMINDED_CHARACTERS if HAN.search(question) else len(question.split()) <= REMINDED_WORDS
    previous = _last_standing(earlier) if is_short else ""
    return f"{previous} {question}" if previous else None


def _last_standing(earlier: Sequence[str]) -> str:
    """The last of the customer's messages that stands by itself; empty where there is none."""
    standing = (text for text in map(fold, reversed(earlier)) if not is_follow_up(text) and not is_small_talk(text))
    return next(standing, "").strip()


def is_follow_up(text: str) -> bool:
    """Whether the text leans on what was said before."""
    text = fold(text).strip()
    if len(text) > FOLLOW_UP_CHARACTERS:
        return False
    instead = corrected(text)
    if instead is None:
        return _leans(text)
    return not asks(instead) or _leans(instead)


def _leans(text: str) -> bool:
    if is_bare(text):
        return True
    if HAN.search(text):
        return len(text) <= SHORT_CHARACTERS and _leans_in_chinese(text)
    num_words = len(text.split())
    if num_words > OPENED_WORDS:
        return False
    opens = bool(ENGLISH_OPENING.match(text))
    refers = bool(ENGLISH_REFERENCE.search(ENGLISH_EXPLETIVE.sub("", text)))
    return (opens and refers) or (num_words <= SHORT_WORDS and (opens or refers or _is_fragment(text)))


def _leans_in_chinese(text: str) -> bool:
    if CHINESE_OPENING.match(text) or CHINESE_REFERENCE.search(text):
        return True
    return bool(CHINESE_ENDING.search(text)) and len(text) <= SELF_CONTAINED_CHARACTERS


def _is_fragment(text: str) -> bool:
    # "for shoes?", "to Austria?": a preposition and a thing.
    return bool(re.match(r"^(?:for|to|from|with|without|in|on|by|after|before|only)\b", text, re.I))


def new_part(text: str) -> str:
    """What a follow-up asks anew: "and for shoes?" gives "for shoes?", 「那运费呢？」 gives 「运费」."""
    bare = CHINESE_OPENING.sub("", ENGLISH_OPENING.sub("", corrected(text) or text.strip()))
    return CHINESE_ENDING.sub("", bare) or text


def exchanges(messages: Sequence[Event]) -> list[Exchange]:
    """The finished turns among a conversation's messages, oldest first, as the prompt tells them.

    Each customer message is taken in its standalone form, with the passages its answer was given. What nobody
    has answered yet is joined to the next question; another wording takes the place of the answer before it.
    """
    turns: list[Exchange] = []
    answered: set[str] = set()
    asked: list[str] = []
    standing: list[str] = []
    for message, author in ((e.payload, e.author) for e in messages if isinstance(e.payload, Message)):
        if author == "customer":
            asked.append(standalone(message.text, standing))
            if stands := _last_standing([message.text]):
                standing = [stands]
            continue
        if asked:
            turns.append(Exchange("\n".join(asked), message.text, message.passages))
            asked = []
        elif turns and message.reply_to in answered:
            turns[-1] = Exchange(turns[-1].question, message.text, message.passages)
        elif turns:
            turns[-1] = Exchange(turns[-1].question, f"{turns[-1].answer}\n{message.text}", turns[-1].passages)
        answered.add(message.message_id)
    return turns


def fit(turns: Sequence[Exchange], *, budget: int, cost: Callable[[Exchange], int]) -> list[Exchange]:
    """The latest turns that cost at most ``budget`` tokens.

    Over budget the oldest are cut in one block, down to half of it, so that the prompt's beginning stays
    the same for several turns and what the model computed for it can be reused.
    """
    costs = [cost(turn) for turn in turns]
    first = 0
    for last in range(len(turns)):
        if sum(costs[first : last + 1]) > budget:
            while first <= last and sum(costs[first : last + 1]) > budget // 2:
                first += 1
    return list(turns[first:])
