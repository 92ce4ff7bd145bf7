"""Units and currencies as they stand beside numbers, English and Chinese, each under one name."""

from __future__ import annotations

import re

CURRENCIES = {
    "€": "eur", "eur": "eur", "euro": "eur", "euros": "eur", "欧元": "eur", "欧": "eur",
    "$": "usd", "us$": "usd", "usd": "usd", "dollar": "usd", "dollars": "usd", "bucks": "usd", "美元": "usd",
    "美金": "usd", "£": "gbp", "gbp": "gbp", "pound": "gbp", "pounds": "gbp", "英镑": "gbp", "chf": "chf",
    "francs": "chf", "瑞士法郎": "chf", "¥": "cny", "cny": "cny", "rmb": "cny", "yuan": "cny", "元": "cny",
    "块": "cny", "块钱": "cny", "人民币": "cny", "jpy": "jpy", "yen": "jpy", "日元": "jpy", "hkd": "hkd", "港币": "hkd",
    "港元": "hkd", "twd": "twd", "新台币": "twd",
}  # fmt: skip
_NAMES = {
    "second": "second seconds sec secs 秒 秒钟",
    "minute": "minute minutes min mins 分钟 分",
    "hour": "hour hours hr hrs h 小时 个小时 钟头 个钟头",
    "day": "day days 天 日 自然日 个自然日",
    "workday": "工作日 个工作日",
    "week": "week weeks 周 星期 个星期 礼拜 个礼拜",
    "month": "month months 个月 月",
    "year": "year years yr yrs 年",
    "%": "% percent per|cent pct",
    "mm": "mm millimetre millimetres millimeter millimeters 毫米",
    "cm": "cm centimetre centimetres centimeter centimeters 厘米 公分",
    "m": "m metre metres meter meters 米",
    "km": "km kilometre kilometres kilometer kilometers 公里",
    "inch": "inch inches 英寸 寸",
    "g": "g gram grams 克",
    "kg": "kg kilo kilos kilogram kilograms 公斤 千克",
    "w": "w watt watts 瓦",
    "v": "v volt volts 伏",
    "l": "l litre litres liter liters 升",
    "ml": "ml 毫升",
    "mb": "mb",
    "gb": "gb",
    "degree": "°c ° degrees degree 度 摄氏度",
    "age": "岁 周岁",
    "item": "item items 件",
    "order": "order orders",
    "parcel": "parcel parcels",
    "time": "times 次",
    "person": "person persons people 人",
    "digit": "digit digits 位",
    "point": "points point 积分 分积分",
}
_UNITS = {name.replace("|", " "): unit for unit, names in _NAMES.items() for name in names.split()} | {
    counter: counter for counter in "个张种名条份台盒双步级层箱套倍折期家楼成号包袋瓶"
}
_WORKING = r"(?:working|business|week)[ -]?days?\b"
_LATIN = "|".join(re.escape(name) for name in sorted(_UNITS, key=len, reverse=True) if name[0].isascii())
_HAN = "|".join(sorted((name for name in _UNITS if not name[0].isascii() and name != "°"), key=len, reverse=True))
_CURRENCY_WORDS = "|".join(sorted((c for c in CURRENCIES if c[0].isascii() and c[0].isalpha()), key=len, reverse=True))
_CURRENCY_REST = "|".join(
    re.escape(c) for c in sorted(CURRENCIES, key=len, reverse=True) if not (c[0].isascii() and c[0].isalpha())
)
MONEY_BEFORE = r"(?i:€|US\$|\$|£|¥|\b(?:eur|usd|gbp|chf|cny|rmb|jpy|hkd|twd)\b|人民币)"
MONEY_AFTER = rf"\s?(?i:(?:{_CURRENCY_WORDS})(?![A-Za-z])|{_CURRENCY_REST})"
UNIT = (
    r"(?:[ -]?(?:(?:full|whole|more|further|calendar|consecutive|additional)[ -])?"
    rf"(?i:{_WORKING}|(?:{_LATIN})(?![A-Za-z]))|\s?°C?|\s?多?\s?(?:{_HAN})(?![一二三四五六日](?![一-鿿])))"
)


def currency(written: str) -> str:
    """The currency's ISO code in lower case."""
    return CURRENCIES[written.strip().casefold()]


def unit(written: str) -> str:
    """The unit's or currency's one name."""
    plain = re.sub(r"^(?:full|whole|more|further|calendar|consecutive|additional)[ -]", "", _bare(written))
    if re.fullmatch(_WORKING, plain, re.I):
        return "workday"
    return CURRENCIES.get(plain) or _UNITS.get(plain, plain)


def _bare(written: str) -> str:
    return written.strip(" -").casefold().removeprefix("多").strip()
