"""PDF and Word files, written by hand: the smallest that real readers accept."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"


@dataclass(frozen=True)
class Print:
    """Text on a page; ``y`` is the baseline, 0 at the bottom."""

    text: str
    y: float
    size: float = 11
    x: float = 50


def make_pdf(pages: Sequence[Sequence[Print]], *, trailer: bytes = b"") -> bytes:
    """A PDF whose font has no glyphs, only widths and the characters they stand for."""
    characters = sorted({character for page in pages for printed in page for character in printed.text})
    code = {character: number for number, character in enumerate(characters, 1)}
    objects = [b"", b"", *_font(code)]
    kids = []
    for page in pages:
        drawn = "".join(
            f"BT /F {p.size} Tf {p.x} {p.y} Td <{''.join(f'{code[c]:04X}' for c in p.text)}> Tj ET\n" for p in page
        )
        objects.append(_stream(drawn))
        box = f"/MediaBox [0 0 595 842] /Resources << /Font << /F 5 0 R >> >> /Contents {len(objects)} 0 R"
        objects.append(f"<< /Type /Page /Parent 2 0 R {box} >>".encode())
        kids.append(f"{len(objects)} 0 R")
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R >>"
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>".encode()
    return _file(objects, trailer)


def encrypted_pdf() -> bytes:
    """One that needs a password nobody knows."""
    secret = "<" + "5A" * 32 + ">"
    handler = f"<< /Filter /Standard /V 1 /R 2 /O {secret} /U {secret} /P -4 >> /ID [<00> <00>]"
    return make_pdf([[Print("Secret", 700)]], trailer=f"/Encrypt {handler}".encode())


def make_docx(*body: str) -> bytes:
    """A Word file of these paragraphs and tables."""
    kinds = {"1": "heading 1", "2": "heading 2", "T": "Title"}
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="{key}"><w:name w:val="{name}"/></w:style>'
        for key, name in kinds.items()
    )
    return _package(
        f'<w:document xmlns:w="{WORD}"><w:body>{"".join(body)}</w:body></w:document>',
        f'<w:styles xmlns:w="{WORD}">{styles}</w:styles>',
    )


def paragraph(text: str, style: str = "") -> str:
    """``style`` is ``T`` (title), ``1``, ``2`` or nothing."""
    marked = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f'<w:p>{marked}<w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def table(*rows: Sequence[str]) -> str:
    cells = ("".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in row) for row in rows)
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in cells)}</w:tbl>"


def _package(document: str, styles: str) -> bytes:
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    main = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    files = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{main}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="r1" Type="{office}" Target="word/document.xml"/></Relationships>',
        "word/document.xml": document,
        "word/styles.xml": styles,
    }
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, head + content)
    return data.getvalue()


def _font(code: dict[str, int]) -> list[bytes]:
    """Objects 3 to 6: what the codes mean, the font's measures, the font, its descendant."""
    pairs = [f"<{number:04X}> <{character.encode('utf-16-be').hex()}>" for character, number in code.items()]
    blocks = [pairs[start : start + 100] for start in range(0, len(pairs), 100)]
    listed = "".join(f"{len(block)} beginbfchar\n{chr(10).join(block)}\nendbfchar\n" for block in blocks)
    spaces = "1 begincodespacerange <0000> <FFFF> endcodespacerange\n"
    cmap = f"/CIDInit /ProcSet findresource begin begincmap /CMapType 2 def {spaces}{listed}endcmap end"
    system = "/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >>"
    box = "/FontBBox [0 -200 1000 800] /ItalicAngle 0 /Ascent 800 /Descent -200 /CapHeight 700 /StemV 80"
    widths = " ".join(f"{number} [{500 if ord(character) < 0x2E80 else 1000}]" for character, number in code.items())
    return [
        _stream(cmap),
        f"<< /Type /FontDescriptor /FontName /F /Flags 4 {box} >>".encode(),
        b"<< /Type /Font /Subtype /Type0 /BaseFont /F /Encoding /Identity-H"
        b" /DescendantFonts [6 0 R] /ToUnicode 3 0 R >>",
        f"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /F {system} /FontDescriptor 4 0 R /W [{widths}] >>".encode(),
    ]


def _stream(content: str) -> bytes:
    return f"<< /Length {len(content)} >>\nstream\n{content}\nendstream".encode("latin-1")


def _file(objects: Sequence[bytes], trailer: bytes) -> bytes:
    data, offsets = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    tail = b"trailer << /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, trailer, len(data))
    return data + head + table + tail
