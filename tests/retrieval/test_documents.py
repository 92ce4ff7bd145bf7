"""Long documents as sections: headings, parts, offsets, and files that cannot be read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from assistant.retrieval import docx, pdf
from assistant.retrieval.documents import MAX_MARKUP_BYTES, read_document
from assistant.retrieval.entries import Entry
from assistant.retrieval.html import parse_html
from assistant.retrieval.sections import MAX_CHARS, MAX_CHARS_ELSE
from assistant.retrieval.sources import Knowledge, load_knowledge, read_source
from tests.retrieval.made_files import Print, encrypted_pdf, make_docx, make_pdf, paragraph, table

pytestmark = pytest.mark.unit

Read = Callable[[str, str | bytes], Knowledge]

RETURNS = "You can send things back within 30 days of delivery, in the original packaging, free of charge."
FURNITURE = "Furniture is collected at your door; please call our service two days before you need the van."
RETURNS_ZH = "收到商品后三十天内可以免费退货，请使用原包装，并附上发货单，运费由我们承担，无需任何理由。"
FURNITURE_ZH = "大件家具由我们上门取件，请至少提前两天致电客服预约时间，并请您事先把家具包好放在门口。"

MARKDOWN = f"# Handbook\n\n## Returns\n\n{RETURNS}\n\n### Furniture\n\n{FURNITURE}\n"
MARKDOWN_ZH = f"# 手册\n\n## 退货\n\n{RETURNS_ZH}\n\n### 家具\n\n{FURNITURE_ZH}\n"
PAGE = "<html><head><title>{0}</title></head><body><nav><a href='/'>Home</a></nav><h1>{0}</h1><h2>{1}</h2><p>{2}</p>"
PAGE += "<h3>{3}</h3><p>{4}</p><footer>Imprint</footer></body></html>"
ENGLISH = ("Handbook", "Returns", RETURNS, "Furniture", FURNITURE)
CHINESE = ("手册", "退货", RETURNS_ZH, "家具", FURNITURE_ZH)


def printed(title: str, first: str, text: str, second: str, more: str) -> list[list[Print]]:
    page = [Print(title, 780, 20), Print(first, 740, 16), Print(text, 715), Print(second, 680, 13.5), Print(more, 650)]
    return [page]


def word(title: str, first: str, text: str, second: str, more: str) -> bytes:
    headings = paragraph(title, "T"), paragraph(first, "1"), paragraph(text), paragraph(second, "2"), paragraph(more)
    return make_docx(*headings)


FILES = {
    "en/documents/handbook.md": MARKDOWN,
    "en/handbook.html": PAGE.format(*ENGLISH),
    "en/handbook.pdf": make_pdf(printed(*ENGLISH)),
    "en/handbook.docx": word(*ENGLISH),
    "zh/documents/shouce.md": MARKDOWN_ZH,
    "zh/shouce.html": PAGE.format(*CHINESE).encode("utf-8").replace(b"<head>", b"<head><meta charset='utf-8'>"),
    "zh/shouce-gbk.htm": PAGE.format(*CHINESE).replace("<head>", "<head><meta charset='gbk'>").encode("gbk"),
    "zh/shouce.pdf": make_pdf(printed(*CHINESE)),
    "zh/shouce.docx": word(*CHINESE),
}


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """What is read from one file that stands beside a good entry."""

    def write(name: str, content: str | bytes) -> Knowledge:
        for place, data in ((name, content), ("en/good.md", "# Good\n\n## Is this fine? {#fine}\n\nYes.\n")):
            path = tmp_path / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
        return load_knowledge(tmp_path)

    return write


def documents(knowledge: Knowledge) -> list[Entry]:
    return [entry for entry in knowledge.entries if entry.kind == "document"]


def only_problem(knowledge: Knowledge) -> str:
    assert [entry.id for entry in knowledge.entries] == ["fine"]
    (problem,) = knowledge.problems
    assert problem.fix
    return str(problem)


@pytest.mark.parametrize("name", FILES)
def test_a_document_of_any_format_gives_its_sections_with_the_path_of_their_headings(read: Read, name: str) -> None:
    knowledge = read(name, FILES[name])
    title, first, text, second, more = ENGLISH if name.startswith("en") else CHINESE
    one, two = documents(knowledge)
    assert knowledge.problems == ()
    assert [one.question, two.question] == [f"{title} › {first}", f"{title} › {first} › {second}"]
    assert [one.answer, two.answer] == [text, more]
    assert [one.id, two.id] == [f"{name}#{first.lower()}", f"{name}#{first.lower()}-{second.lower()}"]
    assert (one.topic, one.lang, one.source) == (title, name[:2], name)


@pytest.mark.parametrize("name", FILES)
def test_offsets_point_at_the_section_in_the_text_of_the_file(read: Read, tmp_path: Path, name: str) -> None:
    found = documents(read(name, FILES[name]))
    text = read_source(tmp_path / name)
    assert [text[entry.source_start : entry.source_end] for entry in found] == [entry.answer for entry in found]


LONG = " ".join(f"Sentence number {number} of the chapter says something of its own." for number in range(80))
LONG_ZH = "".join(f"这是第{number}句话，它说了一件只有它自己说的事情。" for number in range(80))


@pytest.mark.parametrize(
    ("name", "text", "limit"),
    [
        ("en/documents/long.md", LONG, MAX_CHARS_ELSE),
        ("zh/documents/long.md", LONG_ZH, MAX_CHARS["zh"]),
        ("en/documents/long.md", LONG.replace(". ", ".\n\n"), MAX_CHARS_ELSE),
        ("en/documents/long.md", "x" * 5000, MAX_CHARS_ELSE),
    ],
)
def test_a_long_section_is_parted_without_losing_or_repeating_a_word(
    read: Read, name: str, text: str, limit: int
) -> None:
    parts = documents(read(name, f"# Long\n\n## Chapter\n\n{text}\n"))
    assert len(parts) >= len(text) / limit
    assert all(limit / 4 <= len(part.answer) <= limit for part in parts)
    assert "".join("".join(part.answer for part in parts).split()) == "".join(text.split())
    assert [part.id for part in parts[:3]] == [f"{name}#chapter", f"{name}#chapter-2", f"{name}#chapter-3"]
    assert {part.question for part in parts} == {"Long › Chapter"}


def test_parts_of_a_section_begin_and_end_with_whole_sentences(read: Read) -> None:
    for name, text in (("en/documents/a.md", LONG), ("zh/documents/a.md", LONG_ZH)):
        for part in documents(read(name, f"# A\n\n## B\n\n{text}\n")):
            assert part.answer.startswith(("Sentence number", "这是第"))
            assert part.answer.endswith((".", "。"))


def test_a_table_that_fits_is_not_torn(read: Read) -> None:
    rows = "".join(f"| size {number} | {number} EUR |\n" for number in range(20))
    parts = documents(
        read("en/documents/t.md", f"# T\n\n## Prices\n\n{LONG[:1000]}.\n\n| Size | Price |\n|---|---|\n{rows}")
    )
    assert len(parts) == 2
    assert parts[1].answer.startswith("| Size | Price |")
    assert parts[1].answer.count("\n") == 21


def test_a_very_short_section_joins_the_one_above_or_its_equals(read: Read) -> None:
    text = f"# H\n\n## Returns\n\n{RETURNS}\n\n### Note\n\nNot for gifts.\n\n## Hours\n\n"
    text += "### Mon\n\n9-17\n\n### Sun\n\nClosed\n"
    one, two = documents(read("en/documents/h.md", text))
    assert (one.question, two.question) == ("H › Returns", "H › Hours")
    assert one.answer == f"{RETURNS}\n\n### Note\n\nNot for gifts."
    assert two.answer == "### Mon\n\n9-17\n\n### Sun\n\nClosed"


def test_text_before_the_first_heading_stands_under_the_documents_own_name(read: Read) -> None:
    (entry,) = documents(read("en/documents/terms_of-use.md", "Only text, and quite a lot of it, without a heading."))
    assert entry.question == entry.topic == "terms of use"


def test_front_matter_is_no_text_but_its_title_is_taken(read: Read) -> None:
    text = f"---\ntitle: 'The terms'\ntags: [a]\n---\n\n## Returns\n\n{RETURNS}\n\n## Furniture\n\n{FURNITURE}\n"
    one, two = documents(read("en/documents/x.md", text))
    assert (one.question, two.question) == ("The terms › Returns", "The terms › Furniture")


def test_a_heading_keeps_its_words_and_loses_its_marks(read: Read) -> None:
    text = f"# T\n\n## The **big** `return` [policy](https://x.example) {{#anchor}}\n\n{RETURNS}\n"
    (entry,) = documents(read("en/documents/x.md", text))
    assert entry.question == "T › The big return policy"


def test_a_markdown_file_outside_of_documents_is_an_faq(read: Read) -> None:
    knowledge = read("en/handbook.md", MARKDOWN)
    assert [entry.kind for entry in knowledge.entries if entry.source == "en/handbook.md"] == ["faq"]


def test_html_keeps_lists_tables_and_links_and_drops_what_surrounds_the_content(read: Read) -> None:
    body = f"<ul><li>Print it.<li>Post <b>it</b>.</ul><p>{RETURNS} <a href='https://x.example/a'>Label</a></p>"
    body += "<table><tr><th>Size<th>Price</tr><tr><td>S|M</td><td>10&nbsp;&euro;</td></tr></table>"
    page = f"<html><body><nav>Menu</nav><main><h1>T</h1>{body}</main><footer>Imprint</footer><script>x()</script>"
    (entry,) = documents(read("en/x.html", page))
    label = "[Label](https://x.example/a)"
    prices = "| Size | Price |\n|---|---|\n| S\\|M | 10 € |"
    assert entry.answer == f"- Print it.\n- Post **it**.\n\n{RETURNS} {label}\n\n{prices}"


def test_a_link_that_is_no_web_address_is_only_its_text() -> None:
    markup = "<p><a href='javascript:alert(1)'>a</a> <a href='/b'>b</a> <a href='https://c.example/)('>c</a></p>"
    assert parse_html(markup).text == "a b c"


def test_word_tables_and_headings_are_kept(read: Read) -> None:
    data = make_docx(paragraph("Prices", "1"), paragraph(RETURNS), table(["Size", "Price"], ["S", "10"]))
    (entry,) = documents(read("en/prices.docx", data))
    assert entry.question == "Prices"
    assert entry.answer == f"{RETURNS}\n\n| Size | Price |\n|---|---|\n| S | 10 |"


def test_a_pdf_without_larger_lines_has_a_section_for_each_page(read: Read) -> None:
    pages = [[Print(RETURNS, 700)], [Print(FURNITURE, 700)]]
    assert [e.question for e in documents(read("en/flat.pdf", make_pdf(pages)))] == ["flat › Page 1", "flat › Page 2"]
    pages = [[Print(RETURNS_ZH, 700)], [Print(FURNITURE_ZH, 700)]]
    assert [e.question for e in documents(read("en/flat.pdf", make_pdf(pages)))] == ["flat › 第 1 页", "flat › 第 2 页"]


def test_lines_of_a_pdf_become_paragraphs_and_rows_stay_rows(read: Read) -> None:
    lines = ["A paragraph is broken where the margin", "was reached, even in the middle of a line", "and then ends."]
    page = [Print(line, 700 - 13 * number) for number, line in enumerate(lines)]
    page += [Print("Size", 640), Print("Price", 640, x=200), Print("S", 627), Print("10 EUR", 627, x=200)]
    (entry,) = documents(read("en/x.pdf", make_pdf([page])))
    assert entry.answer == " ".join(lines) + "\n\nSize | Price\nS | 10 EUR"


def test_chinese_lines_of_a_pdf_are_joined_without_a_space(read: Read) -> None:
    page = [
        Print("退货时请使用原包装并附上发货单我们承担运", 700),
        Print("费无需任何理由请在三十天内寄回给我们就可", 685),
    ]
    (entry,) = documents(read("zh/x.pdf", make_pdf([page])))
    assert "我们承担运费无需" in entry.answer


def test_running_titles_and_page_numbers_of_a_pdf_are_left_out(read: Read) -> None:
    pages = [[Print("Shop handbook", 800, 8), Print(RETURNS, 700), Print(f"Page {n} of 3", 30, 8)] for n in (1, 2, 3)]
    answers = [entry.answer for entry in documents(read("en/x.pdf", make_pdf(pages)))]
    assert answers == [RETURNS] * 3


def with_bytes(data: bytes, start: int, new: bytes) -> bytes:
    return data[:start] + new + data[start + len(new) :]


def with_flag(data: bytes, flag: int) -> bytes:
    """The same Word file, each of its parts marked so (in both headers of the part)."""
    return _in_headers(data, 6, 8, flag)


def with_method(data: bytes, method: int) -> bytes:
    """The same Word file, each of its parts said to be packed by that method."""
    return _in_headers(data, 8, 10, method)


def _in_headers(data: bytes, local: int, central: int, value: int) -> bytes:
    for mark, place in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        for found in re.finditer(re.escape(mark), data):
            data = with_bytes(data, found.start() + place, value.to_bytes(2, "little"))
    return data


PACKED = make_docx(paragraph(RETURNS))
BROKEN = {
    "en/broken.pdf": (b"%PDF-1.4 nothing", "no PDF that can be read"),
    "en/encrypted.pdf": (encrypted_pdf(), "it is encrypted"),
    "en/scan.pdf": (make_pdf([[]]), "Run OCR on it first"),
    "en/broken.docx": (b"PK\x03\x04 nothing", "no Word document that can be read"),
    "en/cut.docx": (make_docx(paragraph("x"))[:300], "no Word document that can be read"),
    "en/bad-xml.docx": (make_docx("<w:p>"), "no Word document that can be read"),
    "en/encrypted.docx": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "it is encrypted, or an old .doc"),
    "en/empty.docx": (make_docx(), "the document has no text"),
    "en/damaged.docx": (
        with_bytes(PACKED, PACKED.index(b"word/document.xml") + 20, b"\xff" * 60),
        "parts cannot be unpacked",
    ),
    "en/locked.docx": (with_flag(PACKED, 0x1), "it is encrypted"),
    "en/odd.docx": (with_method(PACKED, 99), "can be read (NotImplementedError)"),
    "en/bomb.docx": (make_docx(paragraph("0" * docx.MAX_XML_BYTES)), f"the limits are {docx.MAX_XML_BYTES}"),
    "en/empty.html": (b"<html><body><script>x()</script></body></html>", "the page has no text"),
    "en/nothing.html": (b"", "the page has no text"),
    "en/large.html": (b"x" * (MAX_MARKUP_BYTES + 1), str(MAX_MARKUP_BYTES)),
    "en/documents/empty.md": (b"# Title\n", "the document has no text"),
    "en/documents/latin.md": (b"# Title\n\nCaf\xe9\n", "latin.md:3: byte 0xe9 is not UTF-8"),
    "en/old.doc": (b"x", "Save it as .docx"),
    "en/list.xlsx": (b"x", "Save it as .csv"),
    "english/x.pdf": (b"x", "not a language code"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_cannot_be_read_is_one_problem_and_the_rest_is_read(read: Read, name: str) -> None:
    data, said = BROKEN[name]
    message = only_problem(read(name, data))
    assert Path(name).name in message
    assert said in message


@pytest.mark.parametrize(
    "declaration", ["<![foo[bar]]>", "<![%", "<![if !vml]>", "<![endif]>", "<![CDATA[x]]>", "<![", "<!x"]
)
def test_a_declaration_that_html_does_not_know_is_passed_over(read: Read, declaration: str) -> None:
    knowledge = read(
        "en/x.html", f"<html><body><h1>T</h1><p>{RETURNS}</p>{declaration}<p>{FURNITURE}</p></body></html>"
    )
    (entry,) = documents(knowledge)
    assert entry.answer.startswith(RETURNS)
    assert parse_html(f"<p>{RETURNS}</p>{declaration} a > b <p>{FURNITURE}</p>").text.endswith(FURNITURE)


def test_a_pdf_of_too_many_pages_or_taking_too_long_is_refused(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_pdf([[Print(RETURNS, 700)]] * 3)
    monkeypatch.setattr(pdf, "MAX_PAGES", 2)
    assert "it has 3 pages; the limit is 2" in only_problem(read("en/x.pdf", data))
    monkeypatch.undo()
    monkeypatch.setattr(pdf, "MAX_SECONDS", -1.0)
    assert "page 1 is over the limit" in only_problem(read("en/x.pdf", data + b"\n"))


def test_a_document_is_read_again_only_when_its_file_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "x.docx"
    path.write_bytes(make_docx(paragraph("One")))
    first = read_document(path)
    assert read_document(path) is first
    path.write_bytes(make_docx(paragraph("Two")))
    os.utime(path, ns=(1, 1))
    assert read_document(path).text == "Two"


NOISE = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
TAGS = st.sampled_from(
    "<h1> </h1> <h3> </h3> <p> </p> <ul> <ol> <li> </ul> <table> <tr> <td> </table> <pre> </pre>".split()
)
MARKS = st.sampled_from(["# ", "## ", "### x\n", "\n\n", "\n", "```\n", "---\n", "| a | b |\n", "。", ". ", "<!--"])


@given(st.lists(TAGS | MARKS | NOISE, max_size=40), st.sampled_from(["en/documents/x.md", "en/x.html"]))
@hypothesis_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_offsets_reproduce_every_section_of_any_document(tmp_path: Path, pieces: list[str], name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("<html><body><p>first words</p>" + "".join(pieces) * 3, encoding="utf-8")
    text = read_source(path)
    found = [entry for entry in load_knowledge(tmp_path).entries if entry.source == name]
    assert found
    for entry in found:
        assert text[entry.source_start : entry.source_end] == entry.answer
        assert 0 < len(entry.answer) <= MAX_CHARS_ELSE
        assert entry.question
