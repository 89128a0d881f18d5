"""Every iteration of one cell: the time it took, and the kind it counts as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.summary import find_outliers
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.hero_metrics import count_planned_iterations
from txtop.ui.models.round_numbers import WIDENINGS
from txtop.units import NS_PER_MS, NS_PER_S

IterationKind = Literal["first", "warmup", "raced", "dropped", "measured", "outlier", "discarded"]
# A shorter lead gets no place on the axis.
MIN_LEAD_NS = 500_000_000
# Finer steps before `WIDENINGS`, for times that hardly vary.
FINE_WIDENINGS = (0.02, 0.05)
MANY_ITERATIONS = 100


@dataclass(frozen=True)
class IterationsView:
    """The iterations of a cell: end-to-end times in ms, their kinds, and the axis for them.

    The axis has `room` iterations and a scale from `low` to `high`. `counted` iterations make the
    mean, from index `steady_from` on if a changepoint cut off earlier ones. `lead_s` is the time
    before the first iteration, 0 where it is too short for the axis. `waits` is True until the cell
    is over. `one` names a single item.
    """

    label: str = "E2E"
    values: tuple[float, ...] = ()
    kinds: tuple[IterationKind, ...] = ()
    room: int = 1
    low: float = 0.0
    high: float = 1.0
    counted: int = 0
    mean: float | None = None
    ci95: tuple[float, float] | None = None
    steady_from: int | None = None
    lead_s: float = 0.0
    waits: bool = True
    one: str = "iteration"

    def count(self, kind: IterationKind) -> int:
        """Count the iterations of a kind."""
        return self.kinds.count(kind)


def build_iterations(session: SessionState, state: CellState, cache: FrameCache) -> IterationsView:
    """Build the view of all iterations so far; the steady part is judged once the cell is over."""
    lead_ns = compute_lead_ns(session, state)
    size = len(state.samples), state.counted
    key = (state.cell.id, state.started_at_ns, size, state.over, lead_ns)
    return cache.get_or_make(
        "iterations", key, lambda: _compute_iterations(session, state, cache, lead_ns)
    )


def compute_refresh_key(state: CellState) -> tuple[object, ...]:
    """Return a key that changes when the figures of a cell are due to be computed again.

    They are due at every iteration while there are few, later at every 5 % more, since each
    computation reads all iterations.
    """
    n = len(state.samples)
    due = n - n % (n // 20) if n >= MANY_ITERATIONS and not state.over else n
    reached = (state.load is not None, state.memory is not None, state.finished is not None)
    return (
        state.cell.id,
        state.started_at_ns,
        due,
        state.counted,
        reached,
        state.over,
    )


def compute_lead_ns(session: SessionState, state: CellState) -> int:
    """Return the ns from the start of the cell to its first iteration, or until now.

    0 below `MIN_LEAD_NS`.
    """
    samples = state.samples
    if samples.role:
        until = samples.at_ns[0] - samples.e2e_ns[0]
    elif state.worker:
        until = state.ended_at_ns if state.over else session.clock_ns
    else:
        return 0
    took = until - state.started_at_ns
    return took if took >= MIN_LEAD_NS else 0


def _compute_iterations(
    session: SessionState, state: CellState, cache: FrameCache, lead_ns: int
) -> IterationsView:
    seed, name = session.plan.seed, "e2e_ms"
    start = cache.finals.steady(state, seed).start if state.over and state.samples.role else 0
    places = order_iterations(state)
    values = tuple(state.samples.e2e_ns[i] / NS_PER_MS for i in places)
    by_index = classify_iterations(state, start)
    kinds = tuple(by_index[i] for i in places)
    usual = [v for v, kind in zip(values, kinds, strict=True) if kind == "measured"]
    now = cache.summarise_now(state, name, seed)
    low, high = compute_scale(usual or values[-1:], now.mean)
    kept = state.samples.kept()
    return IterationsView(
        label="forward" if state.family == "encoder" and not state.cell.serving else "E2E",
        values=values,
        kinds=kinds,
        room=max(1, len(values)) if state.over else count_planned_iterations(state, session.plan),
        low=low,
        high=high,
        counted=now.n,
        mean=now.mean,
        ci95=now.ci95,
        steady_from=kept[start] if start or state.samples.since else None,
        lead_s=lead_ns / NS_PER_S,
        waits=not state.over,
        one="request" if state.cell.serving else "iteration",
    )


def order_iterations(state: CellState) -> Sequence[int]:
    """Return the indices of all iterations; those of requests by arrival, not by answer."""
    if state.cell.serving is None:
        return range(len(state.samples))
    return sorted(range(len(state.samples)), key=state.served.arrival_ns.__getitem__)


def classify_iterations(state: CellState, start: int) -> tuple[IterationKind, ...]:
    """Return the kind of each iteration; the steady part of the kept ones begins at `start`."""
    samples = state.samples
    kinds: list[IterationKind] = ["warmup"] * len(samples)
    served = state.cell.serving is not None
    if kinds and not served:
        kinds[0] = "first"
    for i in range(samples.since):
        if samples.role[i] == "measured":
            kinds[i] = "raced"
    kept = samples.kept()
    for i in kept[:start]:
        kinds[i] = "dropped"
    steady = kept[start:]
    for i in steady:
        kinds[i] = "measured"
    # A slow request may have met a queue, so none is an outlier.
    for place in () if served else find_outliers([samples.e2e_ns[i] for i in steady]):
        kinds[steady[place]] = "outlier"
    for i in samples.discarded:
        if i < len(kinds):
            kinds[i] = "discarded"
    return tuple(kinds)


def compute_scale(usual: Sequence[float], mean: float | None) -> tuple[float, float]:
    """Return the ends of a scale around the median of `usual` that holds all of it and the mean.

    The ends move in steps, so the scale changes seldom. Only outliers and iterations that do not
    count lie beyond it.
    """
    if not usual:
        return 0.0, 1.0
    middle = median(usual)
    values = [*usual, *([mean] if mean is not None else [])]
    steps = (*FINE_WIDENINGS, *WIDENINGS)
    under = next((w for w in steps if middle * (1 - w) <= min(values)), 1.0)
    over = next((middle * (1 + w) for w in steps if max(values) <= middle * (1 + w)), max(values))
    return middle * (1 - under), over
