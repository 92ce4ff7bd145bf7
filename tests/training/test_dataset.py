from __future__ import annotations

import pytest
import torch

from assistant.errors import DatasetError
from assistant.generation.chat_format import ChatFormat
from assistant.values import ChatMessage
from tests.generation.tiny import byte_tokenizer
from training.dataset import IGNORED, Example, build_dataset, collate
from training.transcripts import Conversation

pytestmark = pytest.mark.unit

SYSTEM: ChatMessage = {"role": "system", "content": "Help."}
CONVERSATION = Conversation(
    tuple(
        ChatMessage(role=role, content=content)
        for role, content in [
            ("user", "first question"),
            ("assistant", "first answer"),
            ("user", "second question"),
            ("assistant", "second answer"),
        ]
    )
)


@pytest.fixture(scope="module")
def chat_format() -> ChatFormat:
    tokenizer = byte_tokenizer()
    return ChatFormat(tokenizer, byte_tokenizer(), end_ids=frozenset({tokenizer.eos_token_id}))


def text_of(ids: tuple[int, ...]) -> str:
    return byte_tokenizer().decode([id_ for id_ in ids if id_ != IGNORED])


def test_every_agent_turn_is_supervised_and_nothing_else(chat_format: ChatFormat) -> None:
    (example,) = build_dataset([CONVERSATION], chat_format, SYSTEM, max_length=1000).examples
    assert text_of(example.labels) == "first answer<|im_end|>second answer<|im_end|>"
    assert text_of(example.input_ids).startswith("<|im_start|>system\nHelp.<|im_end|>\n<|im_start|>user\nfirst")
    assert len(example.labels) == len(example.input_ids)


def test_a_long_conversation_loses_its_oldest_exchange(chat_format: ChatFormat) -> None:
    full = len(build_dataset([CONVERSATION], chat_format, SYSTEM, max_length=1000).examples[0].input_ids)
    dataset = build_dataset([CONVERSATION], chat_format, SYSTEM, max_length=full - 1)
    text = text_of(dataset.examples[0].input_ids)
    assert "first" not in text
    assert "Help." in text
    assert "second answer" in text
    assert (dataset.num_shortened, dataset.num_too_long) == (1, 0)


def test_what_cannot_fit_is_counted(chat_format: ChatFormat) -> None:
    huge = Conversation(({"role": "user", "content": "x" * 300}, {"role": "assistant", "content": "y"}))
    dataset = build_dataset([CONVERSATION, huge], chat_format, SYSTEM, max_length=200)
    assert (len(dataset.examples), dataset.num_too_long) == (1, 1)
    with pytest.raises(DatasetError, match="longer than max_length = 200"):
        build_dataset([huge], chat_format, SYSTEM, max_length=200)


def test_a_conversations_own_system_text_wins(chat_format: ChatFormat) -> None:
    own = Conversation(CONVERSATION.messages, system="Own.")
    (example,) = build_dataset([own], chat_format, SYSTEM, max_length=1000).examples
    assert "Own." in text_of(example.input_ids)
    assert "Help." not in text_of(example.input_ids)


def test_padding_is_masked_and_unsupervised() -> None:
    batch = collate([Example((5, 6, 7), (IGNORED, 6, 7)), Example((8,), (8,))], torch.device("cpu"))
    assert batch.attention_mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch.labels.tolist() == [[IGNORED, 6, 7], [8, IGNORED, IGNORED]]
    assert batch.input_ids[0].tolist() == [5, 6, 7]
