"""The curve of a sweep: what a server answers a second against how long its requests take."""

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
TITLE_KNOBS = ("model", "precision", "sequence_length")


@dataclass(frozen=True)
class ServerLoad:
    """What a server was under: requests a second that were meant to come (null where clients
    asked) and that were answered, their number so far, and the share of its places in use."""

    offered: float | None
    answered: float
    n: int
    occupancy: float
    unanswered: int

    @property
    def order(self) -> float:
        """Clients find out how much is answered at most: that is their rate."""
        return self.offered or self.answered


def build_load_curve(
    session: SessionState, memo: FrameCache, sheet: PlotGroup, cells: Sequence[MeasuredCell]
) -> TradeoffPlot:
    """A line a scenario, its loads in their order, and its knee once all of them are over."""
    counted = [(each, _build_server_load(each.state, memo)) for each in cells if each.counts]
    tail = _choose_tail(counted)
    shown = [(each, load) for each, load in counted if load.n >= PERCENTILE_FLOORS[tail]]
    shown.sort(key=lambda pair: (pair[0].member.line, pair[1].order))
    best = _knees(session, memo)
    points = [_build_point(session, memo, sheet, each, load, tail) for each, load in shown]
    points = [_mark_knee(p) if p.row.id in best else p for p in points]
    encoders = any(each.state.family == "encoder" for each in cells)
    unit = "req/s" if encoders else "tok/s"
    return TradeoffPlot(
        kind="load",
        of=sheet.of,
        lines=sheet.lines,
        points=tuple(points),
        x_name=f"ms E2E, p{tail}",
        y_name=unit,
        unit=unit,
        time_head=f"p{tail} ms",
        time_unit=f"ms E2E p{tail}",
        left_out=_describe_left_out(cells, counted, tail),
        remarks=_remarks(points),
    )


def _knees(session: SessionState, memo: FrameCache) -> set[str]:
    """Anew only when a cell has ended: only such cells count."""
    cells = session.cells.items()
    over = [(name, state.invalid, len(state.samples)) for name, state in cells if state.over]
    return memo.kept(
        "knees",
        (session.plan, session.ended is not None, over),
        lambda: {state.cell.id for state in knee.find_knees(session).values()},
    )


def _build_server_load(state: CellState, memo: FrameCache) -> ServerLoad:
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

    return memo.kept(("load", state.cell.id), made_of, make)


def _choose_tail(counted: Sequence[tuple[MeasuredCell, ServerLoad]]) -> int:
    """The highest percentile that every cell that has ended may state; one at work joins when it
    may, so that it does not pull the axis down as it begins. Cells with too few answers for a
    median are no points, and pull nothing either."""
    ended = [load.n for each, load in counted if each.state.over]
    known = [
        n
        for n in ended or [load.n for _, load in counted]
        if n >= PERCENTILE_FLOORS[TAIL_PERCENTILES[-1]]
    ]
    return next(
        (p for p in TAIL_PERCENTILES if all(n >= PERCENTILE_FLOORS[p] for n in known)),
        TAIL_PERCENTILES[-1],
    )


def _build_point(
    session: SessionState,
    memo: FrameCache,
    sheet: PlotGroup,
    each: MeasuredCell,
    load: ServerLoad,
    tail: int,
) -> TradeoffPoint:
    state, cell, name = each.state, each.state.cell, sheet.lines[each.member.line]
    ms = _e2e_ms(state, tail, memo)
    saturated = state.saturated
    words = [format_knob(cell, knob) for knob in TITLE_KNOBS]
    label = (
        each.member.label if load.offered is None else f"{formatting.format_number(load.offered)}/s"
    )
    queue = hero_metrics.get_table_metric(state, "queue_ms", memo, session.plan.seed).mean
    point = TradeoffPoint(
        row=each.row,
        title=" · ".join([*words, *(() if name in words else (name,)), label]),
        name=name,
        line=each.member.line,
        x=max(ms, 1e-3),
        y=each.row.rate_value,
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


def _e2e_ms(state: CellState, tail: int, memo: FrameCache) -> float:
    made_of = state.samples, len(state.samples)

    def make() -> float:
        ordered = sorted(metrics.compute_values(state, "e2e_ms"))
        return compute_percentile_above_floor(ordered, len(ordered), tail) or 0.0

    return memo.kept(("tail", tail, state.cell.id), made_of, make)


def _describe_load(label: str, load: ServerLoad, queue: str) -> tuple[str, ...]:
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
    said = [f"{p.name} knee: {p.label}" for p in points if p.front]
    return (*said, serving.SATURATED_NOTE) if any(p.saturated for p in points) else tuple(said)


def _describe_left_out(
    cells: Sequence[MeasuredCell], counted: Sequence[tuple[MeasuredCell, ServerLoad]], tail: int
) -> str:
    few = Counter(load.n < PERCENTILE_FLOORS[tail] for each, load in counted if each.state.over)[
        True
    ]
    words = [
        describe_left_out(cells),
        f"{few} with under {PERCENTILE_FLOORS[tail]} answers" if few else "",
    ]
    return ", ".join(filter(None, words))
