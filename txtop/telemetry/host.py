"""The machine itself: processor load, memory as far as this process may use it, package power."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil

from txtop.sanitise import sanitise
from txtop.telemetry.cgroup import MemoryLimit, memory_limit
from txtop.telemetry.rapl import Rapl

CPUINFO = Path("/proc/cpuinfo")


def cpu_model(cpuinfo: Path = CPUINFO) -> str:
    """The processor's name, made inert; the architecture's where the kernel tells no name."""
    try:
        with cpuinfo.open(errors="replace") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip() == "model name" and value.strip():
                    return sanitise(value.strip(), 80)
    except OSError:
        pass
    return platform.processor() or platform.machine()


def effective_limit(limit: MemoryLimit | None, total_bytes: int) -> MemoryLimit | None:
    """The limit where it is tighter than the machine's RAM, else null."""
    return limit if limit is not None and limit.limit_bytes < total_bytes else None


class Host:
    """The series of the device `host`."""

    def __init__(self) -> None:
        self.label = cpu_model()
        self._limit = effective_limit(memory_limit(), psutil.virtual_memory().total)
        self._rapl = Rapl()
        psutil.cpu_percent(None)

    def values(self) -> dict[str, float | None]:
        """`cpu_percent` of all cores since the last call, `ram_used_bytes` and `ram_total_bytes`
        (of the cgroup where that is tighter), `load_1` (runnable tasks over a minute), and
        `power_w` of the CPU packages where their counters may be read.
        """
        used, total = self._memory()
        values: dict[str, float | None] = {
            "cpu_percent": psutil.cpu_percent(None),
            "ram_used_bytes": used,
            "ram_total_bytes": total,
            "load_1": round(os.getloadavg()[0], 2),
        }
        if self._rapl.available:
            values["power_w"] = self._rapl.watts()
        return values

    def _memory(self) -> tuple[float | None, float]:
        if self._limit is not None:
            return self._limit.used_bytes(), self._limit.limit_bytes
        memory = psutil.virtual_memory()
        return memory.total - memory.available, memory.total
