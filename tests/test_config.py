from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from assistant.config import Settings, known_keys, load
from assistant.errors import ConfigError
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.unit
SHIPPED = REPOSITORY / "deploy" / "assistant.toml"


def write(folder: Path, text: str) -> Path:
    path = folder / "assistant.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_environment_wins_over_file_and_file_over_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "[generation]\nquantize = 'int8'\nmax_new_tokens = 50\n[gateway]\nport = 9000")
    monkeypatch.setenv("ASSISTANT_GENERATION__QUANTIZE", "none")
    settings = load(path)
    assert (settings.generation.quantize, settings.generation.max_new_tokens) == ("none", 50)
    assert (settings.gateway.port, settings.gateway.host) == (9000, "127.0.0.1")


def test_paths_in_the_file_are_meant_from_its_folder(tmp_path: Path) -> None:
    settings = load(write(tmp_path, "data_dir = 'here'\n[knowledge]\nroot = '../faq'"))
    assert settings.data_dir == tmp_path / "here"
    assert settings.knowledge.root == tmp_path / "../faq"


def test_the_variable_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSISTANT_CONFIG", str(write(tmp_path, "tenant = 'acme'")))
    assert load().tenant == "acme"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[generation]\nquantise = 'nf4'", "generation.quantise is unknown. Did you mean generation.quantize?"),
        ("[generation]\nquantize = 'nf3'", "generation.quantize = 'nf3' is refused"),
        ("[gateway]\nport = 99999", "gateway.port = 99999 is refused"),
        ("[dialogue]\nverbatim = 2", "less than or equal to 1"),
        ("= 3", "cannot be read"),
        ("[brand.name]\nfr = 'x'", "brand.name.fr"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(write(tmp_path, text))
    assert says in str(refused.value)
    assert str(tmp_path) in str(refused.value)


@pytest.mark.parametrize("name", ["ASSISTANT_DATADIR", "ASSISTANT_GENERATION__QUANTISE", "ASSISTANT_FOO"])
def test_an_unknown_variable_is_refused_by_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError, match=name):
        load()


def test_the_nearest_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSISTANT_DATADIR", "/x")
    with pytest.raises(ConfigError, match="Did you mean ASSISTANT_DATA_DIR"):
        load()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml does not exist"):
        load(tmp_path / "nowhere.toml")


def test_the_shipped_file_loads_and_names_every_setting() -> None:
    settings = load(SHIPPED)
    assert settings.brand.name["zh"] == "木光生活"
    text = SHIPPED.read_text(encoding="utf-8")
    uncommented = "\n".join(line.removeprefix("# ") if " = " in line else line for line in text.splitlines())
    named = tomllib.loads(uncommented)
    for key in known_keys():
        section, _, name = key.rpartition(".")
        assert name in (named[section] if section else named), f"{key} is missing from deploy/assistant.toml"


def test_the_shipped_file_shows_the_defaults() -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    shown = tomllib.loads(
        "\n".join(
            line.removeprefix("# ")
            for line in text.splitlines()
            if line.startswith(("# ", "[")) and (" = " in line or line[0] == "[")
        )
    )
    defaults = Settings().model_dump(mode="json")
    paths = {"data_dir", "cache_dir", "adapter", "languages", "key_file"}  # examples, since their default is no value
    for section, values in shown.items():
        for name, value in values.items() if isinstance(values, dict) else [(section, values)]:
            default = defaults[section][name] if isinstance(values, dict) else defaults[name]
            assert name in paths or value == default, f"{section}.{name}"
