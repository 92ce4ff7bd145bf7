"""Writing a trained adapter: whole or not at all, and never over something that is not one."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from peft import PeftModel

from assistant.errors import ConfigError, StorageError
from assistant.generation.adapter_card import CARD, WEIGHTS, AdapterCard
from assistant.models import sha256_of


def require_free(out: Path, *, overwrite: bool) -> None:
    """Raise `ConfigError` unless an adapter may be written to ``out``: an empty place, or an adapter to replace."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / CARD).is_file():
        raise ConfigError(f"{out} exists and is no adapter of this assistant.", fix="Give --out a new folder.")
    if not overwrite:
        raise ConfigError(f"{out} holds an adapter already.", fix="Give --out a new folder, or --overwrite.")


def save_adapter(model: PeftModel, card: AdapterCard, out: Path) -> None:
    """Write weights and card to a folder beside ``out``, then move it there. Raises `StorageError`."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.partial-", dir=out.parent))
        try:
            _write(model, card, partial / "new")
            if out.exists():
                os.rename(out, partial / "old")
            os.rename(partial / "new", out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise StorageError(
            f"The adapter cannot be written to {out}: {error.strerror or error}.",
            fix="Make room, or give --out a folder that this user may write to.",
        ) from error


def _write(model: PeftModel, card: AdapterCard, folder: Path) -> None:
    # Asked to decide by itself whether embeddings belong to it, peft looks for the base model on the hub.
    model.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty form; the card says what there is to say
    replace(card, weights_sha256=sha256_of(folder / WEIGHTS)).write(folder)
