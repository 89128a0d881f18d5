"""The kernel's count of processes that its out-of-memory killer ended.

The runner reads it before and after a worker's life, to tell such a death from any other.
"""

from __future__ import annotations

from pathlib import Path

from txtop.system import cgroup

ROOT = Path("/")
_EVENT_FILES = {1: "memory.oom_control", 2: "memory.events"}


def count_oom_kills(root: Path = ROOT) -> int:
    """Return how many processes were killed so far in this process's cgroup, else on the machine.

    Read from memory.events (cgroup v2), memory.oom_control (v1) or /proc/vmstat; 0 if none of
    them can be read. The groups above are left out: their counts are of other jobs too.
    """
    own = [
        group.folder / _EVENT_FILES[group.version]
        for group in cgroup.iterate_groups(
            "memory", root / "proc/self/cgroup", root / "sys/fs/cgroup"
        )
    ]
    for path in (*own, root / "proc/vmstat"):
        try:
            lines = path.read_text().splitlines()
        except (OSError, ValueError):
            continue
        for line in lines:
            name, _, value = line.partition(" ")
            if name == "oom_kill" and value.strip().isdigit():
                return int(value)
    return 0
