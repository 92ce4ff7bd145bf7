"""How well personal data is recognised: texts made here, with right and wrong check digits, in English and Chinese.

    .venv/bin/python -m tests.benchmarks.personal_data [--per-kind 200] [--seed 7] [--show]

Numbers, check digits and sentences are made by this file's own rules (the standards' formulas, numbering plans written
down below), not by the recognisers' libraries. A span counts as found where kind, start and end are exactly right.
Decoys are what shops really have: order and tracking numbers, dates, prices, versions, hashes, and numbers whose check
digits are wrong; whatever is taken there counts against the precision.
"""

from __future__ import annotations

import argparse
import random
import string
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from assistant.privacy.finding import find

Maker = Callable[[random.Random], str]


@dataclass(frozen=True)
class Case:
    """A text, and the (kind, start, end) it holds; ``decoy`` names what it holds instead."""

    text: str
    language: str
    spans: tuple[tuple[str, int, int], ...] = ()
    decoy: str = ""


# -- check digits, by the standards' formulas


def luhn_digit(body: str) -> str:
    doubled = [int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(body))]
    return str(-sum(value - 9 if value > 9 else value for value in doubled) % 10)


def iban_digits(country: str, account: str) -> str:
    moved = account + country + "00"
    number = int("".join(str(int(character, 36)) for character in moved))
    return f"{98 - number % 97:02d}"


def resident_digit(body: str) -> str:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return "10X98765432"[sum(int(digit) * weight for digit, weight in zip(body, weights, strict=True)) % 11]


def another_digit(rng: random.Random, digit: str) -> str:
    return rng.choice([other for other in string.digits if other != digit])


# -- what is personal


def digits(rng: random.Random, count: int, first: str = string.digits) -> str:
    return rng.choice(first) + "".join(rng.choices(string.digits, k=count - 1))


def email(rng: random.Random) -> str:
    names = [
        "li.wei",
        "anna",
        "bob_smith",
        "j.o-hara",
        "zhang2019",
        "support+vip",
        "mueller",
        "x",
        "chen-mei.ling",
        "a1.b2",
    ]
    hosts = [
        "example.com",
        "qq.com",
        "163.com",
        "mail.example.co.uk",
        "firma-gmbh.de",
        "sub.shop.example.org",
        "gmail.com",
    ]
    local = rng.choice(names) + rng.choice(["", digits(rng, 3)])
    written = f"{local}@{rng.choice(hosts)}"
    return written.upper() if rng.random() < 0.05 else written


def chinese_phone(rng: random.Random) -> str:
    mobile = rng.choice("130 135 138 139 150 152 158 159 176 177 180 186 188 189 191 198".split()) + digits(rng, 8)
    landline = rng.choice(["010", "021", "0755", "0571", "020"]), digits(rng, 8, "2345678")
    return rng.choice(
        [
            mobile,
            mobile,
            f"{mobile[:3]} {mobile[3:7]} {mobile[7:]}",
            f"{mobile[:3]}-{mobile[3:7]}-{mobile[7:]}",
            f"+86 {mobile}",
            f"+86-{mobile[:3]}-{mobile[3:7]}-{mobile[7:]}",
            f"0086{mobile}",
            "-".join(landline),
            f"({landline[0]}){landline[1]}",
            f"({landline[0]}) {landline[1][:4]} {landline[1][4:]}",
        ]
    )


def english_phone(rng: random.Random) -> str:
    area = rng.choice("212 415 312 617 206 512 303 404 713 818 916 702".split())
    exchange, line = digits(rng, 1, "23456789") + rng.choice("02345678") + rng.choice("23456789"), digits(rng, 4)
    mobile = "07" + rng.choice(["400", "501", "712", "789", "850", "912", "973"]) + digits(rng, 6)
    london = digits(rng, 4, "7"), digits(rng, 4)
    return rng.choice(
        [
            f"({area}) {exchange}-{line}",
            f"{area}-{exchange}-{line}",
            f"{area}.{exchange}.{line}",
            f"{area} {exchange} {line}",
            f"+1 {area} {exchange} {line}",
            f"+1-{area}-{exchange}-{line}",
            f"1-{area}-{exchange}-{line}",
            f"{area}{exchange}{line}",
            mobile,
            f"{mobile[:5]} {mobile[5:]}",
            f"+44 {mobile[1:5]} {mobile[5:]}",
            f"020 {london[0]} {london[1]}",
            f"+44 (0)20 {london[0]} {london[1]}",
            f"+49 30 {digits(rng, 7, '23456')}",
            f"+33 6 {' '.join(digits(rng, 2, '12345678') for _ in range(4))}",
        ]
    )


