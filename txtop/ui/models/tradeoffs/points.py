"""The points of each kind of plot, made of what the table states of the cells on a sheet."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from txtop import formatting
from txtop.analysis import metrics, roofline
from txtop.plan.labels import format_knob
from txtop.state import fidelity
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats import pareto
from txtop.ui.models import ab_comparison, hero_metrics
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.cells import CellRow
from txtop.ui.models.tradeoffs.groups import GroupMember, PlotGroup
from txtop.ui.models.tradeoffs.plot import TradeoffPlot, TradeoffPoint

TITLE_KNOBS = ("model", "precision", "batch_size", "sequence_length")
FRONT_REMARKS = (
    "Pareto-optimal: nothing else has more throughput and less latency",
    "on the front",
    "front",
)
RUNNING_REMARKS = ("running: it counts once it has ended", "running")


@dataclass(frozen=True)
class MeasuredCell:
    """A cell on a sheet, as far as it has come."""

    member: GroupMember
    state: CellState
    row: CellRow

    @property
    def counts(self) -> bool:
        """Whether it is a point: measured, or being measured."""
        return self.row.state in ("done", "running") and self.row.rate_value > 0


class PlotBuilder:
    """Makes one plot of a sheet; `cells` are all of one family."""

    def __init__(
        self,
        session: SessionState,
        memo: FrameCache,
        sheet: PlotGroup,
        cells: Sequence[MeasuredCell],
    ) -> None:
        self._session, self._memo = session, memo
        self._sheet, self._cells = sheet, cells
        self._encoders = any(each.state.family == "encoder" for each in cells)
        self._references = memo.references(session)

    def plot(self) -> TradeoffPlot:
        """The plot, whether it has points or not."""
        made = {"rates": self._rates, "lengths": self._lengths, "precisions": self._precisions}
        per = "forward pass" if self._encoders else "token"
        base = TradeoffPlot(
            kind=self._sheet.kind,
            of=self._sheet.of,
            lines=self._sheet.lines,
            points=(),
            unit="seq/s" if self._encoders else "tok/s",
            time_head="fwd ms" if self._encoders else "ms/token",
            time_unit=f"ms per {per}",
            left_out=describe_left_out(self._cells),
        )
        return made[self._sheet.kind](base)

    def _rates(self, base: TradeoffPlot) -> TradeoffPlot:
        """The rate against the time of a token, of a forward pass for an encoder."""
        name = "e2e_ms" if self._encoders else "tpot_ms"
        points = [
            self._point(each, ms, each.row.rate_value)
            for each in self._cells
            if each.counts and (ms := self._ms(each, name))
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
        """The highest rate that the memory's bandwidth allows any of the cells that count, and
        which one; none where it is not known."""
        known = [
            (most, each)
            for each in self._cells
            if each.counts
            and (most := roofline.compute_ceiling_tokens_per_s(self._session, each.state))
        ]
        if not known:
            return ()
        most, best = max(known, key=lambda pair: pair[0])
        assert best.state.load is not None
        peaks = self._session.peaks_of(best.state.load)
        how = "published" if peaks is not None and peaks.source == "table" else "measured"
        cell = best.state.cell
        return ((most, f"memory bandwidth, {how}: {cell.precision} batch {cell.batch_size}"),)

    def _lengths(self, base: TradeoffPlot) -> TradeoffPlot:
        """The time that a prompt takes: to its first token, of a forward pass for an encoder."""
        name = "e2e_ms" if self._encoders else "ttft_ms"
        points = [
            replace(
                self._point(each, float(each.row.length), ms),
                time=each.row.forward or each.row.ttft,
            )
            for each in self._cells
            if each.counts and (ms := self._ms(each, name))
        ]
        points.sort(key=lambda point: (point.x, point.y))
        shortest: dict[int, TradeoffPoint] = {}
        grown = [
            _describe_growth(point, shortest.setdefault(point.line, point)) for point in points
        ]
        shown = replace(base, points=tuple(grown), x_name="tokens", y_name="ms")
        if self._encoders:
            return shown
        return replace(shown, y_name="TTFT", time_head="TTFT ms", time_unit="ms to the first token")

    def _precisions(self, base: TradeoffPlot) -> TradeoffPlot:
        """Every precision beside the most precise one of its work, in the order of the plan."""
        points = []
        for each in self._cells:
            if each.row.state == "waiting":
                continue
            rate = each.row.rate_value if each.counts else 0.0
            point = self._point(each, self._speed_up(each) if rate else 0.0, rate)
            note = () if each.row.note in ("", "reference") else (each.row.note,)
            points.append(replace(point, said=RUNNING_REMARKS if point.running else note))
        return replace(base, points=tuple(points), left_out="")

    def _point(self, each: MeasuredCell, x: float, y: float) -> TradeoffPoint:
        row, cell, name = each.row, each.state.cell, self._sheet.lines[each.member.line]
        words = [format_knob(cell, knob) for knob in TITLE_KNOBS]
        badge = (
            fidelity.compute_badge(self._session.output_of(row.id)) if row.badges else "unmeasured"
        )
        best = self._references.get(row.id)
        return TradeoffPoint(
            row=row,
            title=" · ".join(words if name in words else [*words, name]),
            name=name,
            line=each.member.line,
            x=x,
            y=y,
            label=each.member.label,
            time=row.forward or row.tpot,
            reference=best.cell.precision if best else "",
            badge_role=ab_comparison.FIDELITY_ROLES.get(badge, "muted"),
        )

    def _ms(self, each: MeasuredCell, name: str) -> float:
        """What the table states of that time; 0 for nothing."""
        mean = hero_metrics.get_table_metric(
            each.state, name, self._memo, self._session.plan.seed
        ).mean
        return mean if mean is not None and math.isfinite(mean) and mean > 0 else 0.0

    def _speed_up(self, each: MeasuredCell) -> float:
        """What the table states of it; 0 for nothing."""
        if not each.row.ratio:
            return 0.0
        state, seed = each.state, self._session.plan.seed
        mean = hero_metrics.get_table_metric(
            state, metrics.choose_headline_metric(state), self._memo, seed
        ).mean
        best = self._references.get(each.row.id)
        return hero_metrics.compute_speed_up(state, mean, best, self._memo, seed) or 0.0


def describe_left_out(cells: Sequence[MeasuredCell]) -> str:
    """`1 failed, 2 INVALID`: what has ended and is no point."""
    words = Counter(
        "INVALID" if each.state.invalid else each.state.status
        for each in cells
        if each.state.over and not each.counts
    )
    return ", ".join(f"{n} {what}" for what, n in words.items())


def _mark_front(points: Sequence[TradeoffPoint], unit: str) -> list[TradeoffPoint]:
    """Which are on the front, and by what the others are beaten, among cells of one work; one that
    is running is judged when it has ended."""
    found: list[TradeoffPoint] = []
    works: dict[tuple[str, int, int], list[TradeoffPoint]] = {}
    for point in points:
        if point.running:
            found.append(replace(point, beside=formatting.PENDING, said=RUNNING_REMARKS))
        else:
            row = point.row
            works.setdefault((row.model, row.length, row.tokens), []).append(point)
    for own in works.values():
        on_it = pareto.find_front([(point.x, point.y) for point in own])
        front = [point for point, is_on in zip(own, on_it, strict=True) if is_on]
        for point, is_on in zip(own, on_it, strict=True):
            if is_on:
                found.append(replace(point, front=True, beside="front", said=FRONT_REMARKS))
            else:
                found.append(replace(point, said=_describe_better(point, front, unit)))
    return found


def _describe_better(
    point: TradeoffPoint, front: Sequence[TradeoffPoint], unit: str
) -> tuple[str, ...]:
    """By the fastest that is sooner too, with the badge of its output if that is another."""
    better = [by for by in front if pareto.dominates((by.x, by.y), (point.x, point.y))]
    by = max(better, key=lambda each: each.y)
    name = f"{by.name} batch {by.label}"
    if by.row.badges and by.row.precision not in (by.reference, point.row.precision):
        name = f"{name} ({by.row.badges[-1]})"
    return f"beaten by {name}: {by.row.rate} {unit} at {by.time} ms", f"beaten by {name}", "beaten"


def _describe_growth(point: TradeoffPoint, first: TradeoffPoint) -> TradeoffPoint:
    """How much longer it takes than the shortest of its line."""
    if point is first:
        said: tuple[str, ...] = ("shortest length in its series", "shortest")
        return replace(point, said=RUNNING_REMARKS if point.running else said)
    times, longer = (
        formatting.format_ratio(point.y / first.y),
        formatting.format_ratio(point.x / first.x),
    )
    said = (
        f"{times} the time of {first.row.length} tokens, {longer} the length",
        f"{times} the time, {longer} the length",
        times,
    )
    return replace(point, beside=times, said=RUNNING_REMARKS if point.running else said)
