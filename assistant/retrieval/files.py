"""Reading the files of a knowledge base within limits."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from assistant.errors import KnowledgeError
from assistant.retrieval.entries import problem


def read_bytes(path: Path, *, max_bytes: int) -> bytes:
    """The file's bytes, unpacked if it ends in ``.gz``. Raises `KnowledgeError` if it is larger or unreadable."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise problem(path, None, "it is no gzip file, or cut off", "Pack it again with gzip.") from error
    except OSError as error:
        raise unreadable(path, error) from error
    if len(data) > max_bytes:
        size = "more than that" if path.suffix == ".gz" else f"{path.stat().st_size}"
        raise KnowledgeError(
            f"{path}: the file has {size} bytes; the limit is {max_bytes}.", fix="Split it into several files."
        )
    return data


def read_text(path: Path, *, max_bytes: int) -> str:
    r"""The file's text: UTF-8, without a byte order mark, ``\n`` as the only line end. Raises `KnowledgeError`."""
    data = read_bytes(path, max_bytes=max_bytes)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise problem(
            path, line, f"byte 0x{error.object[error.start]:02x} is not UTF-8", "Save the file as UTF-8."
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def unreadable(path: Path, error: OSError) -> KnowledgeError:
    """A file or folder that the system does not give out."""
    return KnowledgeError(f"{path}: it cannot be read: {error.strerror}.", fix="Make it a readable file, or remove it.")
