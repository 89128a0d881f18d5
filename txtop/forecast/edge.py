"""The next probe of `txtop fit`: where the forecast of memory, corrected by the probes before,
meets the limit."""

from __future__ import annotations

from typing import NamedTuple

from txtop.analysis.edge import (
    Axis,
    complete_search,
    find_limit,
    find_most,
    list_axes,
    list_outcomes,
)
from txtop.forecast.memory_fit import forecast_cell
from txtop.plan.cell import Cell
from txtop.plan.plan import EdgeSearch
from txtop.state.session import SessionState
from txtop.stats import edge_search


class NextProbe(NamedTuple):
    """A cell to run, and the peak that is expected of it, None if unknown."""

    cell: Cell
    forecast_bytes: int | None


def choose_next_probe(state: SessionState, search: EdgeSearch) -> NextProbe | None:
    """Return the next probe of `search`, whose cells are in `state`; None at its end.

    A probe that was begun and has no outcome keeps its name.
    """
    search = complete_search(search, state)
    cells = [own.cell for own in state.cells.values()]
    for axis in list_axes(search):
        outcomes = list_outcomes(state, search, axis)
        limit = find_limit(state) if state.header is not None else search.limit_bytes

        def predict(steps: int, axis: Axis = axis) -> float | None:
            expected = forecast_cell(state, axis.build_cell(search, steps))
            return expected.needed_bytes if expected is not None else None

        forecast = edge_search.complete_forecast(outcomes, predict)
        steps = edge_search.choose_probe(outcomes, find_most(search, axis), forecast, limit)
        if steps is not None:
            expected = edge_search.correct_forecast(outcomes, steps, forecast)
            begun = [c.id for c in cells if axis.count_steps(search, c) == steps]
            name = begun[0] if begun else f"p{len(state.probes) + 1:02d}"
            cell = axis.build_cell(search, steps, name)
            return NextProbe(cell, None if expected is None else max(0, round(expected)))
    return None
