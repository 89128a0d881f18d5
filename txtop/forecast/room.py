"""Whether another arm fits into the memory beside those that are loaded already."""

from __future__ import annotations

import msgspec

from txtop.models import model_size
from txtop.plan.cell import Cell
from txtop.state.session import HOST, SessionState

# What a process takes beside its weights: libraries on the host, a context on a GPU.
OVERHEAD_BYTES = 3 << 28
ACTIVATIONS = 1.2


def short_of(state: SessionState, loaded: Cell, wanted: Cell) -> tuple[int, int] | None:
    """(needed, free) in bytes where `wanted` does not fit beside what is there now; null where it
    does or neither is known. It goes where `loaded` went, as telemetry read that device last."""
    load = state.cells[loaded.id].load
    device = state.devices.get(state.gpu(load.device_id if load else None) or HOST)
    on_host = device is state.devices.get(HOST)
    needed = model_size.predicted_bytes(_while_loading(wanted, on_host=on_host))
    needed = needed or (load.weight_bytes if load else None)
    if device is None or needed is None:
        return None
    kind = "ram" if on_host else "memory"
    total, used = device.last(f"{kind}_total_bytes"), device.last(f"{kind}_used_bytes")
    if total is None or used is None:
        return None
    wants, free = round(ACTIVATIONS * needed) + OVERHEAD_BYTES, round(total - used)
    return (wants, free) if wants > free else None


def _while_loading(cell: Cell, *, on_host: bool) -> Cell:
    """int8 is made of weights in another precision, which are there first."""
    if not cell.precision.startswith("int8"):
        return cell
    return msgspec.structs.replace(cell, precision="fp32" if on_host else "bf16")
