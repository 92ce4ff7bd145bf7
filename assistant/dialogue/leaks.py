"""Whether a text gives away the instructions that a model was given, plainly or lightly encoded.

A canary (a word that means nothing and stands only in the instructions) tells it for certain. Without it a text
leaks where it repeats a whole sentence of the instructions or `RUN` letters of one in a row.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import contextlib
import re
import secrets
import unicodedata
from collections.abc import Iterable, Iterator

from assistant.language import HAN

CANARY_LETTERS = "bcdfghjkmnpqrvwxz"  # none that is spelled with digits, and no vowels that would make a word
CANARY_LENGTH = 12  # 17 ** 12 is over 2 ** 49
RUN = 48
MIN_SENTENCE = 24
MIN_HAN_SENTENCE = 10
REMEMBERED = 512  # letters of what was said before, which the new text may complete
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
RULE = re.compile(r"^- \w+[:：] ?")  # as `Voice.rules` lists them
ENCODED = re.compile(r"[A-Za-z0-9+/_-]{16,}")
SPELLED = str.maketrans("430157$@", "aeoistsa")


def new_canary() -> str:
    """A word that nobody says by chance."""
    return "".join(secrets.choice(CANARY_LETTERS) for _ in range(CANARY_LENGTH))


class Secrets:
    """What must not be said: the ``canary``, and the ``instructions`` but for what the ``known`` texts say as well.

    Each forwards, backwards and in ROT13.
    """

    def __init__(self, instructions: str, *, canary: str = "", known: Iterable[str] = ()) -> None:
        public = letters("\n".join(known))
        told = [letters(RULE.sub("", sentence)) for sentence in SENTENCE_END.split(instructions)]
        wholes = [sentence for sentence in told if _is_telling(sentence) and sentence not in public]
        runs = [run for sentence in told for run in _runs(sentence) if run not in public]
        self._wholes = [form for whole in (*wholes, canary) if whole for form in _forms(whole)]
        self._runs = frozenset(form for run in runs for form in _forms(run))

    def told_by(self, plain: str, *, num_new: int) -> bool:
        """Whether some of it stands in these `letters`, of which the last ``num_new`` were not looked at yet."""
        return any(whole in plain for whole in self._wholes) or any(
            run in self._runs for run in _runs(plain[-(num_new + RUN - 1) :])
        )


class Listener:
    """Hears a text as it is written, and tells when it gives a secret away.

    It understands what is spaced out, spelled with digits, and what is in base64 or hexadecimal.
    """

    def __init__(self, known_secrets: Secrets) -> None:
        self._secrets = known_secrets
        self._plain = ""
        self._spelled = ""
        self._raw = ""

    def hears_secret(self, text: str) -> bool:
        """Whether this text, after what was said before, tells a secret."""
        plain, spelled = letters(text), letters(text.translate(SPELLED))
        self._plain = (self._plain + plain)[-(REMEMBERED + len(plain)) :]
        self._spelled = (self._spelled + spelled)[-(REMEMBERED + len(spelled)) :]
        self._raw = (self._raw + text)[-(REMEMBERED + len(text)) :]
        return (
            self._secrets.told_by(self._plain, num_new=len(plain))
            or (self._spelled != self._plain and self._secrets.told_by(self._spelled, num_new=len(spelled)))
            or any(self._secrets.told_by(each, num_new=len(each)) for each in map(letters, _decoded(self._raw)))
        )


def letters(text: str) -> str:
    """The letters and digits alone, in one spelling: full-width as half-width, capital as small."""
    return "".join(character for character in unicodedata.normalize("NFKC", text).casefold() if character.isalnum())


def _forms(secret: str) -> tuple[str, str, str]:
    return secret, secret[::-1], codecs.encode(secret, "rot13")


def _runs(plain: str) -> Iterator[str]:
    return (plain[start : start + RUN] for start in range(len(plain) - RUN + 1))


def _is_telling(sentence: str) -> bool:
    return len(sentence) >= (MIN_HAN_SENTENCE if HAN.search(sentence) else MIN_SENTENCE)


def _decoded(text: str) -> Iterator[str]:
    """What the long runs of letters in a text are in base64 and in hexadecimal."""
    for run in ENCODED.findall(text):
        bare = run.replace("-", "+").replace("_", "/")
        for shift in range(4):  # other letters may stand before it
            part = bare[shift:] + "=" * ((shift - len(bare)) % 4)
            with contextlib.suppress(binascii.Error):
                yield base64.b64decode(part).decode("utf-8", "ignore")
        with contextlib.suppress(binascii.Error):
            yield binascii.unhexlify(bare[: len(bare) // 2 * 2]).decode("utf-8", "ignore")
