"""Files that are read as documents, each by the reader of its format.

Bounds: `MAX_DOCUMENT_BYTES` a file (`MAX_MARKUP_BYTES` of HTML or Markdown), and what each reader states at its top.
Documents are remembered until their file changes, because reading a long PDF takes seconds.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from assistant.retrieval.docx import read_docx
from assistant.retrieval.files import read_bytes, read_text, unreadable
from assistant.retrieval.html import read_html
from assistant.retrieval.markdown import read_outline
from assistant.retrieval.outline import Document
from assistant.retrieval.pdf import read_pdf

DOCUMENT_SUFFIXES = (".html", ".htm", ".pdf", ".docx")
"""Files that are documents wherever they lie; a ``.md`` file is one in a folder ``documents``."""

MAX_DOCUMENT_BYTES = 20 * 1_048_576
MAX_MARKUP_BYTES = 4 * 1_048_576
REMEMBERED = 128


def read_document(path: Path) -> Document:
    """The document's text and headings. Raises `KnowledgeError` where it cannot be read."""
    try:
        stat = path.stat()
    except OSError as error:
        raise unreadable(path, error) from error
    return _read(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=REMEMBERED)
def _read(path: Path, mtime_ns: int, size: int) -> Document:
    suffix = path.suffix.lower()
    if suffix == ".pdf":
        return read_pdf(read_bytes(path, max_bytes=MAX_DOCUMENT_BYTES), path)
    if suffix == ".docx":
        return read_docx(read_bytes(path, max_bytes=MAX_DOCUMENT_BYTES), path)
    if suffix in (".html", ".htm"):
        return read_html(read_bytes(path, max_bytes=MAX_MARKUP_BYTES), path)
    return read_outline(read_text(path, max_bytes=MAX_MARKUP_BYTES))
