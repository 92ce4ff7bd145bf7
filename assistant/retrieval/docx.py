"""Word documents (.docx): mammoth gives their headings, lists and tables as HTML."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from xml.parsers.expat import ExpatError

from assistant.retrieval.entries import problem
from assistant.retrieval.html import parse_html
from assistant.retrieval.outline import Document

MAX_XML_BYTES = 20 * 1_048_576
MAX_PARTS = 10_000

_OLD_WORD = b"\xd0\xcf\x11\xe0"  # the container of .doc files, and of encrypted .docx files
_ENCRYPTED = 0x1  # APPNOTE.TXT, 4.4.4
_DAMAGED = (zlib.error, lzma.LZMAError, EOFError)
_NOT_WORD = (
    *(zipfile.BadZipFile, ExpatError, RuntimeError, OSError),
    *(KeyError, IndexError, ValueError, TypeError, AttributeError),  # mammoth's, where parts are not as they should be
)
_STYLES = "p[style-name='Title'] => h1.title:fresh"


def read_docx(data: bytes, path: Path) -> Document:
    """The document's text and headings. Raises `KnowledgeError` where it is encrypted, broken, empty or too large."""
    import mammoth

    if data.startswith(_OLD_WORD):
        raise problem(path, None, "it is encrypted, or an old .doc", "Save it as .docx without a password.")
    try:
        _check_parts(data, path)
        converted = mammoth.convert_to_html(io.BytesIO(data), style_map=_STYLES, convert_image=_no_image())
    except RecursionError as error:
        raise problem(
            path, None, "its tables or text boxes nest too deep", "Simplify it, or save it as PDF."
        ) from error
    except _DAMAGED as error:
        raise problem(path, None, "it is damaged: its parts cannot be unpacked", "Save it again as .docx.") from error
    except _NOT_WORD as error:
        raise problem(
            path, None, f"it is no Word document that can be read ({type(error).__name__})", "Save it again as .docx."
        ) from error
    document = parse_html(converted.value)
    if not document.text:
        raise problem(path, None, "the document has no text", "Pictures of text cannot be read; write the text out.")
    return document


def _check_parts(data: bytes, path: Path) -> None:
    """A few kilobytes may unpack to gigabytes; zipfile never unpacks more than a part's entry says."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = archive.infolist()
    if any(part.flag_bits & _ENCRYPTED for part in parts):
        raise problem(path, None, "it is encrypted", "Save it as .docx without a password.")
    num_bytes = sum(part.file_size for part in parts if part.filename.endswith((".xml", ".rels")))
    if num_bytes > MAX_XML_BYTES or len(parts) > MAX_PARTS:
        raise problem(
            path,
            None,
            f"it unpacks to {num_bytes} bytes of text in {len(parts)} parts; "
            f"the limits are {MAX_XML_BYTES} and {MAX_PARTS}",
            "Split it into several documents.",
        )


def _no_image() -> Callable[..., object]:
    import mammoth

    def drop(image: object) -> dict[str, str]:
        return {}

    convert: Callable[..., object] = mammoth.images.img_element(drop)
    return convert
