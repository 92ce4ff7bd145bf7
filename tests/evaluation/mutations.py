"""True sentences made wrong: a changed number, a turned negation, an invented name, an invented address."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

Mutation = Callable[[str, str, random.Random], str | None]
"""A sentence and its language to a wrong one, or None where it offers no place for the mistake."""

NUMBER = re.compile(r"(?<![\w.@/-])\d+(?:[.,:]\d+)*(?![\w@/])")
AUXILIARY = re.compile(r"\b(can|is|are|will|may|must|should)\b(?! not)")
NAMES = {
    "en": ("Mr Harrison", "Anna Keller", "Hermes", "Zurich", "Contoso"),
    "zh": ("由王建国处理，", "联系李晓明，", "寄到哈尔滨，", "找张伟确认，"),
}


def changed_number(sentence: str, language: str, chance: random.Random) -> str | None:
    places = list(NUMBER.finditer(sentence))
    if not places:
        return None
    place = chance.choice(places)
    other = re.sub(r"\d+", lambda digits: str(int(digits.group()) + chance.choice((1, 5, 30))), place.group(), count=1)
    return sentence[: place.start()] + other + sentence[place.end() :]


def number_of_the_next_clause(sentence: str, language: str, chance: random.Random) -> str | None:
    """Two numbers of one sentence in each other's place."""
    places = list(NUMBER.finditer(sentence))
    if len({place.group() for place in places}) < 2:
        return None
    first, second = places[0], next(place for place in places if place.group() != places[0].group())
    return (
        sentence[: first.start()]
        + second.group()
        + sentence[first.end() : second.start()]
        + first.group()
        + sentence[second.end() :]
    )


def added_negation(sentence: str, language: str, chance: random.Random) -> str | None:
    if language == "zh":
        return _changed(sentence, re.sub(r"(?<!不)(可以|会|能|需要|支持)", r"不\1", sentence, count=1))
    return _changed(sentence, AUXILIARY.sub(r"\1 not", sentence, count=1))


def lost_negation(sentence: str, language: str, chance: random.Random) -> str | None:
    if language == "zh":
        return _changed(sentence, re.sub(r"不(?=[能可会支需收退含提接想])|无法|无需", "", sentence, count=1))
    shorter = re.sub(r"\b(?:do not|don't|does not|not|never) ", "", sentence.replace("cannot", "can not"), count=1)
    return _changed(sentence.replace("cannot", "can not"), shorter)


def invented_name(sentence: str, language: str, chance: random.Random) -> str | None:
    if language == "zh":
        places = [place.end() for place in re.finditer("[，、]", sentence)]
    else:
        places = [place.end() for place in re.finditer(r"(?<=[a-z]) (?=[a-z])", sentence)]
    if not places:
        return None
    at = chance.choice(places)
    gap = " " if language == "en" else ""
    return f"{sentence[:at]}{chance.choice(NAMES[language])}{gap}{sentence[at:]}"


def invented_address(sentence: str, language: str, chance: random.Random) -> str | None:
    elsewhere = sentence.replace("lumenoak.example", "lumen-oak.example")
    if elsewhere != sentence:
        return elsewhere
    if language == "zh":
        return f"{sentence.rstrip('。')}，详见 https://lumenoak.example/bonus 。"
    return f"{sentence.rstrip('.')}, see https://lumenoak.example/bonus."


MUTATIONS: dict[str, Mutation] = {
    function.__name__: function
    for function in (
        changed_number,
        number_of_the_next_clause,
        added_negation,
        lost_negation,
        invented_name,
        invented_address,
    )
}


def mutated(sentences: list[tuple[str, str, str]], kind: str, *, seed: int = 0) -> Iterator[tuple[str, str]]:
    """Wrong sentences with the source that does not say so, from (sentence, language, source)."""
    chance = random.Random(seed)
    for sentence, language, source in sentences:
        wrong = MUTATIONS[kind](sentence, language, chance)
        if wrong is not None:
            yield wrong, source


def _changed(before: str, after: str) -> str | None:
    return after if after != before else None
