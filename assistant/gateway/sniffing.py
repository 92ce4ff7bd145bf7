"""What a file really is, by its bytes: it must be of its declared type from the first byte to the last.

Nothing is decoded, rendered or run. Refused are files that are something else besides (a picture with a web page or an
archive inside), that unpack to much more than they are, or that bring scripts. Blocking; bounds: `MAX_PIXELS`,
`MAX_UNPACKED_BYTES`, `MAX_RELATIONS_BYTES`, `MAX_ENTRIES`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile, ZipFile, is_zipfile

from assistant.config import FileType

MAX_PIXELS = 100_000_000
MAX_UNPACKED_BYTES = 64 * 1024 * 1024
MAX_RELATIONS_BYTES = 1024 * 1024
MAX_ENTRIES = 2_000
CHUNK_BYTES = 65_536
# What a browser or an interpreter would take for a page or a program, in lower case; a mark is looked for at the speed
# of memory and the pattern only where it stands, since a search by pattern would hold up all other threads.
MARKS = (b"<script", b"<iframe", b"<?php", b"<!doctype", b"<html", b"<body", b"<svg", b"javascript:")
ACTIVE = re.compile(rb"<(?:script|iframe|\?php|!doctype\s+html|(?:html|body|svg)[\s>])|javascript:")
ACTIVE_PDF = re.compile(rb"/(?:JavaScript|Launch)\b")
WORD = ("[Content_Types].xml", "word/document.xml")
MACROS = re.compile(r"vbaProject|vbaData|activeX|/embeddings/", re.I)
ENTRY = b"PK\x01\x02"  # begins each entry of an archive's directory
RELATIONS = ".rels"
TEMPLATE = b"attachedTemplate"
EXTERNAL = re.compile(rb"TargetMode\s*=\s*[\"']External")
TEXT_ENCODINGS = ("utf-8-sig", "gb18030")
CONTROL = bytes([*range(9), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20), 0x7F])


class Mismatch(Exception):
    """The bytes are not what was declared; the message says why, for the customer's programmer."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of file: its name on the wire, how its name may end, and the check of its bytes."""

    media_type: str
    suffixes: tuple[str, ...]
    check: Callable[[bytes], None]


def check(path: Path, kind: FileType) -> None:
    """Raises `Mismatch` where the file is not wholly of this kind."""
    KINDS[kind].check(path.read_bytes())


def kind_of(media_type: str) -> FileType | None:
    """The kind that a media type names."""
    plain = media_type.partition(";")[0].strip().lower()
    return next((kind for kind, known in KINDS.items() if known.media_type == plain), None)


