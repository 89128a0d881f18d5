"""The peaks of memory over one cell: the kernel's high-water mark, and the device allocator's.

See docs/method.md, "Load and memory".
"""

from __future__ import annotations

import contextlib
import ctypes
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Any

from txtop.protocol.events import Memory, PartMemory

if TYPE_CHECKING:
    import torch

# Written to /proc/self/clear_refs, this resets VmHWM (proc(5)).
_RESET_PEAK = "5"
_WITH_PEAKS = ("cuda", "xpu")


def release_memory(device: torch.device) -> None:
    """Return cached memory to the system, so that it does not count in the next cell's peak."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    if device.type != "cpu":
        _memory_module(device).empty_cache()


def reset_peaks(device: torch.device, model: Any = None) -> bool:
    """Reset the peaks at the start of a cell, also where layers of `model` are on further GPUs.

    Return False if the host's cannot be reset.
    """
    import torch

    if device.type in _WITH_PEAKS:
        _memory_module(device).reset_peak_memory_stats(device)
        for part in _list_further_devices(model):
            torch.cuda.reset_peak_memory_stats(part)
    try:
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def read_host_peak_bytes() -> int:
    """Return the highest resident size since `reset_peaks`, or since the start if it failed."""
    peak = _read_status_bytes("VmHWM:")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 if peak is None else peak


def read_host_bytes() -> int | None:
    """Return the resident size of this process; None where the system does not tell."""
    return _read_status_bytes("VmRSS:")


def read_mapped_bytes() -> int | None:
    """Return what this process has mapped beyond its resident size; None where that is unknown."""
    mapped, resident = _read_status_bytes("VmSize:"), read_host_bytes()
    return None if mapped is None or resident is None else max(0, mapped - resident)


def _read_status_bytes(name: str) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return None


def limit_memory(device: torch.device, limit_bytes: int) -> None:
    """Hold this process to `limit_bytes` on its device, by refusing what goes beyond.

    On a CPU that is the resident size, through a limit of the data that the process may map
    (RLIMIT_DATA): of what is mapped and not resident now, such as stacks, it may keep as much. On
    CUDA it includes the context.

    Raises `MemoryError` if it takes more already.
    """
    if device.type == "cpu":
        mapped, resident = _read_status_bytes("VmData:"), read_host_bytes()
        if mapped is None or resident is None:
            return
        used, total = resident, max(0, mapped - resident + limit_bytes)
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        for bound in (soft, hard):
            total = total if bound == resource.RLIM_INFINITY else min(total, bound)
        resource.setrlimit(resource.RLIMIT_DATA, (total, hard))
    elif device.type == "cuda":
        module = _memory_module(device)
        free, whole = module.mem_get_info(device)
        used = whole - free
        context = max(0, used - module.memory_reserved(device))
        share = (limit_bytes - context) / whole
        module.set_per_process_memory_fraction(min(1.0, max(1e-6, share)), device)
    else:
        return
    if used > limit_bytes:
        raise MemoryError(f"out of memory: the loaded model takes {used} of {limit_bytes} bytes")


def build_memory_event(cell: str, device: torch.device, t_ns: int) -> Memory:
    """Build the `memory` event of a cell.

    `device_bytes` is the use of the whole device now. The allocator has not yet returned what it
    reserved, so this is the peak or close to it.
    """
    event = Memory(cell=cell, t_ns=t_ns, host_bytes=read_host_peak_bytes())
    if device.type in _WITH_PEAKS:
        module = _memory_module(device)
        event.allocated_bytes = module.max_memory_allocated(device)
        event.reserved_bytes = module.max_memory_reserved(device)
        free, total = module.mem_get_info(device)
        event.device_bytes = total - free
    elif device.type == "mps":
        event.device_bytes = _memory_module(device).driver_allocated_memory()
    return event


def list_parts(model: Any) -> list[PartMemory]:
    """Return the peaks on the GPUs after the first that hold layers of `model`."""
    import torch

    parts = []
    for device in _list_further_devices(model):
        free, total = torch.cuda.mem_get_info(device)
        parts.append(
            PartMemory(
                allocated_bytes=torch.cuda.max_memory_allocated(device),
                reserved_bytes=torch.cuda.max_memory_reserved(device),
                device_bytes=total - free,
            )
        )
    return parts


def _list_further_devices(model: Any) -> list[int]:
    """Return the numbers of the GPUs that hold layers of `model`, without the first."""
    placed = (getattr(model, "hf_device_map", None) or {}).values()
    numbers = {str(place).rpartition(":")[2] for place in placed}
    return sorted(int(number) for number in numbers if number.isdigit())[1:]


def _memory_module(device: torch.device) -> Any:
    """Return torch.cuda, torch.xpu or torch.mps, whose memory functions share their names."""
    import torch

    return getattr(torch, device.type)
