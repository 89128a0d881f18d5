"""What the cells of a session are worth against each other, in every plot that has points.

Pure: made from a session's state and from the rows of its table, so that their numbers are equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.ui.models.cache import Memo
from txtop.ui.models.cells import CellRow
from txtop.ui.models.tradeoffs import load_curve
from txtop.ui.models.tradeoffs.groups import KINDS, Sheet, absent, sheets
from txtop.ui.models.tradeoffs.plot import TITLES, Plot, Tradeoffs
from txtop.ui.models.tradeoffs.points import Maker, Measured

Made = tuple[CellRow, str | None, int, bool]
FEWEST = 2
FEW, FEWER = "two measured cells make a plot", "fewer than two cells were measured"
FAMILIES = {"causal": "decoders", "seq2seq": "encoder-decoders", "encoder": "encoders"}


def tradeoffs(
    session: SessionState, rows: Sequence[CellRow], shown: CellState | None, memo: Memo
) -> Tradeoffs:
    """The plots of a session; `rows` are those of its table, `shown` the cell at work."""
    plan = session.plan
    known = {row.id: _made_of(row, session.cells[row.id], memo) for row in rows}
    plots: list[Plot] = []
    at: int | None = None
    for i, sheet in enumerate(memo.kept("sheets", plan, lambda: sheets(plan))):
        made_of = [known[member.cell] for member in sheet.members]
        make = partial(_plots, session, sheet, known, memo)
        drawn = memo.kept(("plots", i), (sheet, made_of), make)
        if at is None and shown and drawn and any(m.cell == shown.cell.id for m in sheet.members):
            at = len(plots) + _place(drawn, shown)
        plots += drawn
    return Tradeoffs(tuple(plots), at or 0, _absent(session, plots, memo))


def _made_of(row: CellRow, state: CellState, memo: Memo) -> Made:
    """What a point is made of: with these the same, so is the point."""
    return row, state.family, len(state.samples), memo.is_ready(state)


def _place(plots: Sequence[Plot], shown: CellState) -> int:
    """Which of the plots of a sheet the cell at work is in; the first if it is no point yet."""
    name = shown.cell.id
    held = (i for i, plot in enumerate(plots) if any(p.row.id == name for p in plot.points))
    return next(held, 0)


def _plots(
    session: SessionState, sheet: Sheet, known: Mapping[str, Made], memo: Memo
) -> list[Plot]:
    """The sheet with what was measured, one plot a family, as their numbers do not compare; those
    that have points enough."""
    plots = _of_families(session, sheet, known, memo)
    return [plot for plot in plots if sum(point.y > 0 for point in plot.points) >= FEWEST]


def _of_families(
    session: SessionState, sheet: Sheet, known: Mapping[str, Made], memo: Memo
) -> list[Plot]:
    by_family: dict[str | None, list[Measured]] = {}
    for member in sheet.members:
        row, family, *_ = known[member.cell]
        measured = Measured(member, session.cells[member.cell], row)
        by_family.setdefault(family, []).append(measured)
    # One that failed before it was loaded belongs to the only family there is, or to none.
    unknown = by_family.pop(None, [])
    if len(by_family) == 1:
        return [_plot(session, memo, sheet, [*cells, *unknown]) for cells in by_family.values()]
    found = []
    for family, cells in by_family.items():
        plot = _plot(session, memo, sheet, cells)
        words = (plot.of, FAMILIES.get(family or "", family or ""))
        found.append(replace(plot, of=" · ".join(filter(None, words))))
    return found


def _plot(session: SessionState, memo: Memo, sheet: Sheet, cells: Sequence[Measured]) -> Plot:
    if sheet.kind == "load":
        return load_curve.plot(session, memo, sheet, cells)
    return Maker(session, memo, sheet, cells).plot()


def _absent(
    session: SessionState, plots: Sequence[Plot], memo: Memo
) -> tuple[tuple[str, str], ...]:
    """For each kind without a plot its title and why."""
    plan = session.plan
    why = memo.kept("absent", plan, lambda: absent(plan))
    drawn = {plot.kind for plot in plots}
    few = FEW if session.ended is None else FEWER
    planned = {sheet.kind for sheet in memo.kept("sheets", plan, lambda: sheets(plan))}
    missing = (kind for kind in KINDS if kind not in drawn and kind in planned | why.keys())
    return tuple((TITLES[kind], why.get(kind, few)) for kind in missing)
