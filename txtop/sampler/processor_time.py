"""The time that processors spent busy, stolen and in all, from /proc/stat, and that of a process.

Apart from `host` because `contention` takes the same reading: the kernel makes the whole of
/proc/stat, interrupts included, each time that it is opened.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class ProcessorTime:
    """Seconds since boot, summed over processors.

    `busy_s` is without the time that a hypervisor stole; `total_s` includes it, and idle time.
    """

    busy_s: float
    stolen_s: float
    total_s: float


def read_processor_time(
    cores: Collection[int] | None = None, proc: Path = PROC
) -> tuple[ProcessorTime, ProcessorTime] | None:
    """Read the time of all processors, and of those in `cores` (None: of all), or None.

    A guest's time is part of `user`. https://docs.kernel.org/filesystems/proc.html
    """
    try:
        lines = (proc / "stat").read_text().splitlines()
        machine = _parse(lines[0])
        if cores is None:
            return machine, machine
        rows = [line for line in lines if line[3:4].isdigit() and line.startswith("cpu")]
        own = [_parse(row) for row in rows if int(row.split()[0][3:]) in cores]
    except (OSError, ValueError, IndexError):
        return None
    return machine, ProcessorTime(
        sum(core.busy_s for core in own),
        sum(core.stolen_s for core in own),
        sum(core.total_s for core in own),
    )


def _parse(line: str) -> ProcessorTime:
    user, nice, system, idle, iowait, irq, softirq, stolen = map(int, line.split()[1:9])
    busy = user + nice + system + irq + softirq
    total = busy + idle + iowait + stolen
    return ProcessorTime(busy / TICKS_PER_S, stolen / TICKS_PER_S, total / TICKS_PER_S)


def compute_busy_percent(before: ProcessorTime, now: ProcessorTime) -> float:
    """Return the share of the time in which processors did not idle, stolen time included."""
    total = now.total_s - before.total_s
    busy = now.busy_s + now.stolen_s - before.busy_s - before.stolen_s
    return round(100 * min(1.0, max(0.0, busy / total)), 1) if total > 0 else 0.0


@dataclass(frozen=True)
class ProcessTime:
    """A process: its name, its parent, and the seconds that it has run, without its children."""

    name: str
    parent: int
    cpu_s: float


def read_process_time(pid: int, proc: Path = PROC) -> ProcessTime | None:
    """Read one line of /proc/PID/stat, or None for a process that is gone."""
    try:
        text = (proc / str(pid) / "stat").read_text(errors="replace")
        # The name stands in parentheses and may hold some itself.
        fields = text[text.rindex(")") + 2 :].split()
        ticks = int(fields[11]) + int(fields[12])
        return ProcessTime(
            text[text.index("(") + 1 : text.rindex(")")], int(fields[1]), ticks / TICKS_PER_S
        )
    except (OSError, ValueError, IndexError):
        return None
