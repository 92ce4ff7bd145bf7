"""Numbers, months and weekdays in words, English and Chinese, as the digits and numbers they stand for.

"Twenty-one", "a hundred and fifty", 二十一 and 一万五 are read; "one", "a" and 一 only where a unit of time or money
follows, because they are mostly no numbers ("the one you ordered", 一起).
"""

from __future__ import annotations

import re

MONTHS = {
    name: number
    for number, names in enumerate(
        "jan january|feb february|mar march|apr april|may|jun june|jul july|aug august|sep sept september"
        "|oct october|nov november|dec december".split("|"),
        start=1,
    )
    for name in names.split()
}
WEEKDAYS = {
    name: number
    for number, names in enumerate(
        "monday mon|tuesday tues tue|wednesday wed|thursday thurs thur thu|friday fri|saturday sat|sunday sun".split(
            "|"
        )
    )
    for name in names.split()
}
CHINESE_WEEKDAYS = {"一": 0, "二": 1, "三": 2, "四": 3, "五": 4, "六": 5, "日": 6, "天": 6}

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_VALUES = {word: number for number, word in enumerate(_SMALL)} | {
    word: number * 10 for number, word in enumerate(_TENS, start=2)
}
_DIGIT = "|".join(_SMALL[1:10])
_UNDER_100 = rf"(?:(?:{'|'.join(_TENS)})(?:[ -](?:{_DIGIT}))?|{'|'.join(sorted(_SMALL, key=len, reverse=True))})"
_UNDER_1000 = rf"(?:(?:an?|{_DIGIT}) hundred(?: (?:and )?{_UNDER_100})?|{_UNDER_100})"
ENGLISH = re.compile(
    rf"\b(?:(?:an?|{_UNDER_1000}) thousand(?: (?:and )?{_UNDER_1000})?|(?!(?:one|zero)\b){_UNDER_1000}|one hundred"
    rf"(?: (?:and )?{_UNDER_100})?|a dozen|half an?(?= (?:hour|day|year)))\b",
    re.I,
)
_COUNTED_SINGLY = (
    r"(?:(?:working|business|calendar|full|whole)[ -])?(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?|euros?"
    r"|dollars?|pounds?|percent)\b"
)
ENGLISH_ONE = re.compile(rf"\b(?:one|an?)(?=[ -]{_COUNTED_SINGLY})", re.I)

HAN_DIGITS = {digit: value for value, digit in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
HAN_PLACES = {"十": 10, "百": 100, "千": 1000}
HAN_NUMERAL = "[零〇一二两三四五六七八九十百千万]"
_HAN_TIME = r"[天周年元块秒折日]|个?(?:工作日|星期|礼拜|小时|钟头)|个月|分钟|欧元|美元|英镑"
_HAN_COUNTER = r"[个件次位张种名条份台盒双步级层箱套人期家倍米克斤号月岁楼成点瓦升]|公斤|千克|厘米|公分|毫米|公里|英寸"
_HAN_RUN = r"(?:(?!千[克米瓦])[零〇一二两三四五六七八九十百千万]){1,12}"
CHINESE = re.compile(
    rf"(?<![周期拜\d.])(?:(?<=第){_HAN_RUN}|一(?=\s?(?:{_HAN_TIME}))"
    rf"|(?!十分(?!钟)|[千万]万|一(?!{HAN_NUMERAL})){_HAN_RUN}(?=\s?(?:{_HAN_TIME}|{_HAN_COUNTER}|千[克米瓦]))"
    r"|[一二两三四五六七八九][十百千万][零〇一二两三四五六七八九十百千万]{0,12}|十[一二三四五六七八九])"
)
PERCENT = re.compile(rf"百分之({HAN_NUMERAL}{{1,12}}|\d{{1,12}}(?:\.\d{{1,6}})?)")
HAN_HALF = re.compile(r"半(?=个?(?:小时|钟头|月)|天|年)")
ABOUT = re.compile(
    "^[一二两三四五六七八九]{2,3}$|[一二两三四五六七八九]{2}[十百千万]|[十百千万][一二两三四五六七八九]{2}"
)
MULTIPLIED = re.compile(r"(?<!\d)(\d+(?:\.\d+)?)\s?(万|千(?![克米瓦]))")


def with_digits(text: str) -> str:
    """The text with its spelled numbers in digits; the text is expected in normal width (NFKC)."""
    text = ENGLISH.sub(lambda match: _digits(english_number(match.group())), text)
    text = ENGLISH_ONE.sub("1", text)
    text = PERCENT.sub(lambda match: f"{_in_digits(match[1])}%", text)
    text = HAN_HALF.sub("0.5", text)
    text = MULTIPLIED.sub(lambda match: _digits(float(match[1]) * (10_000 if match[2] == "万" else 1000)), text)
    return CHINESE.sub(lambda match: _in_digits(match.group()), text)


def english_number(words: str) -> float:
    """The number that English words such as "a hundred and five" say."""
    total, group = 0, 0
    for word in re.findall("[a-z]+", words.lower()):
        match word:
            case "half":
                return 0.5
            case "dozen":
                return 12
            case "hundred":
                group = (group or 1) * 100
            case "thousand":
                total, group = (group or 1) * 1000, 0
            case _:
                group += _VALUES.get(word, 0)
    return total + group


def chinese_number(characters: str) -> int:
    """The number that Chinese numerals say: 二十一, 两千零五, 一万五 (15000), 二〇二六."""
    if not any(character in HAN_PLACES or character == "万" for character in characters):
        return int("".join(str(HAN_DIGITS[character]) for character in characters))
    myriads, _, rest = characters.rpartition("万")
    if myriads or characters.startswith("万"):
        return (chinese_number(myriads) if myriads else 1) * 10_000 + _under_10_000(rest, short_for=1000)
    return _under_10_000(characters, short_for=1)


def _under_10_000(characters: str, *, short_for: int) -> int:
    total, digit, place, after_zero = 0, 0, short_for * 10, False
    for character in characters:
        if character in HAN_DIGITS:
            digit, after_zero = HAN_DIGITS[character], after_zero or HAN_DIGITS[character] == 0
        else:
            place = HAN_PLACES.get(character, 1)
            total, digit, after_zero = total + (digit or 1) * place, 0, False
    # 三百五 is 350, 三百零五 is 305, 十五 is 15.
    return total + digit * (1 if after_zero else max(1, place // 10))


def _in_digits(characters: str) -> str:
    """The digits for Chinese numerals; 两三 is no number but "two or three", and stays."""
    return characters if characters[0].isdecimal() or ABOUT.search(characters) else str(chinese_number(characters))


def _digits(number: float) -> str:
    return f"{number:g}" if number < 1e6 else str(int(number))
