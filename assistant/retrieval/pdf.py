"""PDF files as documents: lines and their font sizes from PDFium, from these the headings and paragraphs.

A line set larger than the running text is a heading. Where there is none, every page is a section. What stands
at the top or bottom of most pages (a running title, the page number) is left out.
"""

from __future__ import annotations

import ctypes
import math
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from statistics import median

import pypdfium2
import pypdfium2.raw as pdfium

from assistant.retrieval.entries import problem
from assistant.retrieval.outline import MAX_LEVEL, Document, OutlineWriter

MAX_PAGES = 2_000
MAX_CHARS = 20_000_000
MAX_SECONDS = 120.0
HEADING_RATIO = 1.15
MAX_HEADING_CHARS = 150
PARAGRAPH_RATIO = 1.35  # of the usual distance between lines
CELL_GAP = 1.5  # font sizes between two words that belong to different cells
FULL_LINE = 0.85  # of the page's longest line: a shorter one ends where its writer wanted

MAX_LINES_LOOKED_AT = 50  # for the language

_pdfium_lock = threading.Lock()  # PDFium is not thread-safe
_BULLET = re.compile(r"\s*(?:[•‣▪●○◦–—*-]|\d{1,2}[.)、]|[（(]\d{1,2}[)）])\s*(?=\S)")
_HYPHENS = ("\x02", "\ufffe", "\xad")  # what PDFium makes of a hyphen that only divides a word
_CJK = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    size: float
    right: float
    baseline: float
    page: int


def read_pdf(data: bytes, path: Path) -> Document:
    """The text with its headings. Raises `KnowledgeError` where it is encrypted, broken, scanned or too large."""
    with _pdfium_lock:
        document = _open(data, path)
        try:
            if len(document) > MAX_PAGES:
                raise problem(
                    path,
                    None,
                    f"it has {len(document)} pages; the limit is {MAX_PAGES}",
                    "Split it into several files.",
                )
            pages = list(_pages(document, path))
        except pypdfium2.PdfiumError as error:
            raise problem(path, None, f"a page cannot be read: {error}", "Print it to a new PDF.") from error
        finally:
            document.close()
    lines = _without_margins(pages)
    if not any(character.isalnum() for line in lines for character in line.text):
        raise problem(
            path, None, "it has no text, only pictures of it (a scan?)", "Run OCR on it first, such as ocrmypdf."
        )
    return _outline(lines)


def _open(data: bytes, path: Path) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower() or "security" in str(error).lower():
            raise problem(path, None, "it is encrypted", "Save it without a password.") from error
        raise problem(path, None, "it is no PDF that can be read", "Print it to a new PDF.") from error


def _pages(document: pypdfium2.PdfDocument, path: Path) -> Iterator[list[_Line]]:
    began_at, num_chars = time.monotonic(), 0
    for number in range(len(document)):
        page = document[number]
        text_page = page.get_textpage()
        try:
            num_chars += text_page.count_chars()
            if num_chars > MAX_CHARS or time.monotonic() - began_at > MAX_SECONDS:
                limits = f"{MAX_CHARS} characters and {MAX_SECONDS:.0f} s"
                raise problem(path, None, f"page {number + 1} is over the limit of {limits}", "Split it.")
            yield list(_lines(text_page, number))
        finally:
            text_page.close()
            page.close()


def _lines(page: pypdfium2.PdfTextPage, number: int) -> Iterator[_Line]:
    units = [pdfium.FPDFText_GetUnicode(page, index) for index in range(page.count_chars())]
    start = 0
    for end in [*(index for index, unit in enumerate(units) if unit in (10, 13)), len(units)]:
        if inked := [index for index in range(start, end) if units[index] not in (0, 32, 160)]:
            yield _line(page, units, inked, number)
        start = end + 1


def _line(page: pypdfium2.PdfTextPage, units: Sequence[int], inked: Sequence[int], number: int) -> _Line:
    """``inked`` has the index of each character that is no space."""
    size, right = _font_size(page, inked[0]), _box(page, inked[-1])[1]
    parts = [units[inked[0]]]
    for before, index in pairwise(inked):
        if index > before + 1:
            is_cell = _box(page, index)[0] - _box(page, before)[1] > CELL_GAP * size
            parts += [0x20, 0x7C, 0x20] if is_cell else [0x20]
        parts.append(units[index])
    return _Line(_decode(parts), round(2 * size) / 2, right, _baseline(page, inked[0]), number)


