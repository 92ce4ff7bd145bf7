"""Fine-tuning as a company does it: its FAQ becomes conversations, they become an adapter, customers talk to it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import aiohttp
import pytest

from tests.end_to_end.conftest import run, start
from tests.end_to_end.visitor import Visitor

pytestmark = pytest.mark.real

# In no wording of the FAQ; the base model, asked the same, composes hardly any (tests/benchmarks/README.md).
QUESTIONS = {
    "how much is the shipping fee for a small parcel": "4.90",
    "my lamp broke after two years, do I get a new one": "3-year",
    "what happens if two codes are used at once": "one voucher",
    "can the bulb be swapped": "bulb",
    "stop sending me these mails": "Unsubscribe",
    "how many weeks can I keep stuff before giving it back": "days",
}


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    data = folder / "faq.jsonl"
    assert run(folder, "train", "faq-data", str(data)).returncode == 0
    rate = ("--learning-rate", "0.0005", "--max-steps", "16", "--batch-size", "2", "--lora-rank", "8")
    trained = run(folder, "train", "sft", str(data), "--out", str(folder / "adapter"), *rate)
    assert trained.returncode == 0, trained.stderr
    start_loss, end_loss = map(float, re.findall(r"Loss (\d+\.\d+) -> (\d+\.\d+)", trained.stdout)[0])
    assert end_loss < start_loss
    return folder / "adapter"


@pytest.mark.timeout(600)
async def test_a_trained_adapter_answers_over_the_socket_from_the_passages(
    adapter: Path, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    server = start(tmp_path, "--adapter", str(adapter), ASSISTANT_DIALOGUE__VERBATIM="1.0")
    right = []
    for question, fact in QUESTIONS.items():
        async with Visitor(server.url, session) as anna:
            answer = await anna.ask(question)
            shown = "".join(f["data"]["text"] for f in anna.frames if _is_delta_of(f, answer["message_id"]))
            if answer["decision"] == "composed":
                assert answer["citations"], "what is composed is cited"
                assert shown.strip() == answer["text"], "what was streamed is what was said"
            right.append(answer["decision"] == "composed" and fact in answer["text"])
    assert server.stop() == 0
    assert sum(right) >= 3, dict(zip(QUESTIONS, right, strict=True))


def test_an_adapter_of_another_prompt_or_base_is_refused(adapter: Path, tmp_path: Path) -> None:
    card = adapter / "assistant_adapter.json"
    original = card.read_text(encoding="utf-8")
    try:
        for change, says in (({"prompt_version": "0"}, "prompt version"), ({"base_fingerprint": "x"}, "base")):
            card.write_text(json.dumps(json.loads(original) | change), encoding="utf-8")
            refused = run(tmp_path, "ask", "hi", "--adapter", str(adapter))
            assert refused.returncode == 1
            assert says in refused.stderr
    finally:
        card.write_text(original, encoding="utf-8")


def _is_delta_of(frame: dict, message_id: str) -> bool:  # type: ignore[type-arg]
    return frame["type"] == "delta" and frame["data"]["message_id"] == message_id
