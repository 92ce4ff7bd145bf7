"""Messages to token ids and loss mask: the only place that renders a chat template.

The template is rendered with a sentinel for each message's content, then split there. What the template
wrote is tokenized with its control tokens; contents are tokenized apart by a second tokenizer that knows no
control tokens, so that a customer who types ``<|im_start|>`` sends text.

For contents without white space at their ends the ids are those of ``tokenizer.apply_chat_template``. At a
joint with white space (a content that starts with a newline) they may differ, while the text is the same.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from assistant.errors import ModelError
from assistant.values import ChatMessage, Role

# Private-use characters: no template writes them, and contents are not in the text that is split.
SENTINEL = "\uf8f0{}\uf8f1"
SENTINEL_PATTERN = re.compile("\uf8f0(\\d+)\uf8f1")
PADDED_PROBE = " \uf8f2 "


@dataclass(frozen=True, slots=True)
class Span:
    """A run of token ids: a message's content, or (``role`` None) what the template wrote around it."""

    ids: tuple[int, ...]
    role: Role | None


class ChatFormat:
    """Renders conversations for one model, and turns generated ids back into text.

    ``control`` parses control tokens, ``plain`` must be another instance, which is changed to parse none;
    ``end_ids`` are the tokens that end a turn. Safe to use from several threads: one lock guards both.
    """

    def __init__(
        self, control: PreTrainedTokenizerBase, plain: PreTrainedTokenizerBase, *, end_ids: frozenset[int]
    ) -> None:
        assert control is not plain, "the flag split_special_tokens changes the tokenizer's state"
        self._control, self._plain = control, plain
        self._plain.split_special_tokens = True
        self._lock = threading.Lock()
        self._template = _template_of(control)
        self._markup = _markup_of(control)
        self.end_ids = end_ids
        self.template_sha256 = hashlib.sha256(self._template.encode()).hexdigest()
        self._trims = PADDED_PROBE not in self._render_text(
            [ChatMessage(role="user", content=PADDED_PROBE)], prompt=False
        )

    @classmethod
    def load(cls, folder: Path | str, *, end_ids: frozenset[int]) -> ChatFormat:
        """Build it from a model's folder or Hugging Face name.

        Raises `ModelError` when there is no tokenizer or it has no chat template.
        """
        try:
            control, plain = AutoTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        except (OSError, ValueError) as error:
            raise ModelError(f"{folder} has no usable tokenizer: {error}.", fix="Name an instruct model.") from error
        return cls(control, plain, end_ids=end_ids)

    def render(self, messages: Sequence[ChatMessage], *, add_generation_prompt: bool = True) -> list[int]:
        """The prompt's token ids.

        Raises `ModelError` when the model's template refuses these roles or leaves a content out.
        """
        return [id_ for span in self._spans(messages, prompt=add_generation_prompt) for id_ in span.ids]

    def render_with_mask(self, messages: Sequence[ChatMessage]) -> tuple[list[int], list[bool]]:
        """Token ids of a whole conversation and, as long, where an assistant writes: its text and its end of turn."""
        ids: list[int] = []
        mask: list[bool] = []
        previous: Role | None = None
        for span in self._spans(messages, prompt=False):
            is_assistant = span.role == "assistant"
            num_trained = self._end_of_turn(span) if previous == "assistant" else len(span.ids) * is_assistant
            ids += span.ids
            mask += [True] * num_trained + [False] * (len(span.ids) - num_trained)
            previous = span.role
        return ids, mask

    def count(self, messages: Sequence[ChatMessage]) -> int:
        """How many tokens the prompt of these messages has."""
        return len(self.render(messages))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of generated ids, control tokens left out."""
        with self._lock:
            return str(self._control.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _spans(self, messages: Sequence[ChatMessage], *, prompt: bool) -> Iterator[Span]:
        marked = [ChatMessage(role=m["role"], content=SENTINEL.format(n)) for n, m in enumerate(messages)]
        text = self._render_text(marked, prompt=prompt)
        parts = SENTINEL_PATTERN.split(text)
        if [int(number) for number in parts[1::2]] != list(range(len(messages))):
            roles = ", ".join(message["role"] for message in messages)
            raise ModelError(
                f"The model's chat template drops or moves a message of the sequence {roles}.",
                fix="Choose a model whose template renders system, user and assistant messages in order.",
            )
        for place, part in enumerate(parts):
            if place % 2:
                message = messages[int(part)]
                yield Span(self._encode_content(message["content"]), message["role"])
            else:
                yield Span(self._encode_control(part), None)

    def _render_text(self, messages: Sequence[ChatMessage], *, prompt: bool) -> str:
        conversation = [{"role": str(message["role"]), "content": message["content"]} for message in messages]
        try:
            with self._lock:
                # enable_thinking: templates of reasoning models know it, others ignore it.
                rendered = self._control.apply_chat_template(
                    conversation, tokenize=False, add_generation_prompt=prompt, enable_thinking=False
                )
        except jinja2.TemplateError as error:
            roles = ", ".join(message["role"] for message in messages)
            raise ModelError(
                f"The model's chat template refuses the roles {roles}: {error}.",
                fix="Choose a model whose template takes system, user and assistant messages.",
            ) from error
        return str(rendered)

    def _encode_control(self, text: str) -> tuple[int, ...]:
        with self._lock:
            return tuple(self._control.encode(text, add_special_tokens=False))

    def _encode_content(self, text: str) -> tuple[int, ...]:
        pieces = _cut(self._markup, text.strip() if self._trims else text)
        with self._lock:
            return tuple(id_ for piece in pieces for id_ in self._plain.encode(piece, add_special_tokens=False))

    def _end_of_turn(self, span: Span) -> int:
        """How many ids at the start of the part after an assistant's content belong to the end of its turn."""
        for place, id_ in enumerate(span.ids):
            if id_ in self.end_ids:
                return place + 1
        raise ModelError(
            "The model's chat template ends an assistant's turn without an end token.",
            fix="Choose an instruct model whose generation_config.json names the end token of its template.",
        )


def _template_of(tokenizer: PreTrainedTokenizerBase) -> str:
    try:
        return str(tokenizer.get_chat_template())
    except ValueError as error:
        raise ModelError(
            f"The model {tokenizer.name_or_path} has no chat template.",
            fix="Choose an instruct or chat model, or put a chat_template.jinja into its folder.",
        ) from error


def _markup_of(tokenizer: PreTrainedTokenizerBase) -> re.Pattern[str]:
    """Markup of a template that is not marked special (``<tool_call>``), so that no flag disarms it."""
    added = (token for token in tokenizer.added_tokens_decoder.values() if not token.special)
    markup = sorted((token.content for token in added if token.content.strip()), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, markup)) or "(?!)")


def _cut(markup: re.Pattern[str], text: str) -> Iterator[str]:
    """The text in pieces that end after each markup's first character: none holds a whole one."""
    start = 0
    for match in markup.finditer(text):
        yield text[start : match.start() + 1]
        start = match.start() + 1
    yield text[start:]
