"""The curve of a sweep: what a server answers a second against how long its requests take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from txtop import formatting
from txtop.analysis import knee, metrics, serving
from txtop.plan.labels import word
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.summary import PERCENTILE_FLOORS, compute_percentile_above_floor
from txtop.ui.models import hero_metrics
from txtop.ui.models.cache import Memo
from txtop.ui.models.tradeoffs.groups import Sheet
from txtop.ui.models.tradeoffs.plot import Plot, Point
from txtop.ui.models.tradeoffs.points import Measured, left_out

TAILS = (95, 90, 75, 50)
NAMED = ("model", "precision", "sequence_length")


@dataclass(frozen=True)
class Load:
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


def plot(session: SessionState, memo: Memo, sheet: Sheet, cells: Sequence[Measured]) -> Plot:
    """A line a scenario, its loads in their order, and its knee once all of them are over."""
    counted = [(each, _load(each.state, memo)) for each in cells if each.counts]
    tail = _tail(counted)
    shown = [(each, load) for each, load in counted if load.n >= PERCENTILE_FLOORS[tail]]
    shown.sort(key=lambda pair: (pair[0].member.line, pair[1].order))
    best = _knees(session, memo)
    points = [_point(session, memo, sheet, each, load, tail) for each, load in shown]
    points = [_knee(p) if p.row.id in best else p for p in points]
    encoders = any(each.state.family == "encoder" for each in cells)
    unit = "req/s" if encoders else "tok/s"
    return Plot(
        kind="load",
        of=sheet.of,
        lines=sheet.lines,
        points=tuple(points),
        x_name=f"ms E2E, p{tail}",
        y_name=unit,
        unit=unit,
        time_head=f"p{tail} ms",
        time_unit=f"ms E2E p{tail}",
        left_out=_left_out(cells, counted, tail),
        remarks=_remarks(points),
    )


def _knees(session: SessionState, memo: Memo) -> set[str]:
    """Anew only when a cell has ended: only such cells count."""
    cells = session.cells.items()
    over = [(name, state.invalid, len(state.samples)) for name, state in cells if state.over]
    return memo.kept(
        "knees",
        (session.plan, session.ended is not None, over),
        lambda: {state.cell.id for state in knee.find_knees(session).values()},
    )


def _load(state: CellState, memo: Memo) -> Load:
    offered = knee.compute_offered_rate(state)
    made_of = state.samples, len(state.samples), offered, state.over

    def make() -> Load:
        return Load(
            offered,
            knee.compute_answered_rate(state) or 0.0,
            len(state.samples.kept()),
            serving.compute_occupancy(state),
            serving.count_totals(state).unanswered if state.over else 0,
        )

    return memo.kept(("load", state.cell.id), made_of, make)


def _tail(counted: Sequence[tuple[Measured, Load]]) -> int:
    """The highest percentile that every cell that has ended may state; one at work joins when it
    may, so that it does not pull the axis down as it begins. Cells with too few answers for a
    median are no points, and pull nothing either."""
    ended = [load.n for each, load in counted if each.state.over]
    known = [
        n for n in ended or [load.n for _, load in counted] if n >= PERCENTILE_FLOORS[TAILS[-1]]
    ]
    return next((p for p in TAILS if all(n >= PERCENTILE_FLOORS[p] for n in known)), TAILS[-1])


def _point(
    session: SessionState, memo: Memo, sheet: Sheet, each: Measured, load: Load, tail: int
) -> Point:
    state, cell, name = each.state, each.state.cell, sheet.lines[each.member.line]
    ms = _e2e_ms(state, tail, memo)
    saturated = state.saturated
    words = [word(cell, knob) for knob in NAMED]
    label = each.member.label if load.offered is None else f"{formatting.three(load.offered)}/s"
    queue = hero_metrics.figure(state, "queue_ms", memo, session.plan.seed).mean
    point = Point(
        row=each.row,
        title=" · ".join([*words, *(() if name in words else (name,)), label]),
        name=name,
        line=each.member.line,
        x=max(ms, 1e-3),
        y=each.row.rate_value,
        label=label,
        loose=load.offered is None,
        time=formatting.ms(ms),
        said=_said(label, load, formatting.ms(queue)),
    )
    if saturated:
        return replace(
            point, saturated=True, beside="saturated", title=f"{point.title} · saturated"
        )
    return replace(point, beside=formatting.PENDING) if point.running else point


def _e2e_ms(state: CellState, tail: int, memo: Memo) -> float:
    made_of = state.samples, len(state.samples)

    def make() -> float:
        ordered = sorted(metrics.compute_values(state, "e2e_ms"))
        return compute_percentile_above_floor(ordered, len(ordered), tail) or 0.0

    return memo.kept(("tail", tail, state.cell.id), made_of, make)


def _said(label: str, load: Load, queue: str) -> tuple[str, ...]:
    answered, full = (
        f"{formatting.three(load.answered)}/s",
        f"{formatting.percent(100 * load.occupancy)} %",
    )
    lost = f", {load.unanswered} not answered" if load.unanswered else ""
    return (
        f"offered {label}, answered {answered}{lost}   queue {queue} ms   occupancy {full}",
        f"{label} → {answered}   queue {queue} ms   {full} full",
        f"answered {answered}   queue {queue} ms",
        f"queue {queue} ms",
    )


def _knee(point: Point) -> Point:
    return replace(point, front=True, beside="knee", title=f"{point.title} · knee")


def _remarks(points: Sequence[Point]) -> tuple[str, ...]:
    said = [f"{p.name} knee: {p.label}" for p in points if p.front]
    return (*said, serving.SATURATED_NOTE) if any(p.saturated for p in points) else tuple(said)


def _left_out(
    cells: Sequence[Measured], counted: Sequence[tuple[Measured, Load]], tail: int
) -> str:
    few = Counter(load.n < PERCENTILE_FLOORS[tail] for each, load in counted if each.state.over)[
        True
    ]
    words = [left_out(cells), f"{few} with under {PERCENTILE_FLOORS[tail]} answers" if few else ""]
    return ", ".join(filter(None, words))
