"""What an adapter was trained on and with, written beside its weights; served only where that still holds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from assistant.errors import AdapterError
from assistant.models import sha256_of

CARD = "assistant_adapter.json"
WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True, slots=True)
class AdapterCard:
    """The lineage of one LoRA adapter. ``training`` tells the run: data, steps, losses, seed, options."""

    base: str
    base_fingerprint: str
    quantization: str
    template_sha256: str
    prompt_version: str
    weights_sha256: str
    training: dict[str, object] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Put the card into the adapter's folder."""
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (folder / CARD).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> AdapterCard:
        """Read the card of the adapter in ``folder`` and check that its weights are whole.

        Raises `AdapterError` when the folder, the card or the weights are missing or damaged.
        """
        if not folder.is_dir():
            raise AdapterError(f"The adapter folder {folder} does not exist.", fix="Correct [generation] adapter.")
        try:
            values = json.loads((folder / CARD).read_text(encoding="utf-8"))
            card = cls(**{item.name: values[item.name] for item in fields(cls)})
            found = sha256_of(folder / WEIGHTS)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise AdapterError(
                f"{folder} is no adapter of this assistant: {type(error).__name__} {error}.",
                fix="Name a folder that `assistant train` wrote.",
            ) from error
        if found != card.weights_sha256:
            raise AdapterError(
                f"{folder / WEIGHTS} has sha256 {found}, expected {card.weights_sha256}.",
                fix="Restore the adapter from a copy, or train it again.",
            )
        return card

    def require_fit(self, *, base: str, base_fingerprint: str, quantization: str, template_sha256: str) -> None:
        """Raise `AdapterError` unless the adapter was trained on exactly this base, as it is loaded now."""
        if self.base_fingerprint != base_fingerprint:
            raise AdapterError(
                f"The adapter was trained on {self.base} ({self.base_fingerprint[:12]}), "
                f"but the base model is {base} ({base_fingerprint[:12]}).",
                fix=f"Set [generation] model to {self.base}, or train the adapter on {base}.",
            )
        if self.quantization != quantization:
            raise AdapterError(
                f"The adapter was trained with quantize = {self.quantization}, but the base runs with {quantization}.",
                fix=f"Set [generation] quantize to {self.quantization}, or train the adapter again.",
            )
        if self.template_sha256 != template_sha256:
            raise AdapterError(
                "The adapter was trained with another chat template than the base model has now.",
                fix="Restore the model's chat template, or train the adapter again.",
            )
