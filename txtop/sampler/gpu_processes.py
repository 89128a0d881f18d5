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
        self._has_graphics = True

    def __call__(self, nvml: Any, handle: Any) -> FieldValues:
        """Read `memory_run_bytes` and the number of `foreign_processes` on the GPU.

        The run is the watched processes and their descendants; without one all processes are
        listed, and none is counted as foreign. In a container NVML omits processes,
        or gives process ids that are not valid there. Foreign processes then cannot be counted, and
        the memory of the run is `None` unless some of its processes are found.
        """
        values: FieldValues = dict.fromkeys(FIELD_NAMES)
        processes = self._read_processes(nvml, handle)
        self.foreign = ()
        own = {pid: self._watched.includes(pid) for pid in processes}
        whole = _sees_every_process(self._namespace) and None not in own.values()
        others = [processes[pid] for pid, is_own in own.items() if not is_own]
        if whole:
            self.foreign = self._named(others)
        if not self._watched:
            return values
        if whole:
            values["foreign_processes"] = len(others)
        memory = [processes[pid].usedGpuMemory for pid, is_own in own.items() if is_own]
        if None not in memory and (memory or whole):
            values["memory_run_bytes"] = sum(memory)
        return values

    def _read_processes(self, nvml: Any, handle: Any) -> dict[int, Any]:
        """Read the processes that compute or draw, by pid: one in both lists counts once.

        Raises the error of NVML, so that a call that fails now is no count of fewer processes.
        """
        # The names without a version raise an error other than NVMLError under an older driver.
        processes = {
            process.pid: process for process in nvml.nvmlDeviceGetComputeRunningProcesses_v3(handle)
        }
        if not self._has_graphics:
            return processes
        try:
            drawing = nvml.nvmlDeviceGetGraphicsRunningProcesses_v3(handle)
        except nvml.NVMLError as error:
            # Without a graphics engine, as on a MIG device, the computing ones are all there are.
            if error.value not in (
                nvml.NVML_ERROR_NOT_SUPPORTED,
                nvml.NVML_ERROR_FUNCTION_NOT_FOUND,
                nvml.NVML_ERROR_INVALID_ARGUMENT,
                nvml.NVML_ERROR_NO_PERMISSION,
            ):
                raise
            self._has_graphics = False
            return processes
        for process in drawing:
            twin = processes.get(process.pid)
            if twin is None or (process.usedGpuMemory or 0) > (twin.usedGpuMemory or 0):
                processes[process.pid] = process
        return processes

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
