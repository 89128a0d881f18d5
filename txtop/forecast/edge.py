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
from txtop.units import NS_PER_S

# Of the time limit, for a probe that is expected to end in it.
_TIME_SHARE = 0.8


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
        most = find_most_in_time(state, search, axis)
        steps = edge_search.choose_probe(outcomes, most, forecast, limit)
        if steps is not None:
            expected = edge_search.correct_forecast(outcomes, steps, forecast)
            begun = [c.id for c in cells if axis.count_steps(search, c) == steps]
            name = begun[0] if begun else f"p{len(state.probes) + 1:02d}"
            cell = axis.build_cell(search, steps, name)
            return NextProbe(cell, None if expected is None else max(0, round(expected)))
    return None


def find_most_in_time(state: SessionState, search: EdgeSearch, axis: Axis) -> int:
    """Return the most steps that can be expected to end within the time limit.

    Once a probe has taken too long, a call is taken to grow with the knob from the largest that
    ran; before any ran each such probe makes the steps fewer than the last one did.
    """
    probes = {
        steps: own
        for own in state.cells.values()
        if (steps := axis.count_steps(search, own.cell)) is not None
    }
    ran = max((n for n, own in probes.items() if own.status == "ok"), default=0)
    too_long = [n for n, own in probes.items() if own.status == "timeout" and n > ran]
    if not too_long:
        return find_most(search, axis)
    if len(probes) >= edge_search.MAX_PROBES:
        return ran
    if not ran:
        return min(too_long) >> len(too_long)
    load = probes[ran].load
    load_s, timeout_s = load.load_s if load is not None else 0.0, state.plan.timeout_s
    took_s = (probes[ran].ended_at_ns - probes[ran].started_at_ns) / NS_PER_S
    took_s -= 0.0 if probes[ran].shares_weights else load_s
    if timeout_s is None or took_s <= 0:
        return (ran + min(too_long)) // 2
    return min(min(too_long) - 1, int(ran * (_TIME_SHARE * timeout_s - load_s) / took_s))
