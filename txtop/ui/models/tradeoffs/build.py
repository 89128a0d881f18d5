"""What the cells of a session are worth against each other, in every plot that has points.

Pure: made from a session's state and from the rows of its table, so that their numbers are equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.cells import CellRow
from txtop.ui.models.tradeoffs import load_curve
from txtop.ui.models.tradeoffs.groups import (
    PLOT_KINDS,
    PlotGroup,
    explain_missing_plots,
    group_cells,
)
from txtop.ui.models.tradeoffs.plot import PLOT_TITLES, TradeoffPlot, TradeoffsView
from txtop.ui.models.tradeoffs.points import MeasuredCell, PlotBuilder

PointInputs = tuple[CellRow, str | None, int, bool]
MIN_POINTS = 2
TOO_FEW_YET, TOO_FEW_MEASURED = (
    "needs two measured cells",
    "fewer than two cells were measured",
)
FAMILIES = {"causal": "decoders", "seq2seq": "encoder-decoders", "encoder": "encoders"}


def build_tradeoffs(
    session: SessionState, rows: Sequence[CellRow], shown: CellState | None, memo: FrameCache
) -> TradeoffsView:
    """The plots of a session; `rows` are those of its table, `shown` the cell at work."""
    plan = session.plan
    known = {row.id: _collect_point_inputs(row, session.cells[row.id], memo) for row in rows}
    plots: list[TradeoffPlot] = []
    at: int | None = None
    for i, sheet in enumerate(memo.kept("sheets", plan, lambda: group_cells(plan))):
        made_of = [known[member.cell] for member in sheet.members]
        make = partial(_build_plots, session, sheet, known, memo)
        drawn = memo.kept(("plots", i), (sheet, made_of), make)
        if at is None and shown and drawn and any(m.cell == shown.cell.id for m in sheet.members):
            at = len(plots) + _find_plot(drawn, shown)
        plots += drawn
    return TradeoffsView(tuple(plots), at or 0, _explain_missing_plots(session, plots, memo))


def _collect_point_inputs(row: CellRow, state: CellState, memo: FrameCache) -> PointInputs:
    """What a point is made of: with these the same, so is the point."""
    return row, state.family, len(state.samples), memo.is_ready(state)


def _find_plot(plots: Sequence[TradeoffPlot], shown: CellState) -> int:
    """Which of the plots of a sheet the cell at work is in; the first if it is no point yet."""
    name = shown.cell.id
    held = (i for i, plot in enumerate(plots) if any(p.row.id == name for p in plot.points))
    return next(held, 0)


def _build_plots(
    session: SessionState, sheet: PlotGroup, known: Mapping[str, PointInputs], memo: FrameCache
) -> list[TradeoffPlot]:
    """The sheet with what was measured, one plot a family, as their numbers do not compare; those
    that have points enough."""
    plots = _build_family_plots(session, sheet, known, memo)
    return [plot for plot in plots if sum(point.y > 0 for point in plot.points) >= MIN_POINTS]


def _build_family_plots(
    session: SessionState, sheet: PlotGroup, known: Mapping[str, PointInputs], memo: FrameCache
) -> list[TradeoffPlot]:
    by_family: dict[str | None, list[MeasuredCell]] = {}
    for member in sheet.members:
        row, family, *_ = known[member.cell]
        measured = MeasuredCell(member, session.cells[member.cell], row)
        by_family.setdefault(family, []).append(measured)
    # One that failed before it was loaded belongs to the only family there is, or to none.
    unknown = by_family.pop(None, [])
    if len(by_family) == 1:
        return [
            _build_plot(session, memo, sheet, [*cells, *unknown]) for cells in by_family.values()
        ]
    found = []
    for family, cells in by_family.items():
        plot = _build_plot(session, memo, sheet, cells)
        words = (plot.of, FAMILIES.get(family or "", family or ""))
        found.append(replace(plot, of=" · ".join(filter(None, words))))
    return found


def _build_plot(
    session: SessionState, memo: FrameCache, sheet: PlotGroup, cells: Sequence[MeasuredCell]
) -> TradeoffPlot:
    if sheet.kind == "load":
        return load_curve.build_load_curve(session, memo, sheet, cells)
    return PlotBuilder(session, memo, sheet, cells).plot()


def _explain_missing_plots(
    session: SessionState, plots: Sequence[TradeoffPlot], memo: FrameCache
) -> tuple[tuple[str, str], ...]:
    """For each kind without a plot its title and why."""
    plan = session.plan
    why = memo.kept("absent", plan, lambda: explain_missing_plots(plan))
    drawn = {plot.kind for plot in plots}
    few = TOO_FEW_YET if session.ended is None else TOO_FEW_MEASURED
    planned = {sheet.kind for sheet in memo.kept("sheets", plan, lambda: group_cells(plan))}
    missing = (kind for kind in PLOT_KINDS if kind not in drawn and kind in planned | why.keys())
    return tuple((PLOT_TITLES[kind], why.get(kind, few)) for kind in missing)
