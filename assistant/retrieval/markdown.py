"""Where the entries of a Markdown file begin and end, and the headings of a Markdown document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from assistant.retrieval.outline import Document, Heading

_FRONT_MATTER = re.compile(r"---[ \t]*\n(?=[\w-]+:)(?:.*\n)*?---[ \t]*(?:\n|\Z)")
_TITLE = re.compile(r"^title:[ \t]*(?P<quote>['\"]?)(?P<title>.+?)(?P=quote)[ \t]*$", re.MULTILINE)
_ANCHOR = re.compile(r"\s*\{#[^{}]*\}\s*$")
_WORDS = ("text", "code_inline", "softbreak")

Problem = tuple[int, str, str]
"""Line (from 1), cause and fix."""


@dataclass(frozen=True, slots=True)
class Section:
    """One ``## `` heading and the text below it: ``text[start:end]``, up to the next heading."""

    topic: str
    heading: str
    line: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Blocks:
    """The sections of a file and what is wrong with its structure."""

    sections: tuple[Section, ...]
    problems: tuple[Problem, ...]


def read_blocks(text: str) -> Blocks:
    """Split ``text`` at its top-level ``# `` and ``## `` headings."""
    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])  # inline content is never looked at
    tokens = parser.parse(text)
    unclosed = tuple(_unclosed(text, tokens))
    sections = tuple(_sections(text, tokens))
    if unclosed:
        return Blocks(sections[:-1], unclosed)  # the last one's answer holds whatever the block hides
    return Blocks(sections, tuple(_misplaced(sections)))


def read_outline(text: str) -> Document:
    """A whole document: its headings of every level, and the title that its front matter gives.

    Front matter is the block between two lines ``---`` at the very beginning, as site generators write it.
    """
    front = _FRONT_MATTER.match(text)
    start = front.end() if front else 0
    title = _TITLE.search(front.group()) if front else None
    offsets = _line_offsets(text)
    tokens = MarkdownIt("commonmark").parse(text)
    headings = (
        Heading(int(token.tag[1:]), _plain(inline), offsets[token.map[0]], offsets[token.map[1]])
        for token, inline in pairwise(tokens)
        if token.type == "heading_open" and token.level == 0 and token.map and offsets[token.map[0]] >= start
    )
    kept = tuple(heading for heading in headings if heading.title)
    return Document(text, kept, title["title"].strip() if title else "", start)


def _plain(inline: Token) -> str:
    """A heading's words, without marks and without the ``{#id}`` that some generators write."""
    words = "".join(child.content or " " for child in inline.children or () if child.type in _WORDS)
    return " ".join(_ANCHOR.sub("", words).split())


def _sections(text: str, tokens: list[Token]) -> Iterator[Section]:
    offsets = _line_offsets(text)
    headings = list(_headings(tokens))
    topic = ""
    for index, (level, content, first, after) in enumerate(headings):
        if level == 1:
            topic = content
            continue
        end = offsets[headings[index + 1][2]] if index + 1 < len(headings) else len(text)
        yield Section(topic, content, first + 1, offsets[after], end)


def _headings(tokens: list[Token]) -> Iterator[tuple[int, str, int, int]]:
    """Level, content, first line and the line after, of headings that divide the file."""
    for token, inline in pairwise(tokens):
        # A line of dashes below a paragraph makes a heading too, but nobody means an entry by it.
        if token.type == "heading_open" and token.level == 0 and token.map and token.markup in ("#", "##"):
            yield len(token.markup), inline.content, token.map[0], token.map[1]


def _unclosed(text: str, tokens: list[Token]) -> Iterator[Problem]:
    lines = text.split("\n")
    for token in tokens:
        if token.map and token.level == 0 and _is_unclosed(token, lines):
            kind = "code block" if token.type == "fence" else "comment"
            yield token.map[0] + 1, f"the {kind} is never closed and hides the rest of the file", "Close it."


def _misplaced(sections: tuple[Section, ...]) -> Iterator[Problem]:
    if not sections:
        yield 1, "the file has no '## ' heading, so it holds no entry", "Begin each entry with '## ' and its question."
    elif not sections[0].topic:
        yield sections[0].line, "an entry stands before any '# ' heading", "Begin the file with '# ' and its topic."


def _is_unclosed(token: Token, lines: list[str]) -> bool:
    if token.type == "fence" and token.map:
        last = lines[token.map[1] - 1].strip()
        return token.map[1] - token.map[0] < 2 or not last.startswith(token.markup) or bool(last.strip(token.markup[0]))
    return token.type == "html_block" and token.content.lstrip().startswith("<!--") and "-->" not in token.content


def _line_offsets(text: str) -> list[int]:
    """Where each line starts, and one past the last line."""
    return [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
