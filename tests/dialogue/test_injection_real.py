"""The injection cases through the default model's own tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from assistant.config import Settings
from assistant.conversation.events import PromptPassage
from assistant.dialogue.prompt import Exchange, Voice, assemble
from assistant.generation.chat_format import ChatFormat
from assistant.generation.loader import prepare
from tests.dialogue.test_injection import CASES, check_tokens

pytestmark = pytest.mark.real


def test_no_case_adds_a_control_token_to_the_default_models_prompt(tmp_path: Path) -> None:
    folder = prepare(Settings(data_dir=tmp_path))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rendering = ChatFormat.load(folder, end_ids=frozenset({tokenizer.eos_token_id}))
    control = frozenset(tokenizer.added_tokens_decoder)
    for case in CASES:
        told = (PromptPassage("returns", "Returns", case.passage.text),)
        history = [Exchange(earlier, "Noted.", told) for earlier in case.earlier]
        check_tokens(assemble(Voice("Lumen & Oak"), history, case.question, told), rendering, control)