def card_body(rng: random.Random) -> str:
    prefix = rng.choice("4 51 55 2221 37 34 6011 3530 622202 622848 625912 36".split())
    length = {"37": 15, "34": 15, "622202": 19, "622848": 19, "36": 14}.get(prefix, 16)
    return prefix + digits(rng, length - len(prefix) - 1)


def grouped_card(rng: random.Random, number: str) -> str:
    sign = rng.choice(["", "", " ", "-"])
    cuts = [4, 10] if len(number) in (14, 15) else [4, 8, 12, 16]
    return sign.join(part for part in (number[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)) if part)


def card(rng: random.Random) -> str:
    body = card_body(rng)
    return grouped_card(rng, body + luhn_digit(body))


def wrong_card(rng: random.Random) -> str:
    body = card_body(rng)
    return grouped_card(rng, body + another_digit(rng, luhn_digit(body)))


def iban_parts(rng: random.Random) -> tuple[str, str]:
    country = rng.choice(["DE", "GB", "FR", "NL", "ES", "IT", "CH", "AT", "BE", "PL"])
    letters = "".join(rng.choices(string.ascii_uppercase, k=4))
    account = {
        "DE": digits(rng, 18),
        "GB": letters + digits(rng, 14),
        "FR": digits(rng, 23),
        "NL": letters + digits(rng, 10),
        "ES": digits(rng, 20),
        "IT": letters[0] + digits(rng, 22),
        "CH": digits(rng, 17),
        "AT": digits(rng, 16),
        "BE": digits(rng, 12),
        "PL": digits(rng, 24),
    }
    return country, account[country]


def grouped_iban(rng: random.Random, number: str) -> str:
    sign = rng.choice(["", " ", " ", "-"])
    written = sign.join(number[place : place + 4] for place in range(0, len(number), 4))
    return written.lower() if rng.random() < 0.05 else written


def iban(rng: random.Random) -> str:
    country, account = iban_parts(rng)
    return grouped_iban(rng, country + iban_digits(country, account) + account)


def wrong_iban(rng: random.Random) -> str:
    country, account = iban_parts(rng)
    right = int(iban_digits(country, account))
    return grouped_iban(rng, f"{country}{(right + rng.randint(1, 90)) % 97 + 2:02d}{account}" if right < 7 else
                        f"{country}{right - rng.randint(1, 5):02d}{account}")  # fmt: skip


def resident_body(rng: random.Random) -> str:
    region = rng.choice("110105 310104 440106 510107 330106 320102 420106 610113 210202 350203".split())
    born = f"{rng.randint(1940, 2015)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}"
    return region + born + digits(rng, 3)


def grouped_resident(rng: random.Random, number: str) -> str:
    if rng.random() < 0.2:
        return " ".join((number[:6], number[6:14], number[14:]))
    return number.lower() if rng.random() < 0.2 else number


def resident_id(rng: random.Random) -> str:
    body = resident_body(rng)
    return grouped_resident(rng, body + resident_digit(body))


def wrong_resident_id(rng: random.Random) -> str:
    body = resident_body(rng)
    right = resident_digit(body)
    return grouped_resident(rng, body + (rng.choice("13579") if right == "X" else another_digit(rng, right)))


def ip(rng: random.Random) -> str:
    four = ".".join(str(rng.randint(1, 254)) for _ in range(4)).replace("127.", "126.", 1)
    six = ":".join(f"{rng.randint(1, 0xFFFF):x}" for _ in range(8))
    short = f"2001:db8:{rng.randint(1, 0xFFFF):x}::{rng.randint(1, 0xFFFF):x}"
    return rng.choice([four, four, four, six, short, f"fe80::{rng.randint(1, 0xFFFF):x}:{rng.randint(16, 0xFFFF):x}"])


PERSONAL: dict[str, dict[str, Maker]] = {
    "en": {"email": email, "phone": english_phone, "card": card, "iban": iban, "resident_id": resident_id, "ip": ip},
    "zh": {"email": email, "phone": chinese_phone, "card": card, "iban": iban, "resident_id": resident_id, "ip": ip},
}

# -- what is not


def order_number(rng: random.Random) -> str:
    return rng.choice(
        [
            f"LO{digits(rng, 8)}",
            f"ORD-{digits(rng, 10)}",
            f"#{digits(rng, 7)}",
            f"2026-{digits(rng, 8)}",
            f"{digits(rng, 9)}-W",
        ]
    )


