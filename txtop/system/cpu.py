"""The processor: its name, its features, and how many of its cores this process may use."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from txtop.system import cgroup
from txtop.system.device_names import parse_cores

CPUINFO = Path("/proc/cpuinfo")
NODES = Path("/sys/devices/system/node")
POWERCAP = Path("/sys/class/powercap")


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


def read_affinity() -> set[int]:
    """Return the numbers of the logical cores that this process may run on."""
    return os.sched_getaffinity(0)


def read_numa_nodes() -> list[frozenset[int]]:
    """Return the cores of each NUMA node that has any, by its number; empty where none is told."""
    paths = sorted(NODES.glob("node[0-9]*"), key=lambda path: int(path.name[4:]))
    nodes = []
    for path in paths:
        with suppress(OSError, ValueError):
            nodes.append(parse_cores((path / "cpulist").read_text()))
    return [node for node in nodes if node]


def count_allowed_cores() -> int:
    """Return the logical cores that this process may use, by its affinity and quota; at least 1.

    Part of a core is none: a thread on it would wait for the others at every step.
    """
    cores = len(read_affinity())
    quota = read_cpu_quota()
    return cores if quota is None else max(1, min(cores, int(quota)))


def choose_thread_count() -> int:
    """Return the physical cores that this process may use, less one for watching; at least 1."""
    import psutil

    allowed = count_allowed_cores()
    return max(1, min(psutil.cpu_count(logical=False) or allowed, allowed) - 1)


def read_cpu_name(cpuinfo: Path = CPUINFO) -> str:
    """Return the processor's name as the kernel spells it, else the architecture's.

    64-bit ARM names no processor but, on some boards, the board (`Model`). The text is foreign and
    of any length: the caller makes it inert and cuts it to what its place holds.
    """
    return _read_first(cpuinfo, ("model name", "Model")) or os.uname().machine


def read_cpu_features(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """Return the instruction set extensions of x86 or ARM by the kernel's names for them."""
    return frozenset(_read_first(cpuinfo, ("flags", "Features")).split())


def _read_first(cpuinfo: Path, keys: tuple[str, ...]) -> str:
    """Return the first value of one of `keys` that is not empty, else an empty string."""
    with suppress(OSError), cpuinfo.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            key, _, value = line.partition(":")
            if key.strip() in keys and value.strip():
                return value.strip()
    return ""
