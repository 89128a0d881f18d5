"""Decide before anything is loaded if a candidate of a race fits into memory."""

from __future__ import annotations

import math

from txtop.forecast import memory_fit
from txtop.formatting import format_gibs
from txtop.plan.cell import Cell
from txtop.state.session import SessionState
from txtop.system import free_memory


def explain_no_room(state: SessionState, cell: Cell) -> tuple[str, str] | None:
    """Return reason and hint if `cell` does not fit; None if it does, or nothing is known.

    The limit is the memory that was asked for, or what is free now if that is less: a machine
    cannot measure for a larger one what it does not hold itself.
    """
    tuning = state.plan.tuning
    forecast = memory_fit.forecast_cell(state, cell)
    if forecast is None:
        return None
    free, where = memory_fit.read_free_memory(state).for_device(cell.device)
    if free is None and not memory_fit.runs_on_gpu(cell.device):
        free = free_memory.read_free_bytes()
    limits = [
        (tuning.memory_bytes if tuning is not None else None, "asked for", "another --memory"),
        (free, f"of {where} are free", "free memory, or fewer values in --space"),
    ]
    known = [(size, words, hint) for size, words, hint in limits if size is not None]
    limit, words, hint = min(known, default=(math.inf, "", ""))
    if forecast.needed_bytes <= limit:
        return None
    needed, room = format_gibs(forecast.needed_bytes, limit)
    return f"needs {needed} GiB, {room} GiB {words}", hint
