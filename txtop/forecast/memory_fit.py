"""Predict if a cell fits into the memory that is free, before anything is loaded.

The home screen and the matrix builder read the free memory; the runner of an A/B asks if a second
arm fits beside the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from msgspec import UNSET

from txtop.errors import UsageError
from txtop.forecast.memory import MIB, PROCESS_BYTES, MemoryForecast, forecast_memory
from txtop.plan.cell import Cell
from txtop.protocol.events import Expected
from txtop.state.session import HOST, SessionState, WatchedDevice, list_gpus
from txtop.system import free_memory, gpus, torch_build
from txtop.system.device_names import get_device_kind
from txtop.system.gpus import CONTEXT_BYTES, Gpu, select_gpu


@dataclass(frozen=True)
class FreeMemory:
    """Free bytes: of the RAM that this process may use, and of each GPU; None if unread."""

    ram: float | None = None
    gpus: dict[Gpu, float | None] = field(default_factory=dict)
    """By PCI address, as NVML lists them."""

    def for_device(self, device: str) -> tuple[float | None, str]:
        """Return the free bytes for a cell with that `device`, and the name of that memory."""
        kind = get_device_kind(device)
        if self.gpus and _goes_to_gpu(kind, here=True):
            gpu = select_gpu(device, list(self.gpus))
            return (self.gpus[gpu] if gpu else None), "VRAM"
        if kind in ("auto", "cpu"):
            return self.ram, "RAM"
        return None, f"memory of {device}"


def read_free_memory(session: SessionState) -> FreeMemory:
    """Return the free memory as the sampler last read it.

    A limit of the cgroup is already in its figures.
    """
    host = session.devices.get(HOST)
    return FreeMemory(
        ram=_compute_free_bytes(host, "ram") if host else None,
        gpus={
            Gpu(device.label, uuid): _compute_free_bytes(device, "memory")
            for uuid, device in list_gpus(session)
        },
    )


def _compute_free_bytes(device: WatchedDevice, what: str) -> float | None:
    used, total = device.last(f"{what}_used_bytes"), device.last(f"{what}_total_bytes")
    if used is None or total is None:
        return None
    return free_memory.deduct_reserve(total - used) if what == "ram" else max(0.0, total - used)


def require_process_memory(asked_bytes: float | None, device: str) -> None:
    """Check that `--memory` is more than a process takes before any model.

    Raises `UsageError` if it is not.
    """
    on_gpu = runs_on_gpu(device)
    least_bytes = CONTEXT_BYTES if on_gpu else PROCESS_BYTES
    if asked_bytes is not None and asked_bytes <= least_bytes:
        taker = "a CUDA context" if on_gpu else "a process with torch"
        raise UsageError(
            f"--memory: {taker} takes {least_bytes // MIB} MiB before any model", "--memory 2GiB"
        )


Fit = Literal["fits", "tight", "will not fit", "unknown"]
# A share of the free memory: others may take some before the cell does.
TIGHT_SHARE = 0.85
# A second arm that did not fit would end the first.
RESERVE_BYTES = 1 << 28


def find_memory_shortage(state: SessionState, loaded: Cell, cell: Cell) -> tuple[int, int] | None:
    """Return (needed, free) in bytes if `cell` does not fit beside what is in memory now.

    None if it fits or either is unknown. Without a forecast `cell` is taken to need a process and
    the weights of `loaded`, or two loads would end each other. Memory is taken from the last
    telemetry of the device that `cell` would go to: that of `loaded` if both ask for the same.
    """
    load = state.cells[loaded.id].load
    if cell.device == loaded.device:
        name = state.gpu(load.device_id if load else None) or HOST
    elif get_device_kind(cell.device) == "cpu":
        name = HOST
    else:
        listed = [Gpu(device.label, uuid) for uuid, device in list_gpus(state)]
        gpu = select_gpu(cell.device, listed)
        name = gpu.uuid if gpu else ""
    device = state.devices.get(name)
    forecast = forecast_cell(state, cell)
    if device is None or (forecast is None and load is None):
        return None
    if forecast is not None:
        needed = forecast.needed_bytes
    else:
        assert load is not None
        needed = load.weight_bytes + (PROCESS_BYTES if name == HOST else CONTEXT_BYTES)
    free = _compute_free_bytes(device, "ram" if name == HOST else "memory")
    needed += RESERVE_BYTES
    return (needed, round(free)) if free is not None and needed > free else None


def runs_on_gpu(device: str) -> bool:
    """Return whether a cell with that `device` runs on a GPU, as far as torch's build tells."""
    return _goes_to_gpu(get_device_kind(device), here=bool(gpus.list_gpus()))


def _goes_to_gpu(kind: str, *, here: bool) -> bool:
    """Return whether a cell with that kind of device runs on a GPU, if there is one `here`."""
    return kind == "cuda" or (kind == "auto" and here and torch_build.has_cuda())


def forecast_cell(session: SessionState, cell: Cell) -> MemoryForecast | None:
    """Forecast the memory of a cell of `session`, with what its processes were seen to take."""
    on_gpu = _is_on_gpu(session, cell)
    process_bytes = None if on_gpu else find_process_bytes(session)
    return forecast_memory(cell, on_gpu=on_gpu, process_bytes=process_bytes)


def _is_on_gpu(session: SessionState, cell: Cell) -> bool:
    kind = get_device_kind(cell.device)
    if kind == "auto" and session.loads:
        return any(load.device.startswith("cuda") for load in session.loads.values())
    return _goes_to_gpu(kind, here=bool(list_gpus(session)))


def read_forecast(session: SessionState, cell: Cell) -> MemoryForecast | None:
    """Return the forecast of a cell as recorded, with what its processes were seen to take.

    That of an older recording, which has none, is made here.
    """
    expected = session.header.expected if session.header is not None else UNSET
    if expected is UNSET:
        return forecast_cell(session, cell)
    recorded = expected.get(cell.id, Expected())
    if recorded.memory is None:
        return None
    forecast, seen = MemoryForecast(*recorded.memory), find_process_bytes(session)
    if seen is None or _is_on_gpu(session, cell):
        return forecast
    return replace(forecast, process_bytes=forecast.process_bytes + seen - PROCESS_BYTES)


def find_process_bytes(session: SessionState) -> int | None:
    """Return the memory that a worker on the CPU took beside its weights; None before a load."""
    for load in session.loads.values():
        is_plain = load.device == "cpu" and not load.recipe and not load.compile_cache
        if is_plain and load.resident_bytes is not None:
            return max(0, load.resident_bytes - load.weight_bytes)
    return None


def classify_fit(needed_bytes: int | None, free_bytes: float | None) -> Fit:
    """Return if a peak of `needed_bytes` fits into `free_bytes`, if both are known."""
    if needed_bytes is None or free_bytes is None:
        return "unknown"
    if needed_bytes > free_bytes:
        return "will not fit"
    return "tight" if needed_bytes > TIGHT_SHARE * free_bytes else "fits"
