"""Who computes on a GPU: the run's own processes, and others that disturb it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from txtop.protocol.events import ForeignProcess
from txtop.sampler.nvidia_fields import FieldValues
from txtop.sampler.process_usage import WatchedProcesses, read_process_name

FIELD_NAMES = ("memory_run_bytes", "foreign_processes")
NAMESPACE = Path("/proc/self/ns/pid")
MAX_NAMED = 8
# PROC_PID_INIT_INO of include/linux/proc_ns.h: the namespace in which every process is seen.
_EVERY_PROCESS = "pid:[4026531836]"


class GpuProcesses:
    """Reads who is on one GPU. `foreign` names those that are not of the run, as far as they are
    seen: the largest few, largest first.
    """

    def __init__(self, watched: WatchedProcesses, namespace: Path = NAMESPACE) -> None:
        self.foreign: tuple[ForeignProcess, ...] = ()
        self._watched = watched
        self._namespace = namespace
        self._names: dict[int, str] = {}

    def __call__(self, nvml: Any, handle: Any) -> FieldValues:
        """`memory_run_bytes` of the watched processes and those that descend from them, and the
        number of `foreign_processes` on the GPU.

        In a container NVML leaves out processes, or names them by numbers that mean nothing there:
        then others cannot be counted, and the run's memory is null unless some of it is found.
        """
        values: FieldValues = dict.fromkeys(FIELD_NAMES)
        self.foreign = ()
        # By its version: under an older driver the name without raises an error not NVML's own.
        found = {each.pid: each for each in nvml.nvmlDeviceGetComputeRunningProcesses_v3(handle)}
        own = {pid: self._watched.includes(pid) for pid in found}
        if not self._watched:
            return values
        whole = _sees_every_process(self._namespace) and None not in own.values()
        if whole:
            others = [found[pid] for pid, is_own in own.items() if not is_own]
            values["foreign_processes"] = len(others)
            self.foreign = self._named(others)
        memory = [found[pid].usedGpuMemory for pid, is_own in own.items() if is_own]
        if None not in memory and (memory or whole):
            values["memory_run_bytes"] = sum(memory)
        return values

    def _named(self, others: list[Any]) -> tuple[ForeignProcess, ...]:
        """Each name is asked for once: a process keeps it, as good as always."""
        largest = sorted(others, key=lambda each: (-(each.usedGpuMemory or 0), each.pid))
        named = largest[:MAX_NAMED]
        self._names = {
            each.pid: self._names.get(each.pid) or read_process_name(each.pid) for each in named
        }
        return tuple(
            ForeignProcess(
                pid=each.pid, name=self._names[each.pid], memory_bytes=each.usedGpuMemory
            )
            for each in named
        )


def _sees_every_process(namespace: Path) -> bool:
    try:
        return str(namespace.readlink()) == _EVERY_PROCESS
    except OSError:
        return False
