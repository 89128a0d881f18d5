"""The curve of a load sweep: the answered rate of a server against the latency of its requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from txtop import formatting
from txtop.analysis import knee, metrics, serving
from txtop.plan.labels import format_knob
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.summary import PERCENTILE_FLOORS, compute_percentile_above_floor
from txtop.ui.models import hero_metrics
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.tradeoffs.groups import PlotGroup
from txtop.ui.models.tradeoffs.plot import TradeoffPlot, TradeoffPoint
from txtop.ui.models.tradeoffs.points import MeasuredCell, describe_left_out

TAIL_PERCENTILES = (95, 90, 75, 50)
KNEE_NOTE = "knee: the most throughput for its latency"
TITLE_KNOBS = ("model", "precision", "sequence_length")


@dataclass(frozen=True)
class ServerLoad:
    """The load of a server.

    `offered` and `answered` are requests a second, `offered` None where clients wait for their
    answers. `n` requests were answered so far; `occupancy` is the share of the server's slots in
    use.
    """

    offered: float | None
    answered: float
    n: int
    occupancy: float
    unanswered: int

    @property
    def order(self) -> float:
        """Return the rate to sort by.

        Waiting clients measure the most that is answered: that is their rate.
        """
        return self.offered or self.answered


def build_load_curve(
    session: SessionState, cache: FrameCache, group: PlotGroup, cells: Sequence[MeasuredCell]
) -> TradeoffPlot:
    """Build the plot: a line a scenario, its loads in order, its knee once all of them are over."""
    counted = [
        (measured, _build_server_load(measured.state, cache))
        for measured in cells
        if measured.counts
    ]
    tail = _choose_tail(counted)
    plotted = [(measured, load) for measured, load in counted if load.n >= PERCENTILE_FLOORS[tail]]
    plotted.sort(key=lambda pair: (pair[0].member.line, pair[1].order))
    best = _knees(session, cache)
    points = [
        _build_point(session, cache, group, measured, load, tail) for measured, load in plotted
    ]
    points = [_mark_knee(p) if p.row.id in best else p for p in points]
    encoders = any(measured.state.family == "encoder" for measured in cells)
    unit = "req/s" if encoders else "tok/s"
    return TradeoffPlot(
        kind="load",
        of=group.of,
        lines=group.lines,
        points=tuple(points),
        x_name=f"ms E2E, p{tail}",
        y_name=unit,
        unit=unit,
        time_head=f"p{tail} ms",
        time_unit=f"ms E2E p{tail}",
        left_out=_describe_left_out(session, cells, counted, tail),
        budgets=_list_budgets(cells),
        remarks=_remarks(points),
    )


def _list_budgets(cells: Sequence[MeasuredCell]) -> tuple[tuple[float, str], ...]:
    """List the bounds of the SLOs on the quantity of the axis, the time of a request."""
    slos = [m.state.cell.serving.slo for m in cells if m.state.cell.serving is not None]
    bounds = dict.fromkeys(slo.e2e_ms for slo in slos if slo is not None and slo.e2e_ms)
    return tuple((ms, f"SLO {formatting.format_ms(ms)} ms") for ms in bounds if ms)


def _knees(session: SessionState, cache: FrameCache) -> set[str]:
    """Find the cells at the knees, again only when a cell has ended: no other cells count."""
    cells = session.cells.items()
    over = [(name, state.invalid, len(state.samples)) for name, state in cells if state.over]
    return cache.get_or_make(
        "knees",
        (session.plan, session.ended is not None, over),
        lambda: {state.cell.id for state in knee.find_knees(session).values()},
    )


def _build_server_load(state: CellState, cache: FrameCache) -> ServerLoad:
    offered = knee.compute_offered_rate(state)
    made_of = state.samples, len(state.samples), offered, state.over

    def make() -> ServerLoad:
        return ServerLoad(
            offered,
            knee.compute_answered_rate(state) or 0.0,
            len(state.samples.kept()),
            serving.compute_occupancy(state),
            serving.count_totals(state).unanswered if state.over else 0,
        )

    return cache.get_or_make(("load", state.cell.id), made_of, make)


def _choose_tail(counted: Sequence[tuple[MeasuredCell, ServerLoad]]) -> int:
    """Return the highest percentile that every ended cell has answers enough for.

    A running cell joins once it has enough, so that it does not pull the axis down as it begins.
    Cells with too few answers for a median are no points, and do not count either.
    """
    ended = [load.n for measured, load in counted if measured.state.over]
    counts = [
        n
        for n in ended or [load.n for _, load in counted]
        if n >= PERCENTILE_FLOORS[TAIL_PERCENTILES[-1]]
    ]
    return next(
        (p for p in TAIL_PERCENTILES if all(n >= PERCENTILE_FLOORS[p] for n in counts)),
        TAIL_PERCENTILES[-1],
    )


def _build_point(
    session: SessionState,
    cache: FrameCache,
    group: PlotGroup,
    measured: MeasuredCell,
    load: ServerLoad,
    tail: int,
) -> TradeoffPoint:
    state, cell, name = measured.state, measured.state.cell, group.lines[measured.member.line]
    ms = _e2e_ms(state, tail, cache)
    saturated = state.saturated
    parts = [format_knob(cell, knob) for knob in TITLE_KNOBS]
    label = (
        measured.member.label
        if load.offered is None
        else f"{formatting.format_number(load.offered)}/s"
    )
    queue = hero_metrics.get_table_metric(state, "queue_ms", cache, session.plan.seed).mean
    point = TradeoffPoint(
        row=measured.row,
        title=" · ".join([*parts, *(() if name in parts else (name,)), label]),
        name=name,
        line=measured.member.line,
        x=max(ms, 1e-3),
        y=measured.row.rate_value,
        label=label,
        loose=load.offered is None,
        time=formatting.format_ms(ms),
        said=_describe_load(label, load, formatting.format_ms(queue)),
    )
    if saturated:
        return replace(
            point, saturated=True, beside="saturated", title=f"{point.title} · saturated"
        )
    return replace(point, beside=formatting.PENDING) if point.running else point


def _e2e_ms(state: CellState, tail: int, cache: FrameCache) -> float:
    made_of = state.samples, len(state.samples)

    def make() -> float:
        ordered = sorted(metrics.compute_values(state, "e2e_ms"))
        return compute_percentile_above_floor(ordered, len(ordered), tail) or 0.0

    return cache.get_or_make(("tail", tail, state.cell.id), made_of, make)


def _describe_load(label: str, load: ServerLoad, queue: str) -> tuple[str, ...]:
    """Describe the load of a point, longest wording first."""
    answered, full = (
        f"{formatting.format_number(load.answered)}/s",
        f"{formatting.format_percent(100 * load.occupancy)} %",
    )
    lost = f", {load.unanswered} not answered" if load.unanswered else ""
    return (
        f"offered {label}, answered {answered}{lost}   queue {queue} ms   occupancy {full}",
        f"{label} → {answered}   queue {queue} ms   {full} full",
        f"answered {answered}   queue {queue} ms",
        f"queue {queue} ms",
    )


def _mark_knee(point: TradeoffPoint) -> TradeoffPoint:
    return replace(point, front=True, beside="knee", title=f"{point.title} · knee")


def _remarks(points: Sequence[TradeoffPoint]) -> tuple[str, ...]:
    remarks = [f"{p.name} knee: {p.label}" for p in points if p.front]
    remarks += [KNEE_NOTE] if remarks else []
    return (
        (*remarks, serving.SATURATED_NOTE) if any(p.saturated for p in points) else tuple(remarks)
    )


def _describe_left_out(
    session: SessionState,
    cells: Sequence[MeasuredCell],
    counted: Sequence[tuple[MeasuredCell, ServerLoad]],
    tail: int,
) -> str:
    few = Counter(
        load.n < PERCENTILE_FLOORS[tail] for measured, load in counted if measured.state.over
    )[True]
    parts = [
        describe_left_out(cells, session),
        f"{few} with under {PERCENTILE_FLOORS[tail]} answers" if few else "",
    ]
    return ", ".join(filter(None, parts))
