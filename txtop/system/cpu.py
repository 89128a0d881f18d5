"""The processor: its name, its cores, and how many this process may use."""

from __future__ import annotations

import os
from pathlib import Path

import psutil


def read_cpu_quota() -> float | None:
    """The CPU quota of this process's cgroup (v2), in cores."""
    try:
        own = Path("/proc/self/cgroup").read_text().strip().rpartition("::")[2]
        for group in (own, "/"):
            file = Path("/sys/fs/cgroup") / group.lstrip("/") / "cpu.max"
            if file.is_file():
                quota, period = file.read_text().split()
                return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    return None


def choose_thread_count() -> int:
    """All physical cores that this process may use, less one for watching; at least one."""
    usable = len(os.sched_getaffinity(0))
    cores = min(psutil.cpu_count(logical=False) or usable, usable)
    quota = read_cpu_quota()
    if quota is not None:
        cores = min(cores, int(quota))
    return max(1, cores - 1)


def read_cpu_name() -> str:
    """The processor as the kernel names it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model"):
                return value.strip()
    except OSError:
        pass
    return os.uname().machine
