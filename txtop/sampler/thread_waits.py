"""The time that the threads of workers waited for a processor, from /proc/PID/task/TID/schedstat.

https://docs.kernel.org/scheduler/sched-stats.html (the second field is the time on a run queue).
The files stay open: one read of an open file is a fifth of opening it, and workers have a thread
for each core.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from txtop.sampler.processor_time import PROC
from txtop.units import NS_PER_S

# A limit of 1,024 open files is usual; the others of that many threads wait like these.
MAX_THREADS = 512


class ThreadWaits:
    """The open files of the threads of some processes, and what each had waited when last read."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._files: dict[tuple[int, int], int] = {}
        self._waited_ns: dict[tuple[int, int], int] = {}
        self._read_at_s: float | None = None

    def follow(self, pids: Collection[int]) -> None:
        """Open the files of new threads of `pids`, and close those of all other processes."""
        for pid, thread in list(self._files):
            if pid not in pids:
                self._forget((pid, thread))
        for pid in pids:
            with suppress(OSError, ValueError):
                for name in os.listdir(self._proc / str(pid) / "task"):
                    self._open((pid, int(name)))

    def read_waited_percent(self, now_s: float) -> float | None:
        """Return the share of the time since the last call that one thread waited, the largest.

        None without a thread that was read before, and on a kernel that does not count it. In a
        parallel part of a model all threads wait for the last one, so it is not the mean that
        counts.
        """
        elapsed_s = now_s - self._read_at_s if self._read_at_s is not None else 0.0
        self._read_at_s = now_s
        longest_ns: int | None = None
        for thread, file in list(self._files.items()):
            try:
                waited_ns = int(os.pread(file, 100, 0).split()[1])
            except (OSError, ValueError, IndexError):
                self._forget(thread)
                continue
            before_ns = self._waited_ns.get(thread)
            self._waited_ns[thread] = waited_ns
            if before_ns is not None:
                longest_ns = max(longest_ns or 0, waited_ns - before_ns)
        if longest_ns is None or elapsed_s <= 0:
            return None
        return round(100 * min(1.0, longest_ns / NS_PER_S / elapsed_s), 1)

    def _open(self, thread: tuple[int, int]) -> None:
        if thread in self._files or len(self._files) >= MAX_THREADS:
            return
        path = self._proc / str(thread[0]) / "task" / str(thread[1]) / "schedstat"
        self._files[thread] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def _forget(self, thread: tuple[int, int]) -> None:
        os.close(self._files.pop(thread))
        self._waited_ns.pop(thread, None)
