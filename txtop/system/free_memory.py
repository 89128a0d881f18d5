"""The memory that a new process can have on this machine now."""

from __future__ import annotations

import psutil

from txtop.system import cgroup

# For what others take before a process ends: a share of what is available, and a fixed part.
_SHARE = 0.97
_RESERVE_BYTES = 128 << 20


def read_free_bytes() -> int:
    """Return the bytes that are free now, by the machine and by the limit of the cgroup."""
    free = int(psutil.virtual_memory().available)
    limit = cgroup.read_memory_limit()
    used = limit.used_bytes() if limit is not None else None
    if limit is not None and used is not None:
        free = min(free, limit.limit_bytes - used)
    return deduct_reserve(free)


def deduct_reserve(available_bytes: float) -> int:
    """Return what is free for a new process where that much RAM is available."""
    return max(1, round(_SHARE * available_bytes) - _RESERVE_BYTES)
