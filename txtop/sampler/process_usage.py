"""The CPU time and memory of chosen processes: runner, workers, screen, this sampler."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from txtop.sanitise import sanitise


class NotAProcess(ValueError):
    """The text is neither `label=pid` nor `pid`."""


def read_process_name(pid: int) -> str:
    """Return the name of a process, "" if it cannot be read."""
    try:
        return sanitise(psutil.Process(pid).name(), 60)
    except psutil.Error:
        return ""


@dataclass(frozen=True)
class ProcessCost:
    """CPU seconds since the process started, and bytes resident now."""

    label: str
    cpu_s: float
    rss_bytes: float


class WatchedProcesses:
    """The watched processes by label.

    A process that has ended is removed, and is never confused with a later one of the same pid.
    """

    def __init__(self) -> None:
        self._processes: dict[str, psutil.Process] = {}

    def add(self, text: str) -> None:
        """Add `label=pid` or `pid`. A process that has already ended is ignored.

        Raises `NotAProcess` if the text is neither.
        """
        label, _, number = text.strip().rpartition("=")
        if not (number.isascii() and number.isdigit() and 0 < int(number) < 2**31):
            raise NotAProcess(f"not a process: {sanitise(text, 60)!r}, wanted label=pid")
        try:
            self._processes[sanitise(label or number, 60)] = psutil.Process(int(number))
        except psutil.Error:
            return

    def __bool__(self) -> bool:
        return bool(self._processes)

    def pids(self) -> dict[str, int]:
        """Return the process ids by label."""
        return {label: process.pid for label, process in list(self._processes.items())}

    def includes(self, pid: int) -> bool | None:
        """Return whether `pid` is watched or descends from such a process, `None` if invisible."""
        watched = {process.pid for process in list(self._processes.values())}
        try:
            parents = psutil.Process(pid).parents()
        except psutil.Error:
            return None
        return not watched.isdisjoint({pid, *(parent.pid for parent in parents)})

    def costs(self) -> list[ProcessCost]:
        """Return one entry for each process that still runs."""
        costs = []
        for label, process in list(self._processes.items()):
            try:
                if not process.is_running():
                    raise psutil.NoSuchProcess(process.pid)
                with process.oneshot():
                    times, memory = process.cpu_times(), process.memory_info()
            except psutil.Error:
                del self._processes[label]
                continue
            costs.append(ProcessCost(label, round(times.user + times.system, 3), memory.rss))
        return costs
