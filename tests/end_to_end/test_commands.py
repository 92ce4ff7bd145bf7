"""The command line as a new user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.end_to_end.conftest import run

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.mark.parametrize(
    ("question", "language", "entry"),
    [("How do I return an item?", "en", "return-item"), ("如何退货？", "zh", "return-item")],
)
def test_ask_prints_one_object(data: Path, question: str, language: str, entry: str) -> None:
    done = run(data, "ask", "--json", question)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert {"text", "language", "decision", "citations", "turn_id", "timings_ms"} <= answer.keys()
    assert (answer["language"], answer["citations"][0]["entry_id"]) == (language, entry)
    assert {"search", "first_token", "total"} <= answer["timings_ms"].keys()


def test_the_second_index_repeats_no_work(data: Path) -> None:
    assert run(data, "index").returncode == 0
    manifest = data / "index" / "manifest.json"
    made = manifest.stat().st_mtime_ns
    again = run(data, "index")
    assert again.returncode == 0
    assert "entries" in again.stdout
    assert manifest.stat().st_mtime_ns == made


def test_search_shows_confidences(data: Path) -> None:
    done = run(data, "search", "--json", "send a lamp back")
    hits = json.loads(done.stdout)["hits"]
    assert hits
    assert [h["confidence"] for h in hits] == sorted((h["confidence"] for h in hits), reverse=True)
    assert "Nothing above the floor" in run(data, "search", "quantum chromodynamics lattice").stdout


def test_chat_keeps_the_conversation(data: Path) -> None:
    import subprocess

    from tests.end_to_end.conftest import ASSISTANT, START_S, environment

    typed = "how long do i have to return things\nand for shoes?\n\n"
    done = subprocess.run(
        [str(ASSISTANT), "chat"], input=typed, env=environment(data), capture_output=True, text=True, timeout=START_S
    )
    assert done.returncode == 0, done.stderr
    assert "60 days" in done.stdout


def test_doctor_finds_a_healthy_machine(data: Path) -> None:
    done = run(data, "doctor")
    assert done.returncode == 0, done.stdout
    assert "smollm2-135m-instruct" in done.stdout


def test_models_are_listed(data: Path) -> None:
    done = run(data, "models", "list")
    assert "all-minilm-l6-v2" in done.stdout
    assert "ready" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "more", "says"),
    [
        (["ask", "hi"], {"ASSISTANT_GENERATION__QUANTISE": "nf4"}, "ASSISTANT_GENERATION__QUANTIZE"),
        (["ask", "hi"], {"ASSISTANT_GENERATION__QUANTIZE": "nf5"}, "nf5"),
        (["ask", "hi"], {"ASSISTANT_KNOWLEDGE__ROOT": "/nowhere"}, "/nowhere"),
        (["ask", "hi", "--adapter", "/nowhere"], {}, "/nowhere"),
        (["--config", "/nowhere.toml", "ask", "hi"], {}, "/nowhere.toml does not exist"),
        (["models", "pull", "gpt-17"], {}, "gpt-17"),
        (["train", "sft", "/nowhere.jsonl", "--out", "/tmp/x"], {}, "/nowhere.jsonl"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(data: Path, arguments: list[str], more: dict[str, str], says: str) -> None:
    done = run(data, *arguments, **more)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
