"""The telemetry of the host: processor load, memory within the cgroup's limit, package power."""

from __future__ import annotations

import glob
import os
import time
from pathlib import Path

import psutil

from txtop.protocol.events import ForeignProcess
from txtop.sampler.contention import ContentionSensor
from txtop.sampler.process_usage import WatchedProcesses
from txtop.sampler.processor_time import (
    ProcessorTime,
    compute_busy_percent,
    read_processor_time,
)
from txtop.sampler.rapl import Rapl
from txtop.sanitise import sanitise
from txtop.system import cpu, oom_killer
from txtop.system.cgroup import choose_effective_limit, read_memory_limit

VMSTAT = Path("/proc/vmstat")
CLOCK_PATTERN = "/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq"
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# With more cores their series would dominate the log.
MAX_CORES = 64


def read_label() -> str:
    """Return the processor's name, made inert, at most 80 characters of it."""
    return sanitise(cpu.read_cpu_name(), 80)


def _read_swapped_in_bytes() -> float | None:
    """Read the bytes read back from swap since boot, by the whole machine (`pswpin`)."""
    try:
        for line in VMSTAT.read_text().splitlines():
            if line.startswith("pswpin "):
                return int(line.partition(" ")[2]) * PAGE_BYTES
    except (OSError, ValueError):
        pass
    return None


def _read_clock_mhz() -> float | None:
    """Read the clock of the fastest core, or `None` without one, as in most virtual machines."""
    clocks_mhz = []
    for path in glob.glob(CLOCK_PATTERN)[:MAX_CORES]:
        try:
            clocks_mhz.append(int(Path(path).read_text()) / 1000)
        except (OSError, ValueError):
            continue
    return max(clocks_mhz, default=None)


class Host:
    """The series of the device `host`; `watched` are the run's own processes."""

    def __init__(self, watched: WatchedProcesses | None = None) -> None:
        self.label = read_label()
        self._limit = choose_effective_limit(read_memory_limit(), psutil.virtual_memory().total)
        self._rapl = Rapl()
        # An empty one is false, and is filled later.
        own = WatchedProcesses() if watched is None else watched
        self._contention = ContentionSensor(own)
        # The processors that the run may use: what others do elsewhere is no concern of it.
        usable = cpu.read_affinity()
        self._cores = usable if len(usable) < (os.cpu_count() or 0) else None
        self._time_before: ProcessorTime | None = None
        self._time_now: ProcessorTime | None = None
        # The first call only starts its interval and returns 0.
        psutil.cpu_percent(None, percpu=True)

    def read_disturbances(self) -> dict[str, float | None]:
        """Read the values that tell at every tick whether a run is disturbed.

        They are `swapped_in_bytes` since boot, and those of `ContentionSensor.values`.
        """
        times = read_processor_time(self._cores)
        self._time_now, own = times or (None, None)
        return {
            "swapped_in_bytes": _read_swapped_in_bytes(),
            **self._contention.values(time.monotonic(), own),
        }

    def values(self) -> dict[str, float | None]:
        """Read the other values of a sample, after `read_disturbances`.

        They are `cpu_percent` of all cores since the last call, `ram_used_bytes` and
        `ram_total_bytes` (of the cgroup if its limit is lower), `load_1` (runnable tasks over a
        minute), and, if the counters of the CPU packages may be read, `power_w` and `energy_j`.
        """
        used, total = self._memory()
        values: dict[str, float | None] = {
            "cpu_percent": self._compute_busy_percent(self._time_now),
            "ram_used_bytes": used,
            "ram_total_bytes": total,
            "load_1": round(os.getloadavg()[0], 2),
        }
        if self._rapl.available:
            values["power_w"] = self._rapl.watts()
            values["energy_j"] = self._rapl.joules
        return values

    def slow_values(self) -> dict[str, float | None]:
        """Read the values that change slowly or cost more to read.

        They are `cpu_busiest_percent` and `core_N_percent` since the last call, `cpu_clock_mhz` of
        the fastest core, `swap_used_bytes`, `swap_total_bytes`, and `memory_kills`, the number of
        processes killed for lack of memory. New threads of the workers are found here.
        """
        self._contention.follow()
        cores = psutil.cpu_percent(None, percpu=True)
        swap = psutil.swap_memory()
        values: dict[str, float | None] = {
            "cpu_busiest_percent": max(cores, default=None),
            "cpu_clock_mhz": _read_clock_mhz(),
            "swap_used_bytes": swap.used,
            "swap_total_bytes": swap.total,
            "memory_kills": oom_killer.count_oom_kills(),
        }
        if len(cores) <= MAX_CORES:
            values |= {f"core_{i}_percent": busy for i, busy in enumerate(cores)}
        return values

    def read_names(
        self, disturbances: dict[str, float | None]
    ) -> tuple[ForeignProcess, ...] | None:
        """Return who else uses the processor by its disturbances, if that is news."""
        return self._contention.read_names(time.monotonic(), disturbances)

    def _compute_busy_percent(self, now: ProcessorTime | None) -> float | None:
        before, self._time_before = self._time_before, now
        return None if now is None else compute_busy_percent(before or now, now)

    def _memory(self) -> tuple[float | None, float]:
        if self._limit is not None:
            return self._limit.used_bytes(), self._limit.limit_bytes
        memory = psutil.virtual_memory()
        return memory.total - memory.available, memory.total
