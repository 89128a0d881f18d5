"""The control groups above this process, and the memory limit that they enforce.

In a container that limit, and not the machine's RAM, is what may be used. `cpu` and `oom_killer`
walk the same tree for the CPU quota and for the count of killed processes.

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
class ControlGroup:
    """The control group of this process in one hierarchy.

    `version` is 1 or 2; `mount` is the hierarchy's top, `folder` lies in it.
    """

    version: int
    mount: Path
    folder: Path

    def lineage(self) -> Iterator[Path]:
        """Yield the group's folder and those of the groups above it, the hierarchy's top last."""
        folder = self.folder
        while folder != self.mount:
            yield folder
            folder = folder.parent
        yield self.mount


@dataclass(frozen=True)
class _MemoryFiles:
    limit: str
    usage: str
    reclaimable: str


_MEMORY_FILES = {
    1: _MemoryFiles("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: _MemoryFiles("memory.max", "memory.current", "inactive_file"),
}


@dataclass(frozen=True)
class MemoryLimit:
    """The tightest limit above this process: its bytes, and where its use can be read."""

    limit_bytes: int
    version: int
    folder: Path

    def used_bytes(self) -> int | None:
        """Return what counts against the limit, without the page cache that can be dropped.

        None if the use cannot be read.
        """
        files = _MEMORY_FILES[self.version]
        usage = _read_number(self.folder / files.usage)
        if usage is None:
            return None
        return max(0, usage - _read_statistic(self.folder / "memory.stat", files.reclaimable))


def iterate_groups(controller: str, membership: Path, root: Path) -> Iterator[ControlGroup]:
    """Yield this process's group in every hierarchy that may hold `controller`, in file order.

    A v2 hierarchy is always one of them; its files tell whether it has the controller. Nothing is
    yielded if the membership cannot be read.
    """
    try:
        lines = membership.read_text().splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            # Beside hierarchies of v1 it has a folder of its own (systemd's hybrid layout).
            version, mounts = 2, (root / "unified", root)
        elif controller in controllers.split(","):
            # Joint hierarchies are mounted by their joint name; links to it are customary, no more.
            version, mounts = 1, (root / controller, root / controllers)
        else:
            continue
        mount = next((folder for folder in mounts if folder.is_dir()), mounts[0])
        # A container without a cgroup namespace sees the host's path and its own limit at the top.
        yield ControlGroup(version, mount, mount / path.strip("/"))


def read_memory_limit(membership: Path = MEMBERSHIP, root: Path = ROOT) -> MemoryLimit | None:
    """Return the lowest limit of this process's group and those above it, None without one.

    The caller compares it with the machine's RAM: "unlimited" in v1 is a number near 2**63.
    """
    limits = [
        MemoryLimit(limit_bytes, group.version, folder)
        for group in iterate_groups("memory", membership, root)
        for folder in group.lineage()
        if (limit_bytes := _read_number(folder / _MEMORY_FILES[group.version].limit)) is not None
    ]
    return min(limits, key=lambda limit: limit.limit_bytes, default=None)


def choose_effective_limit(limit: MemoryLimit | None, total_bytes: int) -> MemoryLimit | None:
    """Return the limit if it is tighter than the machine's RAM, else None."""
    return limit if limit is not None and limit.limit_bytes < total_bytes else None


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
