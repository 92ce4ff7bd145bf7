"""Markdown to HTML that is safe to put on any page: markdown-it-py renders, nh3 cleans."""

from __future__ import annotations

import html
import re

import nh3
from markdown_it import MarkdownIt

TAGS = {"p", "br", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "hr"} | {
    "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"
}  # fmt: skip
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
SCHEMES = {"https", "http", "mailto", "tel"}
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")  # RFC 3986

_markdown = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])


def to_html(markdown: str) -> str:
    """An assistant's or agent's Markdown as clean HTML."""
    return _cleaner.clean(_markdown.render(markdown))


def plain_html(text: str) -> str:
    """A customer's text as HTML: nothing in it is markup."""
    return "<p>" + "<br>".join(html.escape(line) for line in text.splitlines()) + "</p>"


def _absolute(tag: str, attribute: str, value: str) -> str | None:
    """Drops addresses without a scheme: on whose page a message will be shown, nobody knows here."""
    return None if attribute == "href" and not SCHEME.match(value) else value


_cleaner = nh3.Cleaner(
    tags=TAGS,
    attributes=ATTRIBUTES,
    attribute_filter=_absolute,
    url_schemes=SCHEMES,
    link_rel="noopener noreferrer nofollow",
    strip_comments=True,
)
