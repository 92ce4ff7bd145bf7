"""Room for sockets: the soft limit of open files, which most systems set to 1,024, up to what the process may have."""

from __future__ import annotations

import resource

import structlog

log = structlog.get_logger()

WANTED = 65_536


def raise_descriptor_limit(wanted: int = WANTED) -> int:
    """Raise the soft limit of open files to ``wanted`` or the hard limit; gives the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    aim = wanted if hard == unlimited else min(wanted, hard)
    if soft == unlimited or soft >= aim:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (aim, hard))
    except (OSError, ValueError) as error:  # a container may forbid it: fewer sockets are no reason not to serve
        log.warning("descriptor_limit_kept", limit=soft, wanted=aim, error=type(error).__name__)
        return soft
    return aim