def _png(data: bytes) -> None:
    """https://www.w3.org/TR/png-3/#5DataRep"""
    _need(data.startswith(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR") and len(data) > 33, "the PNG header is missing")
    _refuse_bomb(int.from_bytes(data[16:20]), int.from_bytes(data[20:24]))
    at, name = 8, b""
    while at + 12 <= len(data) and name != b"IEND":
        name = data[at + 4 : at + 8]
        at += 12 + int.from_bytes(data[at : at + 4])
    _need(name == b"IEND", "the PNG is cut off")
    _need(at == len(data), "something follows the end of the PNG")
    _refuse_active(data)


def _gif(data: bytes) -> None:
    """https://www.w3.org/Graphics/GIF/spec-gif89a.txt"""
    _need(data[:6] in (b"GIF87a", b"GIF89a") and len(data) > 13, "the GIF header is missing")
    _refuse_bomb(int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little"))
    at = 13 + _colours(data[10])
    while at < len(data) and data[at] != 0x3B:
        _need(data[at] in (0x21, 0x2C), "the GIF has an unknown block")
        if data[at] == 0x21:
            at += 2
        else:
            _need(at + 11 <= len(data), "the GIF is cut off")
            at += 11 + _colours(data[at + 9])
        at = _after_blocks(data, at)
    _need(at == len(data) - 1, "the GIF does not end where it should")
    _refuse_active(data)


def _jpeg(data: bytes) -> None:
    """ITU-T T.81, annex B. What phones append after the end (previews, clips) may be there, a page or archive not."""
    _need(data.startswith(b"\xff\xd8\xff"), "the JPEG header is missing")
    at = 2
    while (marker := _marker(data, at)) != 0xD9:
        length = int.from_bytes(data[at + 2 : at + 4])
        _need(length >= 2 and at + 2 + length <= len(data), "the JPEG is cut off")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            _refuse_bomb(int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7]))
        at += 2 + length
        if marker == 0xDA:
            at = _after_scan(data, at)
    _refuse_active(data)


def _webp(data: bytes) -> None:
    """RFC 9649."""
    _need(data[:4] == b"RIFF" and data[8:12] == b"WEBP", "the WebP header is missing")
    _need(data[12:16] in (b"VP8 ", b"VP8L", b"VP8X"), "the WebP has no picture")
    size = int.from_bytes(data[4:8], "little") + 8
    _need(size in (len(data), len(data) + 1, len(data) - 1), "the WebP is not as long as it says")
    _refuse_bomb(*_webp_size(data))
    _refuse_active(data)


def _pdf(data: bytes) -> None:
    """ISO 32000-2, 7.5. Scripts in compressed streams are not found: nothing of ours opens the file."""
    _need(data.startswith(b"%PDF-"), "the PDF header is missing")
    _need(b"%%EOF" in data[-1024:], "the PDF is cut off")
    _need(not is_zipfile(BytesIO(data)), "the PDF is an archive as well")
    _need(not ACTIVE_PDF.search(data), "the PDF brings a script or starts a program")


def _txt(data: bytes) -> None:
    text = _decoded(data)
    _need(text is not None, "the text is in no known encoding; send UTF-8")
    plain = (text or "").encode(errors="replace")
    _need(len(plain.translate(None, CONTROL)) == len(plain), "the text has control characters")
    _need(not _is_active(plain), "the text is a web page or a script")


def _docx(data: bytes) -> None:
    """ECMA-376, part 2. What an entry says of its size is not believed: it is unpacked, counted and thrown away."""
    _need(data.startswith(b"PK\x03\x04"), "the document is no archive")
    # Before the directory is read, which takes long for many; how many it says it has need not be true.
    _need(data.count(ENTRY) <= MAX_ENTRIES, f"the document has more than {MAX_ENTRIES} parts")
    try:
        with ZipFile(BytesIO(data)) as archive:
            _check_entries(archive)
            _unpack(archive)
    except (BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError, ValueError, OSError) as error:
        raise Mismatch("the document's archive is damaged") from error


KINDS: dict[FileType, Kind] = {
    "png": Kind("image/png", (".png",), _png),
    "jpeg": Kind("image/jpeg", (".jpg", ".jpeg"), _jpeg),
    "webp": Kind("image/webp", (".webp",), _webp),
    "gif": Kind("image/gif", (".gif",), _gif),
    "pdf": Kind("application/pdf", (".pdf",), _pdf),
    "txt": Kind("text/plain", (".txt",), _txt),
    "docx": Kind("application/vnd.openxmlformats-officedocument.wordprocessingml.document", (".docx",), _docx),
}


def _need(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Mismatch(otherwise)


def _refuse_bomb(width: int, height: int) -> None:
    _need(width * height <= MAX_PIXELS, f"the picture has more than {MAX_PIXELS // 1_000_000} million pixels")


def _refuse_active(data: bytes) -> None:
    _need(not is_zipfile(BytesIO(data)) and b"%PDF-" not in data[:1024], "the picture is an archive or a PDF as well")
    _need(not _is_active(data), "the picture has a web page or a script inside")


def _is_active(data: bytes) -> bool:
    lowered = data.lower()
    for mark in MARKS:
        at = lowered.find(mark)
        while at >= 0:
            if ACTIVE.match(lowered, at):
                return True
            at = lowered.find(mark, at + 1)
    return False


# -- GIF


def _colours(flags: int) -> int:
    """The bytes of a colour table."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1


# -- WebP


def _webp_size(data: bytes) -> tuple[int, int]:
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


# -- JPEG


def _marker(data: bytes, at: int) -> int:
    _need(at + 1 < len(data) and data[at] == 0xFF, "the JPEG is damaged or cut off")
    return data[at + 1]


def _after_scan(data: bytes, at: int) -> int:
    """The first marker after the picture's own bytes, in which FF 00 and the restart markers are no markers."""
    while 0 <= (at := data.find(b"\xff", at)) < len(data) - 1:
        if data[at + 1] == 0xFF:
            at += 1
        elif data[at + 1] == 0 or 0xD0 <= data[at + 1] <= 0xD7:
            at += 2
        else:
            return at
    raise Mismatch("the JPEG is cut off")


# -- text and documents


def _decoded(data: bytes) -> str | None:
    encodings = ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else TEXT_ENCODINGS
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _check_entries(archive: ZipFile) -> None:
    names = [entry.filename for entry in archive.infolist()]
    _need(len(set(names)) == len(names), "the document has a part twice")
    _need(all(name in names for name in WORD), "the archive is no Word document")
    _need(not any(MACROS.search(name) for name in names), "the document brings programs or other files")
    _need(not any(entry.flag_bits & 1 for entry in archive.infolist()), "the document is encrypted")


def _unpack(archive: ZipFile) -> None:
    left, relations = MAX_UNPACKED_BYTES, bytearray()
    for entry in archive.infolist():
        is_relations = entry.filename.lower().endswith(RELATIONS)
        with archive.open(entry) as part:
            while chunk := part.read(CHUNK_BYTES):
                left -= len(chunk)
                _need(left >= 0, f"the document unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MB")
                if is_relations:
                    relations += chunk
                    _need(len(relations) <= MAX_RELATIONS_BYTES, "the document has too many relations")
    _need(not _loads_template(relations), "the document loads its template from elsewhere")


def _loads_template(relations: bytearray) -> bool:
    """Whether one tag has both words, in either order; without the zeros that UTF-16 puts between their letters."""
    tags = relations.replace(b"\0", b"").split(b"<")
    return any(TEMPLATE in tag and EXTERNAL.search(tag) is not None for tag in tags)
