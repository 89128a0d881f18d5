"""Peaks of memory over one cell: the host's by the kernel's high-water mark, the device's."""

from __future__ import annotations

import contextlib
import ctypes
import resource
from pathlib import Path
from typing import TYPE_CHECKING

from txtop.events import Memory

if TYPE_CHECKING:
    import torch

_RESET_PEAK = "5"


def give_back(device: torch.device) -> None:
    """Returns to the system what the allocators keep: it is no part of the next cell's peak."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    if device.type == "cuda":
        import torch

        torch.cuda.empty_cache()


def reset(device: torch.device) -> None:
    """Starts a cell: peaks count from here."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
    if device.type == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats(device)


def host_peak_bytes() -> int:
    """Highest resident size since `reset`, or of the whole process where that is not possible."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peaks(cell: str, device: torch.device, t_ns: int) -> Memory:
    """The `memory` event of a cell. `device_bytes` is what the whole device has in use now: the
    allocator has not given back what it reserved, so this is the peak or near it."""
    event = Memory(cell=cell, t_ns=t_ns, host_bytes=host_peak_bytes())
    if device.type == "cuda":
        import torch

        event.allocated_bytes = torch.cuda.max_memory_allocated(device)
        event.reserved_bytes = torch.cuda.max_memory_reserved(device)
        free, total = torch.cuda.mem_get_info(device)
        event.device_bytes = total - free
    return event
