"""What broke, for the log: the kind of error and the lines of code, never values, which may be a customer's words."""

from __future__ import annotations

import traceback

import structlog

log = structlog.get_logger()
MAX_LINES = 6


def report(event: str, error: BaseException, **ids: str | int) -> None:
    """Log an error that nobody expected."""
    lines = [f"{line.filename}:{line.lineno} {line.name}" for line in traceback.extract_tb(error.__traceback__)]
    log.error(event, error=type(error).__name__, where=lines[-MAX_LINES:], **ids)
