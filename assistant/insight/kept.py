"""The vectors of our own sentences, kept between starts: computing them takes two cores five seconds."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
import structlog

from assistant.insight.encoding import Encoder, EncoderPair, Vectors

log = structlog.get_logger()


class KeptVectors:
    """An encoder that computes each text once; with a ``folder``, once for every start that finds its file there.

    The file is the encoder's by its fingerprint, may be deleted at any time, and is replaced whole. Where it cannot be
    read or written the vectors are computed anew.
    """

    def __init__(self, encoder: Encoder, folder: Path | None = None) -> None:
        self._encoder = encoder
        self._path = folder / f"{hashlib.sha256(encoder.fingerprint.encode()).hexdigest()[:32]}.npz" if folder else None
        self._known = _read(self._path) if self._path else {}
        self._num_stored = len(self._known)
        self.fingerprint = encoder.fingerprint

    def encode(self, texts: Sequence[str]) -> Vectors:
        """One row per text, in the order given."""
        if new := [text for text in dict.fromkeys(texts) if text not in self._known]:
            self._known.update(zip(new, self._encoder.encode(new), strict=True))
        return np.stack([self._known[text] for text in texts])

    def store(self) -> None:
        """Write what was computed since the file was read."""
        if self._path is None or len(self._known) == self._num_stored:
            return
        try:
            _write(self._path, self._known)
        except OSError as error:
            log.info("seeds.not_kept", path=str(self._path), cause=error.strerror)


def keeping(encoders: EncoderPair, folder: Path | None) -> tuple[EncoderPair, list[KeptVectors]]:
    """The same encoders, each computing a text once, and those whose vectors are to be stored in the end."""
    kept = {
        id(one): KeptVectors(one, folder) for one in (encoders.english, encoders.multilingual, encoders.passage) if one
    }
    passage = kept[id(encoders.passage)] if encoders.passage else None
    return EncoderPair(kept[id(encoders.english)], kept[id(encoders.multilingual)], passage), list(kept.values())


def _read(path: Path) -> dict[str, Vectors]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(zip(arrays["texts"].tolist(), arrays["vectors"], strict=True))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        log.info("seeds.not_readable", path=str(path), cause=str(error))
        return {}


def _write(path: Path, known: dict[str, Vectors]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
        np.savez(file, texts=np.array(list(known)), vectors=np.stack(list(known.values())))
    Path(file.name).replace(path)
