"""Decide before anything is loaded if a candidate of a race fits into memory."""

from __future__ import annotations

from txtop.forecast import memory_fit
from txtop.formatting import format_gibs
from txtop.plan.cell import Cell
from txtop.state.session import SessionState
from txtop.system import free_memory


def explain_no_room(state: SessionState, cell: Cell) -> str:
    """Return why `cell` does not fit; empty if it does, or nothing is known.

    The limit is the memory that was asked for, or what is free now if that is less: a machine
    cannot measure for a larger one what it does not hold itself.
    """
    tuning = state.plan.tuning
    asked = tuning.memory_bytes if tuning is not None else None
    forecast = memory_fit.forecast_cell(state, cell)
    if forecast is None:
        return ""
    free, where = memory_fit.read_free_memory(state).for_device(cell.device)
    if free is None and not memory_fit.runs_on_gpu(cell.device):
        free = free_memory.read_free_bytes()
    limit = min((size for size in (asked, free) if size is not None), default=None)
    if limit is None or forecast.needed_bytes <= limit:
        return ""
    needed, room = format_gibs(forecast.needed_bytes, limit)
    which = "asked for" if limit == asked else f"of {where} are free"
    return f"needs {needed} GiB, {room} GiB {which}"
