"""The distribution of one cell's latencies: gaps between tokens, an encoder's forward times."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from txtop.analysis import metrics
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.summary import (
    PERCENTILE_FLOORS,
    compute_percentile,
    compute_percentile_above_floor,
)
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.cell_detail.iterations import compute_refresh_key

MARKED_PERCENTILES = (50, 90, 99)
# Widths of bins, times a power of ten.
STEPS = (1, 2, 2.5, 5)
# Values beyond this share at either end may go into one open bin, if the outermost is `FAR_FACTOR`
# times as far out as the percentile there.
TAIL = 0.02
FAR_FACTOR = 1.5


@dataclass(frozen=True)
class PercentileMark:
    """A percentile in ms; None below the `needs` iterations that it requires."""

    name: str
    value: float | None
    needs: int


@dataclass(frozen=True)
class HistogramView:
    """Latencies in ms, ascending, from `n` iterations; `why` explains that there are none."""

    title: str = "gaps between tokens"
    values: Sequence[float] = ()
    n: int = 0
    marks: tuple[PercentileMark, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Bin:
    """The `count` of values with `low` <= value < `high`; an open end is None."""

    low: float | None
    high: float | None
    count: int


def build_histogram(session: SessionState, state: CellState, cache: FrameCache) -> HistogramView:
    """Build the distribution of the iterations that the metrics are computed from."""
    return cache.get_or_make(
        "histogram", compute_refresh_key(state), lambda: _compute_histogram(session, state, cache)
    )


def _compute_histogram(session: SessionState, state: CellState, cache: FrameCache) -> HistogramView:
    places = state.samples.kept()
    if state.over and places:
        places = places[cache.finals.steady(state, session.plan.seed).start :]
    if state.family == "encoder":
        values = metrics.compute_values(state, "e2e_ms", places)
        title, n, why = "forward time", len(values), _explain_empty(state)
        title = "time of a request" if state.cell.serving else title
    else:
        values, means = metrics.compute_itl_ms(state, places)
        pieces = "tokens" if state.cell.speculative == "none" else "steps"
        title, n, why = f"gaps between {pieces}", len(means), _explain_empty(state)
    values.sort()
    marks = tuple(
        PercentileMark(f"p{p}", compute_percentile_above_floor(values, n, p), PERCENTILE_FLOORS[p])
        for p in MARKED_PERCENTILES
    )
    return HistogramView(title, tuple(values), n, marks, "" if values else why)


def _explain_empty(state: CellState) -> str:
    if state.lag:
        return metrics.LATE_STREAMER_NOTE
    if state.samples.kept() and state.cell.new_tokens < 2:
        return "one new token has no gap"
    return "nothing was measured" if state.over else "nothing measured yet"


def compute_bins(values: Sequence[float], most: int) -> list[Bin]:
    """Divide all of the ascending `values` into at most `most` bins of equal width.

    The first or the last bin is open where a few values are far from the rest.
    """
    if not values or most < 1:
        return []
    low, high = values[0], values[-1]
    bottom, top = (
        compute_percentile(values, 100 * TAIL),
        compute_percentile(values, 100 * (1 - TAIL)),
    )
    if most >= 4 and high > FAR_FACTOR * top:
        high = top
    if most >= 4 and low < bottom / FAR_FACTOR:
        low = bottom
    room = most - (high < values[-1]) - (low > values[0])
    step, first = _choose_step(low, high, max(1, room))
    last = max(first + 1, math.floor(high / step + 1e-9) + 1)
    edges = [i * step for i in range(first, last + 1)]
    places = [bisect_left(values, edge - step * 1e-9) for edge in edges]
    bins = [Bin(None, edges[0], places[0])] if places[0] else []
    for i in range(len(edges) - 1):
        bins.append(Bin(edges[i], edges[i + 1], places[i + 1] - places[i]))
    if places[-1] < len(values):
        bins.append(Bin(edges[-1], None, len(values) - places[-1]))
    return bins


def _choose_step(low: float, high: float, room: int) -> tuple[float, int]:
    """Return the width of the bins, and the multiple of it at which they begin.

    The width is the smallest of 1, 2, 2.5, 5 times a power of ten that takes at most `room` steps
    from that multiple to beyond `high`.
    """
    least = (high - low) / room
    power = math.floor(math.log10(least)) if least > 0 else math.floor(math.log10(high or 1)) - 2
    while True:
        for one in STEPS:
            step = one * 10.0**power
            first = math.floor(low / step + 1e-9)
            if step >= least and math.floor(high / step + 1e-9) - first + 1 <= room:
                return step, first
        power += 1


def find_bin(value: float, rows: Sequence[Bin]) -> int:
    """Return the index of the bin that holds `value`."""
    edges = [row.low if row.low is not None else -math.inf for row in rows]
    return max(0, bisect_right(edges, value + abs(value) * 1e-12) - 1)
