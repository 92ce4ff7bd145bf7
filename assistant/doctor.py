"""What is installed, which device is used, and what is missing, each with its fix."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from assistant import models
from assistant.config import Settings
from assistant.errors import AssistantError, KnowledgeError

MIN_FREE_BYTES = 1 << 30
LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "sentence-transformers", "faiss-cpu", "aiohttp")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. A fix may come with something that works already."""

    what: str
    ok: bool
    found: str
    fix: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything a server needs, quickest first."""
    yield Finding("python", True, f"{platform.python_version()} on {platform.platform()}")
    yield from _libraries()
    yield _device(settings)
    yield from (_model(info) for info in models.list_models(settings))
    yield _disk("data", settings.data_dir)
    yield _disk("cache", settings.cache_dir)
    yield _knowledge(settings)
    yield _index(settings)
    yield _port(settings)


def _libraries() -> Iterator[Finding]:
    for name in LIBRARIES:
        try:
            yield Finding("library", True, f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            yield Finding("library", False, f"{name} is not installed", "Run: bash deploy/run.sh")


def _device(settings: Settings) -> Finding:
    import torch

    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        return Finding("device", True, f"{name}, {torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if settings.generation.device == "cuda":
        return Finding("device", False, "no CUDA GPU is visible", 'Set [generation] device = "auto".')
    return Finding("device", True, f"CPU, {cores} cores, {settings.generation.quantize}")


def _model(info: models.ModelInfo) -> Finding:
    if info.state == "ready":
        return Finding("model", True, f"{info.name} is there, {info.num_bytes / 1e6:.0f} MB")
    fix = f"Run: assistant models pull {info.name}"
    return Finding("model", False, f"{info.name} is {info.state}", fix)


def _disk(what: str, folder: Path) -> Finding:
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(there, os.W_OK):
        return Finding(what, False, f"{folder} cannot be written", f"Give this user {there}, or set {what}_dir.")
    free = shutil.disk_usage(there).free
    enough = free >= MIN_FREE_BYTES
    return Finding(what, enough, f"{folder}, {free / 1e9:.1f} GB free", "" if enough else "Free at least 1 GB there.")


def _knowledge(settings: Settings) -> Finding:
    from assistant.retrieval.overlay import load_all

    try:
        knowledge = load_all(settings)
    except KnowledgeError as error:
        return Finding("knowledge", False, error.message, error.fix)
    if knowledge.problems:
        first = knowledge.problems[0]
        return Finding("knowledge", False, f"{len(knowledge.problems)} entries left out: {first.message}", first.fix)
    return Finding("knowledge", True, f"{len(knowledge.entries)} entries in {settings.knowledge.root}")


def _index(settings: Settings) -> Finding:
    if not settings.index_dir.exists():
        return Finding("index", True, "not built yet", "The first start builds it, or: assistant index")
    from assistant.retrieval.artifact import inspect_index

    try:
        manifest = inspect_index(settings.index_dir)
    except AssistantError as error:
        return Finding("index", False, error.message, error.fix)
    return Finding("index", True, f"{manifest.num_entries} entries in {settings.index_dir}")


def _port(settings: Settings) -> Finding:
    address = (settings.gateway.host, settings.gateway.port)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            fix = "A server may run already; else choose another: assistant serve --port 8081"
            return Finding("port", True, f"{address[0]}:{address[1]} is taken ({error.strerror})", fix)
    return Finding("port", True, f"{address[0]}:{address[1]} is free")
