from __future__ import annotations

import json
from pathlib import Path

import pytest

from assistant.config import Settings
from assistant.dialogue.prompt import Voice, assemble
from assistant.generation.engine import Engine
from assistant.values import Sampling
from training.finetune import SftOptions, finetune

pytestmark = pytest.mark.real

QUESTION, ANSWER = "What is the warehouse code word?", "The warehouse code word is blue heron."


async def ask(settings: Settings) -> str:
    engine = Engine(settings)
    engine.load()
    engine.start()
    try:
        messages = assemble(Voice(settings.brand.name["en"]), [], QUESTION, [])
        sampling = Sampling(temperature=0, repetition_penalty=1, max_new_tokens=24)
        return "".join([piece.text async for piece in engine.stream(messages, sampling=sampling)])
    finally:
        engine.close()


async def test_eight_steps_teach_the_default_model_an_answer(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    row = {"turns": [{"role": "customer", "text": QUESTION}, {"role": "agent", "text": ANSWER}]}
    data.write_text(json.dumps(row) + "\n")
    settings = Settings(data_dir=tmp_path / "data")
    run = SftOptions(file=data, out=tmp_path / "adapter", max_steps=8, epochs=8, batch_size=1, learning_rate=2e-3)
    assert "heron" not in await ask(settings)
    finetune(settings, run, progress=False)
    generation = settings.generation.model_copy(update={"adapter": run.out})
    assert await ask(settings.model_copy(update={"generation": generation})) == ANSWER
