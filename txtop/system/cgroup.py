"""The memory limit that the kernel enforces on this process, which in a container is not the RAM.

Layouts: https://docs.kernel.org/admin-guide/cgroup-v2.html (memory.max, memory.current) and
https://docs.kernel.org/admin-guide/cgroup-v1/memory.html (memory.limit_in_bytes).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MEMBERSHIP = Path("/proc/self/cgroup")
ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class _Layout:
    limit: str
    usage: str
    reclaimable: str


_V1 = _Layout("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_V2 = _Layout("memory.max", "memory.current", "inactive_file")


@dataclass(frozen=True)
class MemoryLimit:
    """The tightest limit above this process: its bytes, and where its use can be read."""

    limit_bytes: int
    version: int
    folder: Path

    def used_bytes(self) -> int | None:
        """What counts against the limit, without the page cache that can be dropped; else null."""
        layout = _V1 if self.version == 1 else _V2
        usage = _read_number(self.folder / layout.usage)
        if usage is None:
            return None
        return max(0, usage - _read_statistic(self.folder / "memory.stat", layout.reclaimable))


def read_memory_limit(membership: Path = MEMBERSHIP, root: Path = ROOT) -> MemoryLimit | None:
    """The lowest limit among the process's cgroup and those above it; null where there is none.

    The caller compares it with the machine's RAM: "unlimited" in v1 is a number near 2**63.
    """
    found = [
        MemoryLimit(limit, version, folder)
        for version, layout, folder in _iterate_folders(membership, root)
        if (limit := _read_number(folder / layout.limit)) is not None
    ]
    return min(found, key=lambda each: each.limit_bytes, default=None)


def choose_effective_limit(limit: MemoryLimit | None, total_bytes: int) -> MemoryLimit | None:
    """The limit where it is tighter than the machine's RAM, else null."""
    return limit if limit is not None and limit.limit_bytes < total_bytes else None


def _iterate_folders(membership: Path, root: Path) -> Iterator[tuple[int, _Layout, Path]]:
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            version, layout, mount = 2, _V2, root
        elif "memory" in controllers.split(","):
            version, layout, mount = 1, _V1, root / "memory"
        else:
            continue
        # A container without a cgroup namespace sees the host's path and its own limit at the top.
        folder = mount / path.strip("/")
        while folder != mount:
            yield version, layout, folder
            folder = folder.parent
        yield version, layout, mount


def _read_number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _read_statistic(path: Path, name: str) -> int:
    try:
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    except (OSError, ValueError):
        pass
    return 0
