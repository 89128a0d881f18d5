"""The processes on a GPU: those of the run, and foreign ones that disturb it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from txtop.protocol.events import ForeignProcess
from txtop.sampler.nvidia_fields import FieldValues
from txtop.sampler.process_usage import WatchedProcesses, read_process_name

FIELD_NAMES = ("memory_run_bytes", "foreign_processes")
NAMESPACE = Path("/proc/self/ns/pid")
MAX_NAMED = 8
# PROC_PID_INIT_INO of include/linux/proc_ns.h: the namespace in which all processes are visible.
_EVERY_PROCESS = "pid:[4026531836]"


class GpuProcesses:
    """A reader of the processes on one GPU, called as a `FieldReader`.

    `foreign` lists the visible processes that do not belong to the run, by memory, largest first,
    at most `MAX_NAMED`.
    """

    def __init__(self, watched: WatchedProcesses, namespace: Path = NAMESPACE) -> None:
        self.foreign: tuple[ForeignProcess, ...] = ()
        self._watched = watched
        self._namespace = namespace
        self._names: dict[int, str] = {}

    def __call__(self, nvml: Any, handle: Any) -> FieldValues:
        """Read `memory_run_bytes` and the number of `foreign_processes` on the GPU.

        The run is the watched processes and their descendants. In a container NVML omits processes,
        or gives process ids that are not valid there. Foreign processes then cannot be counted, and
        the memory of the run is `None` unless some of its processes are found.
        """
        values: FieldValues = dict.fromkeys(FIELD_NAMES)
        self.foreign = ()
        # The name without a version raises an error other than NVMLError under an older driver.
        processes = {
            process.pid: process for process in nvml.nvmlDeviceGetComputeRunningProcesses_v3(handle)
        }
        own = {pid: self._watched.includes(pid) for pid in processes}
        if not self._watched:
            return values
        whole = _sees_every_process(self._namespace) and None not in own.values()
        if whole:
            others = [processes[pid] for pid, is_own in own.items() if not is_own]
            values["foreign_processes"] = len(others)
            self.foreign = self._named(others)
        memory = [processes[pid].usedGpuMemory for pid, is_own in own.items() if is_own]
        if None not in memory and (memory or whole):
            values["memory_run_bytes"] = sum(memory)
        return values

    def _named(self, others: list[Any]) -> tuple[ForeignProcess, ...]:
        """Name the largest processes. A name is read once, as processes hardly ever change it."""
        largest = sorted(others, key=lambda process: (-(process.usedGpuMemory or 0), process.pid))
        named = largest[:MAX_NAMED]
        self._names = {
            process.pid: self._names.get(process.pid) or read_process_name(process.pid)
            for process in named
        }
        return tuple(
            ForeignProcess(
                pid=process.pid, name=self._names[process.pid], memory_bytes=process.usedGpuMemory
            )
            for process in named
        )


def _sees_every_process(namespace: Path) -> bool:
    try:
        return str(namespace.readlink()) == _EVERY_PROCESS
    except OSError:
        return False
