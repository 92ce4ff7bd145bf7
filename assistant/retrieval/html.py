"""Web pages as documents: the main content without menus and footers, found by trafilatura."""

from __future__ import annotations

import logging
import re
from copy import deepcopy
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

from assistant.retrieval.entries import problem
from assistant.retrieval.outline import Document, OutlineWriter

MAX_LIST_DEPTH = 8
MIN_CONTENT_CHARS = 20  # trafilatura's own 250 takes a short Chinese page for none

logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # what is wrong with a page is said by `read_html`

_SKIPPED = {"script", "style", "noscript", "template", "svg", "head", "nav", "footer", "aside", "form", "iframe"}
_BLOCKS = {"p", "div", "section", "article", "main", "header", "blockquote", "dl", "dt", "dd", "figure", "figcaption"}
_VOID = {"br", "img", "hr", "input", "meta", "link", "source", "wbr", "col", "area", "base", "embed", "track"}
_TITLE = re.compile(r"<title[^>]*>(?P<title>[^<]*)", re.IGNORECASE)
_HEADING = re.compile(r"h([1-6])")
_MARKS = {"strong": "**", "b": "**", "code": "`"}


def read_html(data: bytes, path: Path) -> Document:
    """The page's main content. Raises `KnowledgeError` where it has no text."""
    from trafilatura.utils import decode_file

    markup = decode_file(data)
    titled = _TITLE.search(markup)
    title = unescape(titled["title"]) if titled else ""
    content, page = parse_html(_main_content(markup), title), parse_html(markup, title)
    if len(content.headings) * 2 < len(page.headings) or not content.text:
        content = page  # it took the page for something else, and left out what has headings
    if not content.text:
        raise problem(path, None, "the page has no text", "Pages filled by a script have to be saved from a browser.")
    return content


def parse_html(markup: str, title: str = "") -> Document:
    """All of ``markup`` that is content, headings kept, tables and lists in Markdown."""
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    return reader.document(title)


def _main_content(markup: str) -> str:
    """The HTML of what the page is about, without its menus; empty where that cannot be told."""
    import trafilatura
    from trafilatura.settings import DEFAULT_CONFIG

    config = deepcopy(DEFAULT_CONFIG)
    config["DEFAULT"]["MIN_EXTRACTED_SIZE"] = str(MIN_CONTENT_CHARS)
    content = trafilatura.extract(
        markup,
        output_format="html",
        include_comments=False,
        include_tables=True,
        include_links=True,
        include_formatting=True,
        favor_recall=True,
        config=config,
    )
    return content or ""


class _Reader(HTMLParser):
    """Writes an outline while it reads."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._writer = OutlineWriter()
        self._text: list[str] = []
        self._level: int | None = None  # of the heading that is open
        self._lists: list[int | None] = []  # the number of the next item, or None for bullets
        self._item = ""  # the mark of the item that is open
        self._rows: list[list[str]] = []
        self._num_tables = 0
        self._skipped: list[str] = []
        self._is_pre = False
        self._link = ""

    def document(self, title: str) -> Document:
        """What was read."""
        self._flush()
        return self._writer.document(title)

    def handle_data(self, data: str) -> None:
        """Text between tags."""
        if not self._skipped:
            self._text.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        if self._skipped or tag in _SKIPPED:
            if tag not in _VOID:
                self._skipped.append(tag)
        elif self._num_tables:
            self._start_in_table(tag)
        elif tag in _MARKS:
            self._mark(tag)
        else:
            self._start_block(tag, dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        if self._skipped:
            self._end_skipped(tag)
        elif self._num_tables:
            self._end_in_table(tag)
        elif tag in _MARKS:
            self._mark(tag)
        elif tag == "a" and self._link:
            self._text.append(f"]({self._link})")
            self._link = ""
        else:
            self._end_block(tag)

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        """Pass over ``<![...>`` as browsers do (HTML Living Standard, 13.2.5.42); the parser's own raises for most."""
        return self.parse_bogus_comment(i)

    def _start_block(self, tag: str, attributes: dict[str, str | None]) -> None:
        if match := _HEADING.fullmatch(tag):
            self._flush()
            self._level = 0 if attributes.get("class") == "title" else int(match[1])
        elif tag == "br":
            self._text.append("\n" if self._is_pre else "\v")
        elif tag == "a":
            self._start_link(attributes.get("href") or "")
        elif tag in ("ul", "ol"):
            self._flush()
            self._lists.append(1 if tag == "ol" else None)
        elif tag == "li":
            self._flush()
            self._item = self._next_mark()
        elif tag == "table":
            self._flush()
            self._num_tables, self._rows = 1, []
        elif tag == "pre":
            self._flush()
            self._is_pre = True
        elif tag in _BLOCKS:
            self._flush()

    def _end_block(self, tag: str) -> None:
        if tag in ("ul", "ol") and self._lists:
            self._flush()
            self._lists.pop()
        elif tag in _BLOCKS or tag in ("li", "pre") or _HEADING.fullmatch(tag):
            self._flush()
            self._item = "" if tag == "li" else self._item

    def _start_in_table(self, tag: str) -> None:
        if tag == "table":
            self._num_tables += 1
        elif self._num_tables > 1:
            self._text.append(" ")
        elif tag == "tr":
            self._rows.append([])
            self._text.clear()
        elif tag in ("td", "th"):
            self._text.clear()
        else:
            self._text.append(" " if tag in _BLOCKS or tag in ("br", "li") else "")

    def _end_in_table(self, tag: str) -> None:
        if tag == "table":
            self._num_tables -= 1
            if not self._num_tables:
                self._text.clear()
                self._writer.block(_table(self._rows))
        elif tag in ("td", "th") and self._num_tables == 1:
            if not self._rows:
                self._rows.append([])
            self._rows[-1].append(" ".join("".join(self._text).split()).replace("|", "\\|"))
            self._text.clear()
        else:
            self._text.append(" " if tag in _BLOCKS or tag == "li" else "")

    def _end_skipped(self, tag: str) -> None:
        if tag in self._skipped:
            while self._skipped.pop() != tag:
                pass

    def _start_link(self, address: str) -> None:
        if re.match(r"(?:https?://|mailto:)[^\s()<>]+\Z", address) and not self._link:
            self._link = address
            self._text.append("[")

    def _mark(self, tag: str) -> None:
        if self._level is None and not self._is_pre:
            self._text.append(_MARKS[tag])

    def _next_mark(self) -> str:
        indent = "  " * min(len(self._lists) - 1, MAX_LIST_DEPTH)
        if not self._lists or self._lists[-1] is None:
            return f"{indent}- "
        number = self._lists[-1]
        self._lists[-1] = number + 1
        return f"{indent}{number}. "

    def _flush(self) -> None:
        text = "".join(self._text)
        self._text.clear()
        if self._is_pre:
            self._is_pre = False
            self._writer.block(f"```\n{text.strip(chr(10))}\n```" if text.strip() else "")
            return
        text = "\n".join(" ".join(line.split()) for line in text.split("\v")).strip()
        if self._level is not None:
            self._writer.heading(self._level, re.sub(r"\[(.*?)\]\([^()]*\)", r"\1", text))
            self._level = None
        elif text:
            self._writer.block(self._item + text, is_item=bool(self._item))
            self._item = " " * len(self._item)


def _table(rows: list[list[str]]) -> str:
    """Rows with bars between the cells, and a line below the first one, as Markdown has it."""
    rows = [row for row in rows if any(row)]
    if not rows:
        return ""
    width = max(map(len, rows))
    lines = [f"| {' | '.join(row + [''] * (width - len(row)))} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * width, *lines[1:]])