def labelled_order(rng: random.Random, labels: tuple[str, ...]) -> str:
    number = rng.choice([digits(rng, 8, "1"), digits(rng, 10, "2345"), "138" + digits(rng, 8), digits(rng, 12, "12")])
    return rng.choice(labels) + number


def tracking(rng: random.Random) -> str:
    return rng.choice(
        [
            f"1Z{''.join(rng.choices(string.ascii_uppercase + string.digits, k=6))}{digits(rng, 10)}",
            f"SF{digits(rng, 13)}",
            f"JD{digits(rng, 14)}",
            f"YT{digits(rng, 13)}",
            f"RR{digits(rng, 9)}DE",
            f"JJD{digits(rng, 18)}",
        ]
    )


def date(rng: random.Random) -> str:
    year, month, day = rng.randint(1999, 2027), rng.randint(1, 12), rng.randint(1, 28)
    clock = f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}"
    return rng.choice(
        [
            f"{year}-{month:02d}-{day:02d}",
            f"{year}/{month}/{day}",
            f"{day:02d}.{month:02d}.{year}",
            f"{month:02d}-{day:02d}-{year}",
            f"{year}{month:02d}{day:02d}",
            f"{year}-{month:02d}-{day:02d} {clock}",
            f"{year}-{month:02d}-{day:02d}T{clock}.{digits(rng, 6)}Z",
            f"{year}年{month}月{day}日",
            f"{year}-{year + 1}",
        ]
    )


def price(rng: random.Random) -> str:
    amount = f"{rng.randint(1, 9)},{digits(rng, 3)},{digits(rng, 3)}.{digits(rng, 2)}"
    return rng.choice(
        [
            f"${amount}",
            f"¥{digits(rng, 11, '1')}",
            f"{digits(rng, 10, '23')}元",
            f"€ {amount}",
            f"{rng.randint(1, 999)}.99",
        ]
    )


def version(rng: random.Random) -> str:
    four = ".".join(str(rng.randint(0, 99)) for _ in range(4))
    return rng.choice(
        [
            f"v{four}",
            f"version {four}",
            f"版本{four}",
            f"Chrome/{four}",
            f"{rng.randint(1, 20)}.{rng.randint(0, 20)}.{rng.randint(0, 99)}",
        ]
    )


def code(rng: random.Random) -> str:
    hex_ = "".join(rng.choices("0123456789abcdef", k=32))
    return rng.choice(
        [
            f"c_{hex_}",
            f"{hex_[:8]}-{hex_[8:12]}-{hex_[12:16]}-{hex_[16:20]}-{hex_[20:]}",
            f"https://shop.example/item/{digits(rng, 11, '1')}?ref={digits(rng, 10)}",
            f"0.{digits(rng, 16)}",
            f"{digits(rng, 10, '1')}.{digits(rng, 6)}",
            f"17{digits(rng, 11)}",
            f"978-3-16-{digits(rng, 6)}-{rng.randint(0, 9)}",
            f"{rng.randint(1, 23)}:{rng.randint(10, 59)}:{rng.randint(10, 59)}",
            "std::vector",
            "icon@2x.png",
            "lodash@4.17.21",
            f"{rng.randint(10, 99)}x{rng.randint(10, 99)}x{rng.randint(100, 999)}",
            f"SKU{digits(rng, 11)}",
        ]
    )


DECOYS: dict[str, Maker] = {
    "card with a wrong check digit": wrong_card,
    "IBAN with wrong check digits": wrong_iban,
    "resident id with a wrong check character": wrong_resident_id,
    "order number": order_number,
    "order number after its word": lambda rng: labelled_order(
        rng, ("order number ", "order no. ", "订单号", "订单号：", "invoice ")
    ),
    "tracking number": tracking,
    "tracking number after its word": lambda rng: labelled_order(
        rng, ("tracking number: ", "运单号", "快递单号：", "parcel ")
    ),
    "date": date,
    "price": price,
    "version": version,
    "code": code,
}

