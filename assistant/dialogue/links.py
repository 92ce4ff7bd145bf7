"""Links in a model's text: which hosts they lead to, and the text without those that lead elsewhere.

What a link shows and where it leads are two things, and a link's address can carry off what was said. So a model
may only link to hosts that its passages name or the settings allow.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from urllib.parse import urlsplit

# An address ends at white space, at Markdown's own marks, and at Chinese punctuation.
ADDRESS = r"[^\s<>()\[\]\"'`。，！？；：、“”‘’（）《》「」【】]+"
SCHEME = r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.-]{1,15}:"
LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})"
# Names that end otherwise ("Node.js", "manual.pdf") are taken for hosts only where more of an address is there.
TOP_LEVEL = (
    "com|net|org|io|info|biz|dev|app|co|me|ai|xyz|top|site|online|shop|store|link|click|live|club|icu|pw|tk|ml|ga|cf|gq|"
    "ru|cn|de|uk|eu|fr|us|nl|ch|at|jp|kr|hk|tw|in|br|example|test|invalid|onion|zip|mov"
)
BARE_HOST = rf"(?:{LABEL}\.)+(?:{TOP_LEVEL})(?![A-Za-z0-9@-])(?::\d{{1,5}})?(?:[/?#]{ADDRESS})?"
LINK = re.compile(
    rf"(?P<image>!?)\[(?P<shown>[^\[\]\n]*)\]\(\s*<?(?P<target>[^()<>\s]*)>?[^()\n]*\)"
    rf"|<(?P<angled>{SCHEME}[^<>\s]*)>"
    rf"|(?P<bare>{SCHEME}//{ADDRESS}|(?:mailto|tel):{ADDRESS}|(?<![:/A-Za-z0-9])//{LABEL}\.{ADDRESS}"
    rf"|(?<![A-Za-z0-9.@/-])(?:www\.{ADDRESS}|{BARE_HOST}))"
)
CLOSING = ".,;:!?"  # at the end of an address they are the sentence's
# What may still become a link when more text comes: a Markdown link that is open, an address that goes on.
OPEN_LINK = re.compile(r"!?\[[^\]\n]*(?:\](?:\([^)\n]*)?)?$")
OPEN_ADDRESS = re.compile(rf"<[^>\s]*$|{SCHEME}//\S*$|[!-~]+$")
ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
CHINESE_MARK = re.compile("[，；！？]|：(?!/)")
INVISIBLE = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")


def hosts_in(texts: Iterable[str]) -> frozenset[str]:
    """The hosts that texts name, in links or bare."""
    found = (_address(match) for text in texts for match in LINK.finditer(text))
    return frozenset(host for address in found if (host := host_of(address)))


def host_of(address: str) -> str:
    """The host that an address leads to, without ``www.``; empty where it names none.

    An address without a scheme is read as browsers' address bars read it.
    """
    bare = address.strip()
    if not re.match(r"(?:[A-Za-z][A-Za-z0-9+.-]*:|//)", bare):
        bare = f"//{bare}"
    if bare.lower().startswith("mailto:"):
        bare = f"//{bare.partition(':')[2].partition('?')[0].rpartition('@')[2]}"
    try:
        host = urlsplit(bare.replace("\\", "/")).hostname or ""
    except ValueError:
        return ""
    return host.rstrip(".").removeprefix("www.") if "." in host else ""


def without_foreign(text: str, *, allowed: Collection[str]) -> str:
    """The text with each link to a host that is not ``allowed`` cut down to the words it shows."""
    return LINK.sub(lambda match: _kept(match, allowed), text)


def hides_foreign(text: str, *, allowed: Collection[str]) -> bool:
    """Whether a foreign link appears once escapes, entities and invisible characters are read as browsers read them."""
    bare = INVISIBLE.sub("", ESCAPE.sub(r"\1", html.unescape(text)))
    # A Chinese mark ends an address; as its Latin twin it would be read as a part of it.
    plain = unicodedata.normalize("NFKC", CHINESE_MARK.sub(" ", bare))
    return plain != text and any(not _leads_home(address, allowed) for address in _addresses(plain))


def unfinished_from(text: str) -> int:
    """From which code point on the text may be the beginning of a link; its length where nothing may."""
    whole = [match.end() for match in LINK.finditer(text) if match["target"] is not None]
    after_link = max(whole, default=0)
    after_any = max((match.end() for match in LINK.finditer(text, after_link) if match["angled"]), default=after_link)
    matches = (OPEN_LINK.search(text, after_link), OPEN_ADDRESS.search(text, after_any))
    return min((match.start() for match in matches if match), default=len(text))


def _kept(match: re.Match[str], allowed: Collection[str]) -> str:
    if _leads_home(_address(match), allowed):
        return match.group()
    if match["bare"]:
        return match["bare"][len(_address(match)) :]
    shown = "" if match["image"] else match["shown"] or ""
    return without_foreign(shown, allowed=allowed)


def _address(match: re.Match[str]) -> str:
    if match["target"] is not None:
        return match["target"]
    return match["angled"] or match["bare"].rstrip(CLOSING)


def _addresses(text: str) -> Iterator[str]:
    for match in LINK.finditer(text):
        yield _address(match)


def _leads_home(address: str, allowed: Collection[str]) -> bool:
    scheme = address.partition(":")[0].lower() if re.match(SCHEME, address) else "https"
    return scheme in ("https", "http", "mailto") and host_of(address) in allowed
