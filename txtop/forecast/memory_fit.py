"""What memory is free, before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import msgspec

from txtop.models import model_size
from txtop.plan.cell import Cell
from txtop.state.session import HOST, SessionState, WatchedDevice, list_gpus


@dataclass(frozen=True)
class FreeMemory:
    """Free bytes: of RAM as far as this process may use it, and of each GPU; null where unread."""

    ram: float | None = None
    gpus: tuple[float | None, ...] = ()

    def for_device(self, device: str) -> tuple[float | None, str]:
        """What is free where a cell with that `device` runs, and what it is called."""
        if self.gpus and device in ("auto", "cuda"):
            return self.gpus[0], "VRAM"
        if device in ("auto", "cpu"):
            return self.ram, "RAM"
        return None, f"memory of {device}"


def read_free_memory(session: SessionState) -> FreeMemory:
    """What the sampler read last; a limit of the cgroup is in its figures already."""
    host = session.devices.get(HOST)
    return FreeMemory(
        ram=_compute_free_bytes(host, "ram") if host else None,
        gpus=tuple(_compute_free_bytes(device, "memory") for _, device in list_gpus(session)),
    )


def _compute_free_bytes(device: WatchedDevice, what: str) -> float | None:
    used, total = device.last(f"{what}_used_bytes"), device.last(f"{what}_total_bytes")
    return None if used is None or total is None else max(0.0, total - used)


UNKNOWN_MEMORY = FreeMemory()


# What a process takes beside its weights: libraries on the host, a context on a GPU.
OVERHEAD_BYTES = 3 << 28


ACTIVATION_FACTOR = 1.2


def find_memory_shortage(state: SessionState, loaded: Cell, wanted: Cell) -> tuple[int, int] | None:
    """(needed, free) in bytes where `wanted` does not fit beside what is there now; null where it
    does or neither is known. It goes where `loaded` went, as telemetry read that device last."""
    load = state.cells[loaded.id].load
    device = state.devices.get(state.gpu(load.device_id if load else None) or HOST)
    on_host = device is state.devices.get(HOST)
    needed = model_size.predict_bytes(_describe_loading_cell(wanted, on_host=on_host))
    needed = needed or (load.weight_bytes if load else None)
    if device is None or needed is None:
        return None
    kind = "ram" if on_host else "memory"
    total, used = device.last(f"{kind}_total_bytes"), device.last(f"{kind}_used_bytes")
    if total is None or used is None:
        return None
    wants, free = round(ACTIVATION_FACTOR * needed) + OVERHEAD_BYTES, round(total - used)
    return (wants, free) if wants > free else None


def _describe_loading_cell(cell: Cell, *, on_host: bool) -> Cell:
    """int8 is made of weights in another precision, which are there first."""
    if not cell.precision.startswith("int8"):
        return cell
    return msgspec.structs.replace(cell, precision="fp32" if on_host else "bf16")


@lru_cache(maxsize=4096)
def expected_bytes(cell: Cell) -> int | None:
    """The memory that a cell is expected to need; null where its model is not known here."""
    from txtop.models import model_size

    try:
        return model_size.predict_bytes(cell)
    except (OSError, ValueError):
        return None