FRAMES = {
    "en": (
        "{}",
        "Hi, it's {} if you need it.",
        "please use {}.",
        "Here: {}, thanks a lot!",
        "I sent it from ({}) yesterday",
        "my details are {}\nand I have been waiting for 3 days",
        "Contact:{};",
        '{{"value": "{}", "n": 12}}',
        "Is {} still right? I ordered 2 lamps on 2026-03-14 for $1,299.00.",
        "For order LO12345678 use {} instead",
        "{} - that one.",
    ),
    "zh": (
        "{}",
        "我的是{}谢谢",
        "请用{}，不要用别的。",
        "您好，{}。",
        "（{}）是我的",
        "信息：{}；请尽快处理",
        "我3月14日买了2盏灯，资料{}，订单LO12345678",
        "{}就是这个",
        "麻烦登记一下{}好吗？",
        "昨天填的{}，价格是1299元",
    ),
}  # fmt: skip


def full_width(text: str) -> str:
    return "".join(chr(ord(character) + 0xFEE0) if "!" <= character <= "~" else character for character in text)


def make(*, per_kind: int, per_decoy: int | None = None, seed: int) -> Iterator[Case]:
    """Cases with one thing each: ``per_kind`` of every kind and language, ``per_decoy`` decoys of every sort."""
    rng = random.Random(seed)
    for language, kinds in PERSONAL.items():
        for kind, maker in kinds.items():
            for _ in range(per_kind):
                yield _case(rng, language, maker(rng), kind=kind)
        for name, maker in DECOYS.items():
            for _ in range(per_kind if per_decoy is None else per_decoy):
                yield _case(rng, language, maker(rng), decoy=name)


def _case(rng: random.Random, language: str, written: str, *, kind: str = "", decoy: str = "") -> Case:
    before, _, after = rng.choice(FRAMES[language]).replace("{{", "{").replace("}}", "}").partition("{}")
    if language == "zh" and rng.random() < 0.15:
        written = full_width(written)
    if before and before[-1].isascii() and before[-1].isalnum():
        before += " "
    spans = ((kind, len(before), len(before) + len(written)),) if kind else ()
    return Case(before + written + after, language, spans, decoy)


@dataclass(frozen=True)
class Measured:
    """Counts over all cases, and what went wrong."""

    num_spans: int
    num_found: int
    num_claimed: int
    missed: Counter[str]
    invented: Counter[str]
    wrong: tuple[tuple[Case, tuple[tuple[str, int, int], ...]], ...]
    num_chars: int
    seconds: float

    @property
    def recall(self) -> float:
        """Exactly found, of those that are there."""
        return self.num_found / self.num_spans

    @property
    def precision(self) -> float:
        """Exactly right, of those that were claimed."""
        return self.num_found / self.num_claimed


def measure(cases: Iterable[Case]) -> Measured:
    """Search every text as the mask does: with both languages."""
    num_spans = num_found = num_claimed = num_chars = 0
    missed, invented, wrong = Counter[str](), Counter[str](), []
    began = time.process_time()
    for case in cases:
        claimed = tuple((span.kind, span.start, span.end) for span in find(case.text))
        right = set(claimed) & set(case.spans)
        num_spans, num_found, num_claimed = (
            num_spans + len(case.spans),
            num_found + len(right),
            num_claimed + len(claimed),
        )
        num_chars += len(case.text)
        missed.update(f"{case.language} {kind}" for kind, *_ in set(case.spans) - right)
        invented.update(f"{case.language} {case.decoy or 'beside a real one'}" for _ in set(claimed) - right)
        if set(claimed) != set(case.spans):
            wrong.append((case, claimed))
    seconds = time.process_time() - began
    return Measured(num_spans, num_found, num_claimed, missed, invented, tuple(wrong), num_chars, seconds)


def main() -> None:
    """Print the measurements, and with ``--show`` every mistake."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--per-kind", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--show", action="store_true", help="print every mistake")
    options = parser.parse_args()
    cases = list(make(per_kind=options.per_kind, seed=options.seed))
    measured = measure(cases)
    if options.show:
        for case, claimed in measured.wrong:
            told = [f"{kind}: {case.text[start:end]!r}" for kind, start, end in claimed]
            print(f"{case.decoy or case.spans[0][0]:<34} {case.text!r}  ->  {told or 'nothing'}")
    print(f"{measured.num_spans} spans, {sum(1 for case in cases if case.decoy)} decoys, seed {options.seed}")
    print(f"recall {measured.recall:.4f}  precision {measured.precision:.4f}")
    microseconds, rate = measured.seconds / len(cases) * 1e6, measured.num_chars / measured.seconds / 1e6
    print(f"{microseconds:.0f} us a text, {rate:.2f} M characters/s")
    for title, counts in (("missed", measured.missed), ("invented", measured.invented)):
        for what, count in counts.most_common():
            print(f"  {title:<9} {count:>4}  {what}")


if __name__ == "__main__":
    main()
