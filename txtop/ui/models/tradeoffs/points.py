"""The points of each kind of plot, made from the figures that the table has of a group's cells."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from txtop import formatting
from txtop.analysis import metrics, roofline
from txtop.plan.labels import format_knob
from txtop.state import accuracy, quality
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats import pareto
from txtop.ui.models import hero_metrics
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.cells import CellRow
from txtop.ui.models.tradeoffs.groups import GroupMember, PlotGroup
from txtop.ui.models.tradeoffs.plot import TradeoffPlot, TradeoffPoint

TITLE_KNOBS = ("model", "precision", "batch_size", "sequence_length")
FRONT_REMARK = "nothing else has more throughput and less latency"
ACCURACY_REMARK = "nothing else is faster and loses less accuracy"
RUNNING_REMARKS = ("running: it counts once it has ended", "running")


@dataclass(frozen=True)
class MeasuredCell:
    """A cell of a group, with its state and its row so far."""

    member: GroupMember
    state: CellState
    row: CellRow

    @property
    def counts(self) -> bool:
        """Return True if the cell is a point: measured, or being measured."""
        return self.row.state in ("done", "running") and self.row.rate_value > 0


class PlotBuilder:
    """The builder of one plot of a group; `cells` are all of one family."""

    def __init__(
        self,
        session: SessionState,
        cache: FrameCache,
        group: PlotGroup,
        cells: Sequence[MeasuredCell],
    ) -> None:
        self._session, self._memo = session, cache
        self._group, self._cells = group, cells
        self._encoders = any(measured.state.family == "encoder" for measured in cells)
        self._references = cache.references(session)

    def plot(self) -> TradeoffPlot:
        """Build the plot; it may have no points."""
        builders = {
            "rates": self._rates,
            "lengths": self._lengths,
            "precisions": self._precisions,
            "accuracy": self._accuracy,
        }
        per = "forward pass" if self._encoders else "token"
        base = TradeoffPlot(
            kind=self._group.kind,
            of=self._group.of,
            lines=self._group.lines,
            points=(),
            unit="seq/s" if self._encoders else "tok/s",
            time_head="fwd ms" if self._encoders else "ms/token",
            time_unit=f"ms per {per}",
            left_out=describe_left_out(self._cells, self._session),
            session_cells=len(self._session.cells),
        )
        return builders[self._group.kind](base)

    def _rates(self, base: TradeoffPlot) -> TradeoffPlot:
        """Plot the rate against the time of a token, for an encoder of a forward pass."""
        name = "e2e_ms" if self._encoders else "tpot_ms"
        points = [
            self._point(measured, ms, measured.row.rate_value)
            for measured in self._cells
            if measured.counts and (ms := self._ms(measured, name))
        ]
        judged = sorted(_mark_front(points, base.unit), key=lambda point: point.x)
        return replace(
            base,
            points=tuple(judged),
            x_name=base.time_unit,
            y_name=base.unit,
            ceilings=self._ceilings(),
        )

    def _ceilings(self) -> tuple[tuple[float, str], ...]:
        """Return the highest rate that memory bandwidth allows a plotted cell, and its label.

        Empty where it is not known.
        """
        ceilings = [
            (most, measured)
            for measured in self._cells
            if measured.counts
            and (most := roofline.compute_ceiling_tokens_per_s(self._session, measured.state))
        ]
        if not ceilings:
            return ()
        most, best = max(ceilings, key=lambda pair: pair[0])
        assert best.state.load is not None
        peaks = self._session.peaks_of(best.state.load)
        how = "published" if peaks is not None and peaks.source == "table" else "measured"
        cell = best.state.cell
        return ((most, f"memory bandwidth, {how}: {cell.precision} batch {cell.batch_size}"),)

    def _lengths(self, base: TradeoffPlot) -> TradeoffPlot:
        """Plot TTFT against the length; for an encoder, the time of a forward pass."""
        name = "e2e_ms" if self._encoders else "ttft_ms"
        points = [
            replace(
                self._point(measured, float(measured.row.length), ms),
                time=measured.row.forward or measured.row.ttft,
            )
            for measured in self._cells
            if measured.counts and (ms := self._ms(measured, name))
        ]
        points.sort(key=lambda point: (point.x, point.y))
        shortest: dict[int, TradeoffPoint] = {}
        grown = [
            _describe_growth(point, shortest.setdefault(point.line, point)) for point in points
        ]
        plot = replace(base, points=tuple(grown), x_name="tokens", y_name="ms")
        if self._encoders:
            return plot
        return replace(plot, y_name="TTFT", time_head="TTFT ms", time_unit="ms to the first token")

    def _precisions(self, base: TradeoffPlot) -> TradeoffPlot:
        """Plot each precision beside the most precise one of its work, in the order of the plan."""
        points = []
        for measured in self._cells:
            if measured.row.state == "waiting":
                continue
            rate = measured.row.rate_value if measured.counts else 0.0
            point = self._point(measured, self._speed_up(measured) if rate else 0.0, rate)
            note = () if measured.row.note in ("", "reference") else (measured.row.note,)
            costs = self._list_costs(measured, base) if rate else ()
            remarks = RUNNING_REMARKS if point.running else note
            points.append(replace(point, said=remarks, costs=costs))
        return replace(base, points=tuple(points), left_out="")

    def _list_costs(
        self, measured: MeasuredCell, base: TradeoffPlot
    ) -> tuple[tuple[str, str, float], ...]:
        """Return the times of a cell and its peak memory, as the table has them."""
        row, peak = measured.row, float(measured.state.peak_bytes or 0)
        costs = [("peak GiB", row.gib, peak)]
        if self._encoders:
            costs.insert(0, (base.time_head, row.forward, self._ms(measured, "e2e_ms")))
        else:
            costs.insert(0, (base.time_head, row.tpot, self._ms(measured, "tpot_ms")))
            costs.insert(0, ("TTFT ms", row.ttft, self._ms(measured, "ttft_ms")))
        return tuple(cost for cost in costs if cost[2])

    def _accuracy(self, base: TradeoffPlot) -> TradeoffPlot:
        """Plot the rate against the points that a cell loses in its worst task; a gain is no loss.

        The most precise cell of each work loses none.
        """
        points = []
        for measured in self._cells:
            own = quality.get_quality(self._session, measured.row.id).points
            is_reference = not self._memo.is_judged(self._session, measured.row.id)
            if not measured.counts or (own is None and not is_reference):
                continue
            lost = 0.0 if own is None else max(0.0, -own)
            point = self._point(measured, lost, measured.row.rate_value)
            text = "0" if own is None else accuracy.format_points(own / 100)
            points.append(replace(point, time=text.removesuffix(" pt")))
        judged = sorted(_mark_front(points, base.unit, ACCURACY_REMARK), key=lambda point: point.x)
        margin = 100 * self._session.plan.accuracy_margin
        return replace(
            base,
            points=tuple(judged) if len(points) > 1 else (),
            x_name="points lost",
            y_name=base.unit,
            time_head="points",
            time_unit="points",
            budgets=((margin, "margin"),),
        )

    def _point(self, measured: MeasuredCell, x: float, y: float) -> TradeoffPoint:
        row, cell, name = measured.row, measured.state.cell, self._group.lines[measured.member.line]
        parts = [format_knob(cell, knob) for knob in TITLE_KNOBS]
        badge = quality.get_quality(self._session, row.id).badge if row.badges else "unmeasured"
        best = self._references.get(row.id)
        return TradeoffPoint(
            row=row,
            title=" · ".join(parts if name in parts else [*parts, name]),
            name=name,
            line=measured.member.line,
            x=x,
            y=y,
            label=measured.member.label,
            time=row.forward or row.tpot,
            reference=best.cell.precision if best else "",
            badge_role=quality.BADGE_ROLES.get(badge, "muted"),
        )

    def _ms(self, measured: MeasuredCell, name: str) -> float:
        """Return the time that the table has for a metric; 0 for none."""
        mean = hero_metrics.get_table_metric(
            measured.state, name, self._memo, self._session.plan.seed
        ).mean
        return mean if mean is not None and math.isfinite(mean) and mean > 0 else 0.0

    def _speed_up(self, measured: MeasuredCell) -> float:
        """Return the speed-up that the table has; 0 for none."""
        if not measured.row.ratio:
            return 0.0
        state, session = measured.state, self._session
        mean = hero_metrics.get_table_metric(
            state, metrics.choose_headline_metric(state), self._memo, session.plan.seed
        ).mean
        best = self._references.get(measured.row.id)
        return hero_metrics.compute_speed_up(session, state, mean, best, self._memo) or 0.0


def describe_left_out(cells: Sequence[MeasuredCell], session: SessionState) -> str:
    """Describe the cells that are over and no points: `1 failed, 2 INVALID`."""
    counts = Counter(
        "INVALID" if measured.state.invalid else session.word_ending(measured.state)
        for measured in cells
        if measured.state.over and not measured.counts
    )
    return ", ".join(f"{n} {reason}" for reason, n in counts.items())


def _mark_front(
    points: Sequence[TradeoffPoint], unit: str, on_front: str = FRONT_REMARK
) -> list[TradeoffPoint]:
    """Mark the Pareto-optimal points of each work, and name the point that beats each other one.

    Where works differ, the line of a point names its work, or its label among accuracies. A cell
    that is running is judged when it has ended.
    """
    marked: list[TradeoffPoint] = []
    works: dict[tuple[str, int, int], list[TradeoffPoint]] = {}
    for point in points:
        if point.running:
            marked.append(replace(point, beside=formatting.PENDING, said=RUNNING_REMARKS))
        else:
            row = point.row
            works.setdefault((row.model, row.length, row.tokens), []).append(point)
    for own in works.values():
        on_it = pareto.find_front([(point.x, point.y) for point in own])
        front = [point for point, is_on in zip(own, on_it, strict=True) if is_on]
        for point, is_on in zip(own, on_it, strict=True):
            if is_on:
                work = point.name if on_front is FRONT_REMARK else point.label
                optimal = f"Pareto-optimal of {work}" if len(works) > 1 else "Pareto-optimal"
                remarks = f"{optimal}: {on_front}", optimal, "optimal"
                marked.append(replace(point, front=True, beside="optimal", said=remarks))
            else:
                time_unit = "ms" if on_front is FRONT_REMARK else "points"
                marked.append(replace(point, said=_describe_better(point, front, unit, time_unit)))
    return marked


def _describe_better(
    point: TradeoffPoint, front: Sequence[TradeoffPoint], unit: str, time_unit: str
) -> tuple[str, ...]:
    """Describe the fastest point of less latency, longest wording first.

    Its badge is added if its output is that of another precision.
    """
    better = [by for by in front if pareto.dominates((by.x, by.y), (point.x, point.y))]
    by = max(better, key=lambda other: other.y)
    name = f"{by.name} batch {by.label}" if time_unit == "ms" else by.name
    same = by.is_reference or by.row.precision == point.row.precision
    if by.row.badges and not same:
        name = f"{name} ({by.row.badges[-1]})"
    figures = f"{by.row.rate} {unit} at {by.time} {time_unit}"
    return f"beaten by {name}: {figures}", f"beaten by {name}", "beaten"


def _describe_growth(point: TradeoffPoint, first: TradeoffPoint) -> TradeoffPoint:
    """Compare the time of a point with that of the shortest length on its line."""
    if point is first:
        remarks: tuple[str, ...] = ("shortest length in its series", "shortest")
        return replace(point, said=RUNNING_REMARKS if point.running else remarks)
    times, longer = (
        formatting.format_ratio(point.y / first.y),
        formatting.format_ratio(point.x / first.x),
    )
    remarks = (
        f"{times} the time of {first.row.length} tokens, {longer} the length",
        f"{times} the time, {longer} the length",
        times,
    )
    return replace(point, beside=times, said=RUNNING_REMARKS if point.running else remarks)
