"""What chosen processes cost: the runner, the workers, the screen, this sampler."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from txtop.sanitise import sanitise


class NotAProcess(ValueError):
    """The text names no process: `label=pid` or `pid` was wanted."""


def read_process_name(pid: int) -> str:
    """What the kernel calls a process; empty where it may not be asked."""
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
    """A list of processes by label. One that has ended leaves the list and is never mistaken
    for another that was given its number.
    """

    def __init__(self) -> None:
        self._processes: dict[str, psutil.Process] = {}

    def add(self, text: str) -> None:
        """Adds `label=pid` or `pid`; raises `NotAProcess`. A process already gone is ignored."""
        label, _, number = text.strip().rpartition("=")
        if not (number.isascii() and number.isdigit() and 0 < int(number) < 2**31):
            raise NotAProcess(f"not a process: {sanitise(text, 60)!r}, wanted label=pid")
        try:
            self._processes[sanitise(label or number, 60)] = psutil.Process(int(number))
        except psutil.Error:
            return

    def __bool__(self) -> bool:
        return bool(self._processes)

    def includes(self, pid: int) -> bool | None:
        """Whether `pid` is one of these or descends from one; null where it cannot be seen."""
        watched = {process.pid for process in list(self._processes.values())}
        try:
            parents = psutil.Process(pid).parents()
        except psutil.Error:
            return None
        return not watched.isdisjoint({pid, *(each.pid for each in parents)})

    def costs(self) -> list[ProcessCost]:
        """One entry for each process that is still there."""
        found = []
        for label, process in list(self._processes.items()):
            try:
                if not process.is_running():
                    raise psutil.NoSuchProcess(process.pid)
                with process.oneshot():
                    times, memory = process.cpu_times(), process.memory_info()
            except psutil.Error:
                del self._processes[label]
                continue
            found.append(ProcessCost(label, round(times.user + times.system, 3), memory.rss))
        return found