def _decode(units: Sequence[int]) -> str:
    # PDFium gives either whole characters or the halves of UTF-16.
    text = "".join(map(chr, units))
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _font_size(page: pypdfium2.PdfTextPage, index: int) -> float:
    matrix = pdfium.FS_MATRIX()
    size = float(pdfium.FPDFText_GetFontSize(page, index))
    if pdfium.FPDFText_GetMatrix(page, index, matrix):
        size *= math.hypot(matrix.b, matrix.d)
    return size


def _box(page: pypdfium2.PdfTextPage, index: int) -> tuple[float, float]:
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    pdfium.FPDFText_GetCharBox(page, index, left, right, bottom, top)
    return left.value, right.value


def _baseline(page: pypdfium2.PdfTextPage, index: int) -> float:
    x, y = ctypes.c_double(), ctypes.c_double()
    pdfium.FPDFText_GetCharOrigin(page, index, x, y)
    return y.value


def _without_margins(pages: Sequence[list[_Line]]) -> list[_Line]:
    edges = Counter(text for lines in pages for text in {_shape(line) for line in (*lines[:1], *lines[-1:])})
    repeated = {text for text, count in edges.items() if count >= 3 and 2 * count > len(pages)}
    kept = []
    for lines in pages:
        for position, line in enumerate(lines):
            is_edge = position in (0, len(lines) - 1)
            if not (is_edge and _shape(line) in repeated):
                kept.append(line)
    return kept


def _shape(line: _Line) -> str:
    return re.sub(r"\d+", "0", line.text)


def _outline(lines: Sequence[_Line]) -> Document:
    writer = OutlineWriter()
    start = "".join(line.text for line in lines[:MAX_LINES_LOOKED_AT])
    is_chinese = 4 * len(_CJK.findall(start)) > len(start)
    levels = _levels(lines)
    pitch = _pitch(lines)
    widths = {page: max(line.right for line in group) for page, group in groupby(lines, key=lambda line: line.page)}
    page = -1
    for run in _runs(lines, levels, pitch):
        first = run[0]
        if first.size in levels and _can_head(run):
            writer.heading(levels[first.size], _join(run, widths))
            continue
        if not levels and first.page != page:
            page = first.page
            writer.heading(1, f"第 {page + 1} 页" if is_chinese else f"Page {page + 1}")
        writer.block(_join(run, widths))
    return writer.document()


def _levels(lines: Sequence[_Line]) -> dict[float, int]:
    """The level of each font size that is larger than the running text's."""
    weights: Counter[float] = Counter()
    for line in lines:
        weights[line.size] += len(line.text)
    body = weights.most_common(1)[0][0]
    sizes = {line.size for line in lines if line.size >= HEADING_RATIO * body and _can_head([line])}
    return {size: min(level, MAX_LEVEL) for level, size in enumerate(sorted(sizes, reverse=True), 1)}


def _can_head(lines: Sequence[_Line]) -> bool:
    text = "".join(line.text for line in lines)
    return len(text) <= MAX_HEADING_CHARS and any(character.isalpha() for character in text)


def _pitch(lines: Sequence[_Line]) -> float:
    """The usual distance between two lines of the running text."""
    distances = [
        one.baseline - other.baseline
        for one, other in pairwise(lines)
        if one.page == other.page and one.size == other.size and one.baseline > other.baseline
    ]
    return median(distances) if distances else 0.0


def _runs(lines: Sequence[_Line], levels: dict[float, int], pitch: float) -> Iterator[list[_Line]]:
    """Lines that are one paragraph or one heading."""
    run: list[_Line] = []
    for line in lines:
        if run and _begins(run[-1], line, levels, pitch):
            yield run
            run = []
        run.append(line)
    if run:
        yield run


def _begins(last: _Line, line: _Line, levels: dict[float, int], pitch: float) -> bool:
    if line.page != last.page or (line.size != last.size and (line.size in levels or last.size in levels)):
        return True
    distance = last.baseline - line.baseline
    return distance < 0 or distance > PARAGRAPH_RATIO * max(pitch, line.size)


def _join(run: Sequence[_Line], widths: dict[int, float]) -> str:
    """The lines as one text: broken where its writer broke it, not where the margin did."""
    text = run[0].text
    for last, line in pairwise(run):
        if text.endswith(_HYPHENS):
            text = text[:-1] + line.text
        elif last.right < FULL_LINE * widths[last.page] or _BULLET.match(line.text):
            text += "\n" + line.text
        else:
            text += ("" if _CJK.match(text[-1]) and _CJK.match(line.text) else " ") + line.text
    return text
