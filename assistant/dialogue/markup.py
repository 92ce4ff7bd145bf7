"""Markdown to HTML that is safe to put on any page: markdown-it-py renders, nh3 cleans."""

from __future__ import annotations

import html

import nh3
from markdown_it import MarkdownIt

TAGS = {"p", "br", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "hr"} | {
    "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"
}  # fmt: skip
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
SCHEMES = {"https", "http", "mailto", "tel"}

_markdown = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
_cleaner = nh3.Cleaner(
    tags=TAGS, attributes=ATTRIBUTES, url_schemes=SCHEMES, link_rel="noopener noreferrer nofollow", strip_comments=True
)


def to_html(markdown: str) -> str:
    """An assistant's or agent's Markdown as clean HTML."""
    return _cleaner.clean(_markdown.render(markdown))


def plain_html(text: str) -> str:
    """A customer's text as HTML: nothing in it is markup."""
    return "<p>" + "<br>".join(html.escape(line) for line in text.splitlines()) + "</p>"
