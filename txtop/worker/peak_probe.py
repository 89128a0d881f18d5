"""What the device under a model can do at most: as published, else as tried here for a moment."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import TYPE_CHECKING

import psutil
import torch

from txtop.protocol import events
from txtop.system import cgroup
from txtop.system.device_peaks import PublishedPeaks, find_published
from txtop.worker import memory
from txtop.worker.loading import precision

if TYPE_CHECKING:
    from txtop.worker.loading.load import LoadedModel

MIN_STEP_BYTES = 32 << 20
"""A model that reads less than this in a step sits in the caches: no memory bounds it."""
BUDGET_NS = 80_000_000
BUFFER_BYTES = {"cpu": 256 << 20}
DEVICE_BUFFER_BYTES = 1 << 30
MIN_BUFFER_BYTES = 64 << 20
SIZES = (256, 512, 1024, 2048, 4096, 8192)
ROW = 1024
_NAMES = {dtype: name for name, dtype in precision.DTYPES.items()}


def determine_peaks(
    loaded: LoadedModel, name: str, identity: str | None
) -> events.DevicePeaks | None:
    """The peaks of the device that `loaded` is on, with its threads and in its dtype; null where
    nothing would be held against them, and where trying would leave a trace in a peak of memory."""
    if loaded.geometry is None or loaded.geometry.step_bytes < MIN_STEP_BYTES:
        return None
    known = find_published(name)
    found = known or _probe(loaded.device, loaded.dtype)
    if found is None:
        return None
    return events.DevicePeaks(
        t_ns=perf_counter_ns(),
        device=identity or name,
        threads=loaded.threads,
        source="table" if known else "probe",
        bandwidth_bytes_per_s=found.bandwidth_bytes_per_s,
        flops_per_s=found.flops_per_s,
    )


def _probe(device: torch.device, dtype: torch.dtype) -> PublishedPeaks | None:
    """The best of a few tries, about half a second in all; null without room for them."""
    size = min(BUFFER_BYTES.get(device.type, DEVICE_BUFFER_BYTES), _free_bytes(device) // 8)
    if size < MIN_BUFFER_BYTES or (device.type == "cpu" and not memory.reset_peaks(device)):
        return None
    try:
        with torch.inference_mode():
            bandwidth = measure_bandwidth(device, size)
            flops = measure_flops(device, dtype)
    except (RuntimeError, MemoryError):
        return None
    finally:
        memory.release_memory(device)
    return PublishedPeaks(bandwidth, {_NAMES[dtype]: flops})


def measure_bandwidth(device: torch.device, size: int) -> float:
    """Of a copy (read and written) or of a matrix-vector product (read), whichever is more: a
    decode step reads its weights as the latter does. `size` is that of all the memory touched."""
    matrix = torch.ones(size // (4 * ROW), ROW, device=device)
    vector = torch.ones(ROW, device=device)
    half = len(matrix) // 2
    copied = _time_shortest(lambda: matrix[:half].copy_(matrix[half : 2 * half]), device)
    read = _time_shortest(lambda: torch.mv(matrix, vector), device)
    return 1e9 * max(2 * matrix[:half].nbytes / copied, matrix.nbytes / read)


def measure_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Of square matrix products, each size eight times the work of the one before, as long as the
    next is expected to fit the budget."""
    best, took_ns = 0.0, 0
    for n in SIZES:
        if took_ns * 8 > BUDGET_NS:
            break
        # Zeros would cost a GPU less power, and so run at a higher clock, than values do.
        values = torch.Generator(device).manual_seed(0)
        left, right = (
            torch.rand(n, n, dtype=dtype, device=device, generator=values) for _ in range(2)
        )
        took_ns = _time_shortest(lambda a=left, b=right: torch.mm(a, b), device)  # type: ignore[misc]
        best = max(best, 2e9 * n**3 / took_ns)
    return best


def _time_shortest(work: Callable[[], object], device: torch.device) -> int:
    """The shortest of the runs that fit the budget after a first one, at least one of them."""
    _time_once(work, device)
    found: list[int] = []
    while not found or sum(found) + min(found) < BUDGET_NS:
        found.append(_time_once(work, device))
    return min(found)


def _time_once(work: Callable[[], object], device: torch.device) -> int:
    """One run until the device is through, in ns; at least 1."""
    start_ns = perf_counter_ns()
    work()
    if device.type != "cpu":
        torch.accelerator.synchronize()
    return max(1, perf_counter_ns() - start_ns)


def _free_bytes(device: torch.device) -> int:
    if device.type in ("cuda", "xpu"):
        return int(getattr(torch, device.type).mem_get_info(device)[0])
    free = int(psutil.virtual_memory().available)
    limit = cgroup.read_memory_limit()
    used = limit.used_bytes() if limit else None
    return free if limit is None or used is None else min(free, limit.limit_bytes - used)
