"""A chat model of random weights and a tokenizer of bytes, small enough to build in a test."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from assistant.config import Settings
from assistant.generation.chat_format import ChatFormat
from assistant.generation.loader import ChatModel

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def byte_tokenizer(template: str | None = CHATML) -> PreTrainedTokenizerFast:
    """One token per byte, the two ChatML tokens, and ``<tool_call>``, which is added but not special."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: number for number, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens([AddedToken("<tool_call>", special=False)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
    fast.chat_template = template
    return fast


def save_tiny_model(folder: Path, *, template: str | None = CHATML) -> Path:
    """Write a Llama of about 100 000 random weights with its tokenizer, as `from_pretrained` reads it."""
    tokenizer = byte_tokenizer(template)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        bos_token_id=tokenizer.convert_tokens_to_ids("<|im_start|>"),
        eos_token_id=end,
        pad_token_id=end,
        initializer_range=0.1,
    )
    torch.manual_seed(7)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_settings(folder: Path, model: Path, **generation: object) -> Settings:
    """Settings that name the tiny model, unquantized unless ``generation`` says otherwise."""
    values = {"model": str(model), "quantize": "none", "device": "cpu", **generation}
    return Settings(data_dir=folder / "data", cache_dir=folder / "cache", generation=values)


def tiny_chat_model(folder: Path, *, context_tokens: int = 2048) -> ChatModel:
    """The tiny model in float32. It never ends a turn by itself, so that lengths are known."""
    chat_format = ChatFormat(byte_tokenizer(), byte_tokenizer(), end_ids=frozenset())
    return ChatModel(
        model=LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval(),
        chat_format=chat_format,
        name="tiny",
        languages=None,
        context_tokens=context_tokens,
        device=torch.device("cpu"),
        dtype=torch.float32,
        quantization="none",
        fingerprint="0" * 64,
    )
