"""IP addresses, version 4 and 6 (RFC 4291), that tell one connection from another: not loopback, not net masks."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from assistant.privacy.spans import Candidate

IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\d)(?![A-Za-z_])", re.ASCII)
IPV6_RUN = re.compile(r"(?:(?<![\w.:])|(?<=[A-Za-z_]:)(?!:))[0-9A-Fa-f:][0-9A-Fa-f:.]{1,60}(?![\w])", re.ASCII)
MAX_IPV6 = 45
# A version or a section number has four parts too.
NUMBERED = re.compile(
    r"(?:(?<![A-Za-z])(?:v|ver|version|release|build|firmware|driver|section|clause|chapter|figure|sec)\.?"
    r"|版本号?|固件|驱动|升级[到至]|更新[到至]|第|章节?|条款|[A-Za-z]/)[\s:]?\s?\Z",
    re.I,
)
BEFORE = 16


def ip_addresses(text: str) -> Iterator[Candidate]:
    """The addresses of a folded text; what only looks like one comes without a kind."""
    for match in IPV4.finditer(text):
        numbered = NUMBERED.search(text[max(0, match.start() - BEFORE) : match.start()])
        is_one = not numbered and _tells_apart(match.group())
        yield Candidate("ip" if is_one else None, match.start(), match.end())
    for match in IPV6_RUN.finditer(text):
        run = match.group()
        start, run = match.start() + _label_colon(run), run[_label_colon(run) :].rstrip(".")
        run = run if run.endswith("::") else run.rstrip(":")
        if run.count(":") >= 2 and len(run) <= MAX_IPV6 and any(map(str.isdigit, run)) and _tells_apart(run):
            yield Candidate("ip", start, start + len(run))


def _label_colon(run: str) -> int:
    """1 where the run begins with the colon of a label (``IP:2001:db8::1``), which is none of the address."""
    return int(run.startswith(":") and not run.startswith("::")) or int(run.startswith(":::"))


def _tells_apart(written: str) -> bool:
    try:
        address = ipaddress.ip_address(written)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or written.startswith("255.255."))
