"""Who computes on a GPU: the run's own processes, and others that disturb it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from txtop.telemetry.fields import Values
from txtop.telemetry.processes import Watched

NAMES = ("memory_run_bytes", "foreign_processes")
NAMESPACE = Path("/proc/self/ns/pid")
# PROC_PID_INIT_INO of include/linux/proc_ns.h: the namespace in which every process is seen.
_EVERY_PROCESS = "pid:[4026531836]"


def occupants(nvml: Any, handle: Any, watched: Watched, namespace: Path = NAMESPACE) -> Values:
    """`memory_run_bytes` of the watched processes and those that descend from them, and the number
    of `foreign_processes` on the GPU.

    In a container NVML leaves out processes, or names them by numbers that mean nothing there: then
    others cannot be counted, and the run's memory is null unless some of it is found.
    """
    values: Values = dict.fromkeys(NAMES)
    # By its version: under an older driver the name without raises an error that is not NVML's.
    found = {each.pid: each for each in nvml.nvmlDeviceGetComputeRunningProcesses_v3(handle)}
    own = {pid: watched.includes(pid) for pid in found}
    if not watched:
        return values
    whole = _sees_every_process(namespace) and None not in own.values()
    if whole:
        values["foreign_processes"] = sum(not is_own for is_own in own.values())
    memory = [found[pid].usedGpuMemory for pid, is_own in own.items() if is_own]
    if None not in memory and (memory or whole):
        values["memory_run_bytes"] = sum(memory)
    return values


def _sees_every_process(namespace: Path) -> bool:
    try:
        return str(namespace.readlink()) == _EVERY_PROCESS
    except OSError:
        return False
