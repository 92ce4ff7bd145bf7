"""What aiohttp says of broken requests, without the bytes it quotes: they may hold a token or a customer's words."""

from __future__ import annotations

import logging

import structlog
from aiohttp.http_exceptions import HttpProcessingError

from assistant.faults import report

log = structlog.get_logger()


def server_log() -> logging.Logger:
    """The logger to give `aiohttp.web.AppRunner`; it is in no tree, so nothing passes the records on."""
    logger = logging.Logger("assistant.http", logging.INFO)
    logger.addHandler(_Shortener())
    return logger


class _Shortener(logging.Handler):
    """Tells the kind of error and where it came from."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            log.info("http_malformed", error=type(error).__name__)
        elif error is not None:
            report("http_broken", error)
        else:
            log.warning("http_server", level=record.levelname.lower(), where=f"{record.filename}:{record.lineno}")
