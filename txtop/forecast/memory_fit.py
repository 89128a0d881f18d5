"""Predict if a cell fits into the memory that is free, before anything is loaded.

The home screen and the matrix builder read the free memory; the runner of an A/B asks if a second
arm fits beside the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import msgspec

from txtop.formatting import GIB
from txtop.models import model_size
from txtop.plan import modes
from txtop.plan.cell import Cell
from txtop.state.session import HOST, SessionState, WatchedDevice, list_gpus
from txtop.system import torch_build
from txtop.system.device_names import get_device_kind
from txtop.system.gpus import Gpu, select_gpu


@dataclass(frozen=True)
class FreeMemory:
    """Free bytes: of the RAM that this process may use, and of each GPU; None if unread."""

    ram: float | None = None
    gpus: dict[Gpu, float | None] = field(default_factory=dict)
    """By PCI address, as NVML lists them."""

    def for_device(self, device: str) -> tuple[float | None, str]:
        """Return the free bytes for a cell with that `device`, and the name of that memory."""
        kind = get_device_kind(device)
        on_gpu = kind == "cuda" or (kind == "auto" and torch_build.has_cuda())
        if self.gpus and on_gpu:
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
    return None if used is None or total is None else max(0.0, total - used)


UNKNOWN_MEMORY = FreeMemory()

Fit = Literal["fits", "tight", "will not fit", "unknown"]
# A share of the free memory: weights and cache are not all that a cell needs.
TIGHT_SHARE = 0.85
# Beside weights and cache a process takes its libraries, 0.38 to 0.48 GiB in the bundled sessions.
PROCESS_BYTES = round(0.4 * GIB)
# More than that for a second arm, which would end the first if it did not fit: it may also need a
# context on a GPU, which nothing reports.
OVERHEAD_BYTES = 3 << 28
# Activations come on top of weights and KV cache.
ACTIVATION_FACTOR = 1.2


def find_memory_shortage(state: SessionState, loaded: Cell, cell: Cell) -> tuple[int, int] | None:
    """Return (needed, free) in bytes if `cell` does not fit beside what is in memory now.

    None if it fits or either is unknown. Memory is taken from the last telemetry of the device
    that `cell` would go to: that of `loaded` if both ask for the same.
    """
    load = state.cells[loaded.id].load
    if cell.device == loaded.device:
        name = state.gpu(load.device_id if load else None) or HOST
    elif cell.device == "cpu":
        name = HOST
    else:
        gpus = [Gpu(device.label, uuid) for uuid, device in list_gpus(state)]
        gpu = select_gpu(cell.device, gpus)
        name = gpu.uuid if gpu else ""
    device = state.devices.get(name)
    on_host = name == HOST
    weight_bytes = model_size.predict_bytes(_describe_loading_cell(cell, on_host=on_host))
    weight_bytes = weight_bytes or (load.weight_bytes if load else None)
    if device is None or weight_bytes is None:
        return None
    kind = "ram" if on_host else "memory"
    total, used = device.last(f"{kind}_total_bytes"), device.last(f"{kind}_used_bytes")
    if total is None or used is None:
        return None
    needed, free = round(ACTIVATION_FACTOR * weight_bytes) + OVERHEAD_BYTES, round(total - used)
    return (needed, free) if needed > free else None


def _describe_loading_cell(cell: Cell, *, on_host: bool) -> Cell:
    """Return the cell as it is loaded: it is converted from weights in another precision."""
    if modes.is_dense(cell.precision):
        return cell
    return msgspec.structs.replace(cell, precision="fp32" if on_host else "bf16")


@lru_cache(maxsize=4096)
def predict_cell_bytes(cell: Cell) -> int | None:
    """Return the memory that a cell is expected to need; None if its model is not known here."""
    try:
        return model_size.predict_bytes(cell)
    except (OSError, ValueError):
        return None


def classify_fit(needed_bytes: int | None, free_bytes: float | None) -> Fit:
    """Return if `needed_bytes` of weights and KV cache fit into `free_bytes`, if both are known."""
    if needed_bytes is None or free_bytes is None:
        return "unknown"
    if needed_bytes > free_bytes:
        return "will not fit"
    return "tight" if needed_bytes > TIGHT_SHARE * free_bytes else "fits"
