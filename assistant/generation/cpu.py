"""How many processor cores this process may really use."""

from __future__ import annotations

import os
from pathlib import Path

CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def available_cores(limit_file: Path = CGROUP_LIMIT) -> int:
    """Cores by affinity and by the container's quota: torch counts the whole machine's and then thrashes."""
    try:
        by_affinity = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        by_affinity = os.cpu_count() or 1
    return max(1, min(by_affinity, _quota(limit_file) or by_affinity))


def _quota(limit_file: Path) -> int | None:
    try:
        quota, period = limit_file.read_text(encoding="ascii").split()
        return round(int(quota) / int(period))
    except (OSError, ValueError):  # no control group, or "max"
        return None
