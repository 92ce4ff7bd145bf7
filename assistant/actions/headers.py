"""The headers of a call to a business system. Secrets stand in the environment; settings and log hold their names."""

from __future__ import annotations

import os
import re

from assistant.config import CallSettings
from assistant.errors import ConfigError

NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
# What the request itself decides, and what no setting may fake.
OWN = {"host", "content-length", "content-type", "transfer-encoding", "connection", "idempotency-key", "cookie"}


def resolve_headers(settings: CallSettings) -> dict[str, str]:
    """The headers with their environment variables filled in.

    Raises `ConfigError` for a name or value that no header can have, and for a variable that is not set.
    """
    for name, value in settings.headers.items():
        if not NAME.fullmatch(name) or name.lower() in OWN or not value.isprintable():
            raise ConfigError(
                f"The header {name!r} of an action cannot be set.",
                fix="Use a plain name and one line; the assistant sets Content-Type, Idempotency-Key and the like.",
            )
    return {name: _filled(name, value) for name, value in settings.headers.items()}


def _filled(header: str, value: str) -> str:
    return VARIABLE.sub(lambda match: _variable(match[1], header), value)


def _variable(variable: str, header: str) -> str:
    value = os.environ.get(variable)
    if value is None:
        raise ConfigError(
            f"The header {header} of an action names the environment variable {variable}, which is not set.",
            fix=f"Set {variable}, or take it out of the action's headers.",
        )
    if not value.isprintable():
        raise ConfigError(
            f"The environment variable {variable} has characters that no header may have, such as a line break.",
            fix=f"Set {variable} without them.",
        )
    return value
