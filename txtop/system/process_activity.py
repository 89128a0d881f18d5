"""Evidence that a process works: the CPU time it used, and the bytes it read or wrote.

The runner reads it of a worker that loads or compiles, which takes many minutes without an event.
The worker itself would be a worse witness: a library that holds the interpreter's lock silences
every thread of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import psutil

INTERVAL_S = 5.0
"""The time between two readings: each one walks the list of all processes."""
_CPU_SHARE = 0.01
"""The share of a core above which a process computes. Threads that only poll stay far below."""
_PAGE_BYTES = 4096


@dataclass(frozen=True)
class ProcessActivity:
    """The activity of a process and its descendants since they started.

    `read_bytes` are those that the process read itself, `moved_bytes` those that all read or wrote.
    A file that is mapped from a warm cache is read without a call and without a disk:
    `mapped_bytes` are those of the process that are in memory now.
    """

    cpu_s: float
    read_bytes: int
    moved_bytes: int
    mapped_bytes: int


def read_activity(pid: int) -> ProcessActivity | None:
    """Return the activity of a process, descendants that have ended included; None if it is gone.

    A compiler runs in descendants. Where the system does not count bytes they are 0.
    """
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        read_bytes, moved_bytes = _read_bytes(process)
        mapped_bytes = getattr(process.memory_info(), "shared", 0)
    except psutil.Error:
        return None
    cpu_s = 0.0
    for member in family:
        try:
            times = member.cpu_times()
            cpu_s += times.user + times.system + times.children_user + times.children_system
            moved_bytes += 0 if member is process else _read_bytes(member)[1]
        except psutil.Error:
            continue
    return ProcessActivity(cpu_s, read_bytes, moved_bytes, mapped_bytes)


def _read_bytes(process: psutil.Process) -> tuple[int, int]:
    """Return the bytes that `process` read, and those that it read and wrote."""
    if not hasattr(process, "io_counters"):
        return 0, 0
    io = process.io_counters()
    # The first pair counts calls, the second what reached a disk, which mapped files do alone.
    read = max(getattr(io, "read_chars", 0), io.read_bytes)
    return read, read + max(getattr(io, "write_chars", 0), io.write_bytes)


class ActivityWatch:
    """The readings of one process, `interval_s` apart, from its start of some work on.

    `done_bytes` and `cpu_s` are what it read and used since then, as of the last reading.
    """

    def __init__(self, pid: int, now_s: float, interval_s: float = INTERVAL_S) -> None:
        self._pid = pid
        self._interval_s = interval_s
        self._read_s = now_s
        self._last = read_activity(pid)
        self.cpu_s = 0.0
        self.done_bytes = 0

    def count_from_here(self) -> None:
        """Count `done_bytes` from now on."""
        self._last = read_activity(self._pid)
        self.done_bytes = 0

    def has_worked(self, now_s: float) -> bool:
        """Read the process again if it is time to. Return whether it worked since the last time.

        It worked if it computed, read or wrote; a process that waits for something did neither.
        """
        passed_s = now_s - self._read_s
        if passed_s < self._interval_s:
            return False
        before, now = self._last, read_activity(self._pid)
        self._last, self._read_s = now, now_s
        if before is None or now is None:
            return False
        cpu_s = max(0.0, now.cpu_s - before.cpu_s)
        # A file that is closed again is no longer mapped, but was read.
        mapped_bytes = max(0, now.mapped_bytes - before.mapped_bytes)
        moved_bytes = now.moved_bytes - before.moved_bytes
        self.cpu_s += cpu_s
        self.done_bytes += max(0, now.read_bytes - before.read_bytes, mapped_bytes)
        return cpu_s >= _CPU_SHARE * passed_s or max(moved_bytes, mapped_bytes) >= _PAGE_BYTES
