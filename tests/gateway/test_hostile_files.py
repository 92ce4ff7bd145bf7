"""Files made to be checked slowly: what a document says of itself costs no more than its size."""

from __future__ import annotations

import io
import struct
import time
import zipfile

import pytest

from assistant.gateway.sniffing import KINDS, MAX_ENTRIES, Mismatch
from tests.gateway.sample_files import docx

pytestmark = pytest.mark.unit

RELATIONS = "word/_rels/document.xml.rels"
PAIR = (b"attachedTemplate", b"TargetMode='External'")


def seconds_to_refuse(data: bytes, why: str) -> float:
    """The processor's time until it is refused for this reason."""
    began_at = time.thread_time()
    with pytest.raises(Mismatch, match=why):
        KINDS["docx"].check(data)
    return time.thread_time() - began_at


@pytest.mark.parametrize("word", PAIR)
def test_words_that_look_like_a_template_over_and_over_cost_little(word: bytes) -> None:
    data = docx(**{RELATIONS: word * 40_000})
    began_at = time.thread_time()
    KINDS["docx"].check(data)
    assert time.thread_time() - began_at < 0.5


def test_relations_beyond_a_megabyte_are_refused_at_once() -> None:
    data = docx(**{RELATIONS: b"a" * (60 << 20)})
    assert seconds_to_refuse(data, "too many relations") < 0.5


def test_the_relations_of_all_parts_count_together() -> None:
    parts = {f"word/_rels/{number}.xml.rels": b"a" * 200_000 for number in range(6)}
    assert seconds_to_refuse(docx(**parts), "too many relations") < 0.5


@pytest.mark.parametrize("told", [2, 50_000])
def test_a_directory_of_very_many_parts_is_refused_before_it_is_read(told: int) -> None:
    assert seconds_to_refuse(_many_parts(200_000, told=told), f"more than {MAX_ENTRIES} parts") < 0.2


def test_a_document_of_many_parts_passes() -> None:
    buffer = io.BytesIO(docx())
    with zipfile.ZipFile(buffer, "a") as archive:
        for number in range(MAX_ENTRIES - 2):
            archive.writestr(f"word/media/{number}.png", b"")
    KINDS["docx"].check(buffer.getvalue())


def test_a_template_and_another_file_elsewhere_are_not_taken_together() -> None:
    links = b"<Relationship Type='attachedTemplate' Target='t.dotx'/><Relationship TargetMode='External'/>"
    KINDS["docx"].check(docx(**{RELATIONS: links}))


def _many_parts(num: int, *, told: int) -> bytes:
    """An archive whose directory has ``num`` entries and says that it has ``told``."""
    local = b"PK\x03\x04" + bytes(26)
    fields = struct.pack("<HHHHHHIIIHHHHHII", 20, 20, 0, 0, 0, 33, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0)
    directory = b"".join(b"PK\x01\x02" + fields + b"%06x" % number for number in range(num))
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, told, told, len(directory), len(local), 0)
    return local + directory + end
