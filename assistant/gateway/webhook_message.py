"""What a webhook says and how it is signed, as https://www.standardwebhooks.com/ specifies. No I/O.

An endpoint is told what customers themselves may see, and their ratings: private events and fields stay here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from assistant.config import WebhookSettings
from assistant.conversation.events import Event, Feedback, Message, State, new_id, now, public_record
from assistant.conversation.log import Head
from assistant.errors import ConfigError

PREFIX = "whsec_"
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64
MAX_SECRETS = 2  # the new one and the old, while a receiver changes over
MAX_SECRET_FILE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Webhook:
    """One message to an endpoint. The same event always gives the same ``webhook_id``."""

    webhook_id: str
    type: str
    body: bytes


def webhooks_of(event: Event, head: Head, *, was_waiting: bool) -> list[Webhook]:
    """What an event is told as, in order. ``was_waiting``: the customer waited for a person before it already."""
    return [_webhook(event, head, kind) for kind in types_of(event, was_waiting=was_waiting)]


def types_of(event: Event, *, was_waiting: bool) -> list[str]:
    """The types of webhooks that an event gives."""
    match event.payload:
        case Message():
            return ["message.created"]
        case State(mode="waiting") if not was_waiting:
            return ["conversation.state_changed", "handoff.requested"]
        case State():
            return ["conversation.state_changed"]
        case Feedback():
            return ["feedback.created"]
    return []


def trial_webhook() -> Webhook:
    """A message that only says that it arrived."""
    body = {"type": "webhook.test", "timestamp": now(), "data": {}}
    return Webhook(new_id("evt"), "webhook.test", _to_json(body))


def headers(webhook: Webhook, keys: list[bytes], *, timestamp_s: int) -> dict[str, str]:
    """The headers that let the receiver check who sent it and when: a signature by each key."""
    signed = f"{webhook.webhook_id}.{timestamp_s}.".encode() + webhook.body
    digests = (base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys)
    return {
        "Content-Type": "application/json",
        "webhook-id": webhook.webhook_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(f"v1,{digest}" for digest in digests),
    }


def new_secret() -> str:
    """A fresh secret, as the specification writes it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signing_keys(settings: WebhookSettings) -> list[bytes]:
    """The endpoint's keys, the newest first. Raises `ConfigError`, which never has the secret in it."""
    given = _read_secret(settings).split()
    if not 1 <= len(given) <= MAX_SECRETS:
        raise ConfigError(
            f"{_where(settings)} holds {len(given)} secrets; it must be 1, or {MAX_SECRETS} while changing over.",
            fix="Make one: assistant webhooks secret.",
        )
    return [_key(secret, settings) for secret in given]


def _webhook(event: Event, head: Head, kind: str) -> Webhook:
    place = {
        "conversation_id": event.conversation_id,
        "position": event.position,
        "seq": event.seq,
        "tenant": head.tenant,
        "visitor_id": head.visitor_id,
        "author": event.author,
    }
    body = {"type": kind, "timestamp": event.ts, "data": place | public_record(event.payload)}
    # The time tells a position apart from the same one in a log that was restored to an earlier day.
    name = "\n".join((event.conversation_id, str(event.position), event.ts, kind))
    return Webhook(f"evt_{hashlib.sha256(name.encode()).hexdigest()[:32]}", kind, _to_json(body))


def _to_json(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _read_secret(settings: WebhookSettings) -> str:
    if settings.secret_file is None:
        return os.environ.get(settings.secret_env, "")
    try:
        with Path(settings.secret_file).open(encoding="ascii") as file:
            return file.read(MAX_SECRET_FILE_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{_where(settings)} cannot be read: {type(error).__name__}.", fix="Let the server's user read it."
        ) from error


def _key(secret: str, settings: WebhookSettings) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(PREFIX) or not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise ConfigError(
            f"{_where(settings)} is not {PREFIX} and {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes in base64.",
            fix="Make one: assistant webhooks secret.",
        )
    return key


def _where(settings: WebhookSettings) -> str:
    place = f"file {settings.secret_file}" if settings.secret_file else f"environment variable {settings.secret_env}"
    return f"The secret of the webhook {settings.name!r} in the {place}"
