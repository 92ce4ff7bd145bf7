"""Every error the assistant raises on purpose, as one tree.

    AssistantError
    ├── ConfigError              a setting or environment variable is wrong
    ├── KnowledgeError           a knowledge base file cannot be read as entries
    │   └── UnknownEntry         there is no entry of this id
    ├── IndexArtifactError       the saved index is missing, damaged or made by other models
    ├── ModelError               a model cannot be used
    │   ├── ModelMissing         it is not on this machine
    │   ├── ModelTampered        its bytes are not the pinned ones
    │   └── AdapterError         a LoRA adapter does not fit the base model
    ├── GenerationError          the model failed while it wrote
    │   ├── QueueFull            too many conversations wait for the model already
    │   ├── ModelLate            the model did not write within its time
    │   ├── ModelUnavailable     the model failed again and again and is left alone for a while
    │   ├── Busy                 the assistant takes no more messages just now
    │   └── PromptTooLong        the prompt leaves no room for an answer
    ├── ConversationError        the conversation log refuses
    │   ├── UnknownConversation  no such conversation (or not this visitor's)
    │   ├── UnknownMessage       no such message in this conversation
    │   ├── UnknownVisitor       no such visitor
    │   ├── IdempotencyConflict  one client_msg_id, two different texts
    │   ├── TakenByAnother       a person writes there already
    │   ├── NotTaken             only the person who has it may do this
    │   └── ConversationClosed   it is over until the customer writes again
    ├── AccountError             a person's account cannot be made or changed so
    ├── ProofUsed                a proof of identity came a second time
    ├── ProtocolError            a client's frame or request breaks the protocol
    ├── DatasetError             a training file has a row that cannot be used
    └── StorageError             the disk refused (full, read-only, no permission)

Each carries what happened in its message and what to do in ``fix``.
"""

from __future__ import annotations


class AssistantError(Exception):
    """Base of the tree. ``str()`` gives the cause and, where there is one, the fix."""

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}" if self.fix else self.message


class ConfigError(AssistantError):
    """A setting or environment variable is unknown or has a value out of its limits."""


class KnowledgeError(AssistantError):
    """A knowledge base file cannot be read as entries; the message has file and line."""


class UnknownEntry(KnowledgeError):
    """There is no entry of this id in this language and tenant."""


class IndexArtifactError(AssistantError):
    """The saved index is missing, damaged, or was made with other models or contents."""


class ModelError(AssistantError):
    """A model cannot be used."""


class ModelMissing(ModelError):
    """The model's files are not on this machine."""


class ModelTampered(ModelError):
    """The model's bytes differ from the pinned sha256."""


class AdapterError(ModelError):
    """A LoRA adapter is missing, damaged, or was trained on another base model."""


class GenerationError(AssistantError):
    """The model failed while it wrote an answer."""


class QueueFull(GenerationError):
    """Too many conversations wait for the model already; try again later."""


class ModelLate(GenerationError):
    """No place beside the model, no first word, or no further one within its time."""


class ModelUnavailable(GenerationError):
    """The model failed again and again and is left alone for a while."""


class Busy(GenerationError):
    """The assistant takes no more messages just now; nothing was stored, send it again later."""

    def __init__(self, *, retry_after_ms: int, queue_position: int) -> None:
        super().__init__(
            f"{queue_position - 1} conversations wait already.", fix=f"Send it again in {retry_after_ms / 1000:.0f} s."
        )
        self.retry_after_ms = retry_after_ms
        self.queue_position = queue_position


class PromptTooLong(GenerationError):
    """The prompt leaves no room for an answer in the model's context."""


class ConversationError(AssistantError):
    """The conversation log refuses."""


class UnknownConversation(ConversationError):
    """There is no such conversation, or it belongs to another visitor."""


class UnknownMessage(ConversationError):
    """There is no such message in this conversation."""


class UnknownVisitor(ConversationError):
    """There is no visitor of this id."""


class IdempotencyConflict(ConversationError):
    """The same ``client_msg_id`` came again with another text."""


class TakenByAnother(ConversationError):
    """A person has the conversation already; ``holder`` is their id."""

    def __init__(self, message: str, *, holder: str, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.holder = holder


class NotTaken(ConversationError):
    """Only the person who has the conversation may do this, and this one has it not."""


class ConversationClosed(ConversationError):
    """The conversation is closed until the customer writes again."""


class AccountError(AssistantError):
    """A person's account cannot be made or changed like this."""


class ProofUsed(AssistantError):
    """A proof of identity came a second time; the site signs a new one for every sign-in."""


class ProtocolError(AssistantError):
    """A client's frame or request breaks the protocol; ``code`` is the wire's error code."""

    def __init__(self, code: str, message: str, *, fix: str = "", close_code: int | None = None) -> None:
        super().__init__(message, fix=fix)
        self.code = code
        self.close_code = close_code


class DatasetError(AssistantError):
    """A training file has a row that cannot be used; the message has file and line."""


class StorageError(AssistantError):
    """The disk refused to keep something (full, read-only, no permission)."""
