"""The peak bandwidth and FLOP/s of the device under a model: as published, else as probed.

The worker calls `determine_peaks` once per process, after loading. See docs/method.md, "Roofline".
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import TYPE_CHECKING

import psutil
import torch

from txtop.protocol import events
from txtop.system import cgroup
from txtop.system.device_peaks import PublishedPeaks, find_published
from txtop.units import NS_PER_S
from txtop.worker import memory
from txtop.worker.loading import precision

if TYPE_CHECKING:
    from txtop.worker.loading.loaded_model import LoadedModel

MIN_STEP_BYTES = 32 << 20
"""A model that reads less than this per step sits in the caches, so memory does not bound it.

On a GPU with a larger L2 cache that is the bound.
"""
BUDGET_NS = 80_000_000
"""The time that the repetitions of one measurement may take."""
ROUND_BUDGET_NS = 40_000_000
"""The same in each of several rounds."""
BUFFER_BYTES = {"cpu": 256 << 20}
DEVICE_BUFFER_BYTES = 1 << 30
MIN_BUFFER_BYTES = 64 << 20
SIZES = (256, 512, 1024, 2048, 4096, 8192)
ROW = 1024


def determine_peaks(
    loaded: LoadedModel, name: str, identity: str | None
) -> events.DevicePeaks | None:
    """Return the peaks of the device of `loaded`, for its number of threads and its dtype.

    Return `None` if no figure would be compared with them, or if a probe would show in the peak of
    memory.
    """
    cache = _read_cache_bytes(loaded.device)
    if loaded.geometry is None or loaded.geometry.step_bytes < max(MIN_STEP_BYTES, cache):
        return None
    published = find_published(name)
    arithmetic = loaded.geometry.dtype
    dtype = precision.DTYPES.get(arithmetic)
    if dtype is None:
        # There is no product to time of what a quantised one multiplies.
        dtype, arithmetic = loaded.dtype, precision.DTYPE_NAMES[loaded.dtype]
    peaks = published or _probe(loaded.device, dtype, arithmetic)
    if peaks is None:
        return None
    return events.DevicePeaks(
        t_ns=perf_counter_ns(),
        device=identity or name,
        threads=loaded.threads,
        source="table" if published else "probe",
        bandwidth_bytes_per_s=peaks.bandwidth_bytes_per_s,
        flops_per_s=peaks.flops_per_s,
        cache_bytes=cache,
    )


def _probe(device: torch.device, dtype: torch.dtype, name: str) -> PublishedPeaks | None:
    """Measure the peaks in about half a second; return `None` if memory does not suffice.

    `name` is that of the arithmetic on values of `dtype`.
    """
    size = min(BUFFER_BYTES.get(device.type, DEVICE_BUFFER_BYTES), _free_bytes(device) // 8)
    if size < MIN_BUFFER_BYTES or (device.type == "cpu" and not memory.reset_peaks(device)):
        return None
    try:
        with torch.inference_mode():
            bandwidth, flops = _measure_rounds(device, dtype, size)
    except (RuntimeError, MemoryError):
        return None
    finally:
        memory.release_memory(device)
    return PublishedPeaks(bandwidth, {name: flops})


def _measure_rounds(device: torch.device, dtype: torch.dtype, size: int) -> tuple[float, float]:
    """Return the highest bandwidth and FLOP/s of a round, of three with several threads of a CPU.

    A product waits for the slowest of its threads, so that a neighbour on one core may spoil a
    whole round. What one thread reaches, which the second round tells, several reach as well.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        return measure_bandwidth(device, size), measure_flops(device, dtype)
    rounds = []
    try:
        for count in (threads, 1, threads):
            torch.set_num_threads(count)
            bandwidth = measure_bandwidth(device, size, ROUND_BUDGET_NS)
            rounds.append((bandwidth, measure_flops(device, dtype, ROUND_BUDGET_NS)))
    finally:
        torch.set_num_threads(threads)
    return max(bandwidth for bandwidth, _ in rounds), max(flops for _, flops in rounds)


def measure_bandwidth(device: torch.device, size: int, budget_ns: int = BUDGET_NS) -> float:
    """Measure bytes per second of a copy and of a matrix-vector product, and return the higher.

    A copy counts bytes read and written. A decode step reads its weights as a matrix-vector product
    does. `size` is the number of bytes touched, `budget_ns` the time of each of the two.
    """
    matrix = torch.ones(size // (4 * ROW), ROW, device=device)
    vector = torch.ones(ROW, device=device)
    half = len(matrix) // 2
    first, second = matrix[:half], matrix[half : 2 * half]
    copy_ns = _time_shortest(lambda: first.copy_(second), device, budget_ns)
    read_ns = _time_shortest(lambda: torch.mv(matrix, vector), device, budget_ns)
    return NS_PER_S * max(2 * first.nbytes / copy_ns, matrix.nbytes / read_ns)


def measure_flops(device: torch.device, dtype: torch.dtype, budget_ns: int = BUDGET_NS) -> float:
    """Measure square matrix products of growing size and return the highest FLOP/s.

    Each size is eight times the work of the one before. It stops when the next is not expected to
    fit the budget.
    """
    best, took_ns = 0.0, 0
    for n in SIZES:
        if took_ns * 8 > budget_ns:
            break
        # Zeros would cost a GPU less power than real values and so run at a higher clock.
        values = torch.Generator(device).manual_seed(0)
        left, right = (
            torch.rand(n, n, dtype=dtype, device=device, generator=values) for _ in range(2)
        )
        took_ns = _time_shortest(lambda a=left, b=right: torch.mm(a, b), device, budget_ns)  # type: ignore[misc]
        best = max(best, 2e9 * n**3 / took_ns)
    return best


def _time_shortest(work: Callable[[], object], device: torch.device, budget_ns: int) -> int:
    """Return the shortest run in ns of those that fit the budget, after one that is not counted."""
    _time_once(work, device)
    times_ns: list[int] = []
    while not times_ns or sum(times_ns) + min(times_ns) < budget_ns:
        times_ns.append(_time_once(work, device))
    return min(times_ns)


def _time_once(work: Callable[[], object], device: torch.device) -> int:
    """Return the duration of one run until the device is idle, in ns; at least 1."""
    start_ns = perf_counter_ns()
    work()
    if device.type != "cpu":
        torch.accelerator.synchronize()
    return max(1, perf_counter_ns() - start_ns)


def _read_cache_bytes(device: torch.device) -> int:
    """Return the size of the L2 cache of a GPU, 0 for other devices and if torch does not tell."""
    if device.type != "cuda":
        return 0
    return int(getattr(torch.cuda.get_device_properties(device), "L2_cache_size", 0))


def _free_bytes(device: torch.device) -> int:
    if device.type in ("cuda", "xpu"):
        return int(getattr(torch, device.type).mem_get_info(device)[0])
    free = int(psutil.virtual_memory().available)
    limit = cgroup.read_memory_limit()
    used = limit.used_bytes() if limit else None
    return free if limit is None or used is None else min(free, limit.limit_bytes - used)
