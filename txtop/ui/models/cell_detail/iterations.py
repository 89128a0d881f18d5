"""Every iteration of one cell: what it took, and what it counts as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.summary import find_outliers
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.hero_metrics import WIDENINGS, count_planned_iterations
from txtop.units import NS_PER_MS

IterationKind = Literal["first", "warmup", "dropped", "measured", "outlier", "discarded"]
MIN_LEAD_NS = 500_000_000
FINE_WIDENINGS = (0.02, 0.05)
MANY_ITERATIONS = 100


@dataclass(frozen=True)
class IterationsView:
    """End-to-end times in ms, what each counts as, and the room that the axis holds for them.

    `counted` iterations make the mean, from `steady_from` on where a changepoint cut some off.
    `lead_s` is the time before the first iteration, 0 where it is not worth a place.
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
    cv: float | None = None
    steady_from: int | None = None
    lead_s: float = 0.0
    waits: bool = True
    one: str = "iteration"

    def count(self, kind: IterationKind) -> int:
        return self.kinds.count(kind)


def build_iterations(session: SessionState, state: CellState, memo: FrameCache) -> IterationsView:
    """All iterations as far as they have come; what is steady is judged once the cell is over."""
    lead_ns = compute_lead_ns(session, state)
    size = (len(state.samples), len(state.samples.discarded))
    key = (state.cell.id, state.started_at_ns, size, state.over, lead_ns)
    return memo.kept("strip", key, lambda: _compute_iterations(session, state, memo, lead_ns))


def compute_refresh_key(state: CellState) -> tuple[object, ...]:
    """What changes when the figures of a cell are due again: with every iteration while there are
    few, later with every twentieth part more, since all of them are looked at each time."""
    n = len(state.samples)
    due = n - n % (n // 20) if n >= MANY_ITERATIONS and not state.over else n
    known = (state.load is not None, state.memory is not None, state.finished is not None)
    return state.cell.id, state.started_at_ns, due, len(state.samples.discarded), known, state.over


def compute_lead_ns(session: SessionState, state: CellState) -> int:
    """Ns from the start of the cell to that of its first iteration, or so far; 0 if hardly any."""
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
    session: SessionState, state: CellState, memo: FrameCache, lead_ns: int
) -> IterationsView:
    seed, name = session.plan.seed, "e2e_ms"
    start = memo.finals.steady(state, seed).start if state.over and state.samples.role else 0
    places = order_iterations(state)
    values = tuple(state.samples.e2e_ns[i] / NS_PER_MS for i in places)
    each = classify_iterations(state, start)
    found = tuple(each[i] for i in places)
    usual = [v for v, kind in zip(values, found, strict=True) if kind == "measured"]
    now = memo.now(state, name, seed)
    low, high = compute_scale(usual or values[-1:], now.mean)
    kept = state.samples.kept()
    return IterationsView(
        label="forward" if state.family == "encoder" and not state.cell.serving else "E2E",
        values=values,
        kinds=found,
        room=max(1, len(values)) if state.over else count_planned_iterations(state, session.plan),
        low=low,
        high=high,
        counted=now.n,
        mean=now.mean,
        ci95=now.ci95,
        cv=now.cv,
        steady_from=kept[start] if start else None,
        lead_s=lead_ns / 1e9,
        waits=not state.over,
        one="request" if state.cell.serving else "iteration",
    )


def order_iterations(state: CellState) -> Sequence[int]:
    """Places of all iterations; of requests in the order in which they came, not in that of their
    answers."""
    if state.cell.serving is None:
        return range(len(state.samples))
    return sorted(range(len(state.samples)), key=state.served.arrival_ns.__getitem__)


def classify_iterations(state: CellState, start: int) -> tuple[IterationKind, ...]:
    """What each iteration counts as, when the steady part of the kept ones begins at `start`."""
    samples = state.samples
    found: list[IterationKind] = ["warmup"] * len(samples)
    served = state.cell.serving is not None
    if found and not served:
        found[0] = "first"
    kept = samples.kept()
    for i in kept[:start]:
        found[i] = "dropped"
    stated = kept[start:]
    for i in stated:
        found[i] = "measured"
    # A request that met a queue is no outlier.
    for place in () if served else find_outliers([samples.e2e_ns[i] for i in stated]):
        found[stated[place]] = "outlier"
    for i in samples.discarded:
        if i < len(found):
            found[i] = "discarded"
    return tuple(found)


def compute_scale(usual: Sequence[float], mean: float | None) -> tuple[float, float]:
    """From so much under the median to so much over it, in steps, that all usual values and the
    mean fit: the scale changes seldom, and only outliers and what does not count lie beyond it."""
    if not usual:
        return 0.0, 1.0
    middle = median(usual)
    shown = [*usual, *([mean] if mean is not None else [])]
    steps = (*FINE_WIDENINGS, *WIDENINGS)
    under = next((w for w in steps if middle * (1 - w) <= min(shown)), 1.0)
    over = next((middle * (1 + w) for w in steps if max(shown) <= middle * (1 + w)), max(shown))
    return middle * (1 - under), over
