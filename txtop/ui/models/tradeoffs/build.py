"""The trade-offs of a session: every plot that has points.

Pure: made from a session's state and from the rows of its table, so that their numbers are equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from txtop.analysis.roofline import list_roof_facts
from txtop.models.builtin import FAMILY_NAMES, Family
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

PointInputs = tuple[CellRow, Family | None, int, bool]
MIN_POINTS = 2
TOO_FEW_YET, TOO_FEW_MEASURED = (
    "needs two measured cells",
    "fewer than two cells were measured",
)


def build_tradeoffs(
    session: SessionState, rows: Sequence[CellRow], current: CellState | None, cache: FrameCache
) -> TradeoffsView:
    """Build the plots of a session; `rows` are those of its table, `current` the cell at work."""
    plan = session.plan
    inputs = {row.id: _collect_point_inputs(row, session.cells[row.id], cache) for row in rows}
    plots: list[TradeoffPlot] = []
    at: int | None = None
    roofs = list_roof_facts(session)
    for i, group in enumerate(cache.get_or_make("sheets", plan, lambda: group_cells(plan))):
        made_of = [inputs[member.cell] for member in group.members]
        make = partial(_build_plots, session, group, inputs, cache)
        drawn = cache.get_or_make(("plots", i), (group, made_of, roofs), make)
        if (
            at is None
            and current
            and drawn
            and any(m.cell == current.cell.id for m in group.members)
        ):
            at = len(plots) + _find_plot(drawn, current)
        plots += drawn
    return TradeoffsView(tuple(plots), at or 0, _explain_missing_plots(session, plots, cache))


def _collect_point_inputs(row: CellRow, state: CellState, cache: FrameCache) -> PointInputs:
    """Return the values that a point is made of: while these are equal, so is the point."""
    return row, state.family, len(state.samples), cache.is_ready(state)


def _find_plot(plots: Sequence[TradeoffPlot], current: CellState) -> int:
    """Return the index of the plot that has the cell at work; 0 if it is no point yet."""
    name = current.cell.id
    held = (i for i, plot in enumerate(plots) if any(p.row.id == name for p in plot.points))
    return next(held, 0)


def _build_plots(
    session: SessionState, group: PlotGroup, inputs: Mapping[str, PointInputs], cache: FrameCache
) -> list[TradeoffPlot]:
    """Build one plot a model family, as their numbers do not compare.

    Plots with too few points are left out.
    """
    plots = _build_family_plots(session, group, inputs, cache)
    return [plot for plot in plots if sum(point.y > 0 for point in plot.points) >= MIN_POINTS]


def _build_family_plots(
    session: SessionState, group: PlotGroup, inputs: Mapping[str, PointInputs], cache: FrameCache
) -> list[TradeoffPlot]:
    by_family: dict[Family | None, list[MeasuredCell]] = {}
    for member in group.members:
        row, family, *_ = inputs[member.cell]
        measured = MeasuredCell(member, session.cells[member.cell], row)
        by_family.setdefault(family, []).append(measured)
    # A cell that failed before its load has no known family: it joins the only one, or none.
    unknown = by_family.pop(None, [])
    if len(by_family) == 1:
        return [
            _build_plot(session, cache, group, [*cells, *unknown]) for cells in by_family.values()
        ]
    family_plots = []
    for family, cells in by_family.items():
        plot = _build_plot(session, cache, group, cells)
        parts = (plot.of, f"{FAMILY_NAMES[family]}s" if family else "")
        family_plots.append(replace(plot, of=" · ".join(filter(None, parts))))
    return family_plots


def _build_plot(
    session: SessionState, cache: FrameCache, group: PlotGroup, cells: Sequence[MeasuredCell]
) -> TradeoffPlot:
    if group.kind == "load":
        return load_curve.build_load_curve(session, cache, group, cells)
    return PlotBuilder(session, cache, group, cells).plot()


def _explain_missing_plots(
    session: SessionState, plots: Sequence[TradeoffPlot], cache: FrameCache
) -> tuple[tuple[str, str], ...]:
    """Return title and reason of each kind without a plot."""
    plan = session.plan
    why = cache.get_or_make("absent", plan, lambda: explain_missing_plots(plan))
    drawn = {plot.kind for plot in plots}
    few = TOO_FEW_YET if session.ended is None else TOO_FEW_MEASURED
    planned = {group.kind for group in cache.get_or_make("sheets", plan, lambda: group_cells(plan))}
    missing = (kind for kind in PLOT_KINDS if kind not in drawn and kind in planned | why.keys())
    return tuple((PLOT_TITLES[kind], why.get(kind, few)) for kind in missing)
