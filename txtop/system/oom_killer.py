"""Whether the kernel's memory killer was at work: its counters before and after a worker's life."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/")


def count_oom_kills(root: Path = ROOT) -> int:
    """Processes that it has killed so far: in this process's cgroup, else on this machine.

    memory.events (cgroup v2), memory.oom_control (v1), `oom_kill` of /proc/vmstat; 0 where none
    can be read.
    """
    for path in (*_of_the_cgroup(root), root / "proc/vmstat"):
        try:
            lines = path.read_text().splitlines()
        except (OSError, ValueError):
            continue
        for line in lines:
            name, _, value = line.partition(" ")
            if name == "oom_kill" and value.strip().isdigit():
                return int(value)
    return 0


def _of_the_cgroup(root: Path) -> list[Path]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, ValueError):
        return []
    found = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        own = group.lstrip("/")
        if not controllers:
            found.append(root / "sys/fs/cgroup" / own / "memory.events")
        elif "memory" in controllers.split(","):
            found.append(root / "sys/fs/cgroup/memory" / own / "memory.oom_control")
    return found
