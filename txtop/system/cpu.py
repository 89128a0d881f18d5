"""The processor: its name, its features, and how many of its cores this process may use."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from txtop.system import cgroup


def read_cpu_quota(membership: Path = cgroup.MEMBERSHIP, root: Path = cgroup.ROOT) -> float | None:
    """Return the tightest CPU quota of this process's cgroup and those above it, in cores.

    None without one. https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max) and
    https://docs.kernel.org/scheduler/sched-bwc.html (cpu.cfs_quota_us, -1 without a limit).
    """
    quotas = [
        quota
        for group in cgroup.iterate_groups("cpu", membership, root)
        for folder in group.lineage()
        if (quota := _read_quota(folder, group.version)) is not None
    ]
    return min(quotas, default=None)


def _read_quota(folder: Path, version: int) -> float | None:
    try:
        if version == 1:
            quota_us = int((folder / "cpu.cfs_quota_us").read_text())
            period_us = int((folder / "cpu.cfs_period_us").read_text())
        else:
            # "max 100000" without a limit, which is no number.
            quota_us, period_us = map(int, (folder / "cpu.max").read_text().split())
    except (OSError, ValueError):
        return None
    return quota_us / period_us if quota_us > 0 and period_us > 0 else None


def choose_thread_count() -> int:
    """Return the physical cores that this process may use, less one for watching; at least 1."""
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
