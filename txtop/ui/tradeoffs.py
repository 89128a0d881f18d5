"""What the cells of a session are worth against each other, in every plot that has points.

Pure: made from a session's state and from the rows of its table, so that their numbers are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from txtop.cell_state import CellState
from txtop.state import SessionState
from txtop.ui.figures import CellRow, Memo
from txtop.ui.plots import TITLES, Plot, Tradeoffs
from txtop.ui.points import Maker, Measured
from txtop.ui.sheets import KINDS, Sheet, absent, sheets

FEWEST = 2
FEW, FEWER = "two measured cells make a plot", "fewer than two cells were measured"
FAMILIES = {"causal": "decoders", "seq2seq": "encoder-decoders", "encoder": "encoders"}


def tradeoffs(
    session: SessionState, rows: Sequence[CellRow], shown: CellState | None, memo: Memo
) -> Tradeoffs:
    """The plots of a session; `rows` are those of its table, `shown` the cell at work."""
    known = {row.id: row for row in rows}
    plots: list[Plot] = []
    at: int | None = None
    for sheet in memo.of_plan(session.plan, sheets):
        drawn = [plot for plot in _plots(session, sheet, known, memo) if _enough(plot)]
        if at is None and shown and drawn and any(m.cell == shown.cell.id for m in sheet.members):
            at = len(plots) + _place(drawn, shown)
        plots += drawn
    return Tradeoffs(tuple(plots), at or 0, _absent(session, plots, memo))


def _place(plots: Sequence[Plot], shown: CellState) -> int:
    """Which of the plots of a sheet the cell at work is in; the first if it is no point yet."""
    name = shown.cell.id
    held = (i for i, plot in enumerate(plots) if any(p.row.id == name for p in plot.points))
    return next(held, 0)


def _enough(plot: Plot) -> bool:
    return sum(point.y > 0 for point in plot.points) >= FEWEST


def _plots(
    session: SessionState, sheet: Sheet, known: dict[str, CellRow], memo: Memo
) -> list[Plot]:
    """The sheet with what was measured, one plot a family: their numbers do not compare."""
    by_family: dict[str | None, list[Measured]] = {}
    for member in sheet.members:
        state = session.cells[member.cell]
        measured = Measured(member, state, known[member.cell])
        by_family.setdefault(state.family, []).append(measured)
    # One that failed before it was loaded belongs to the only family there is, or to none.
    unknown = by_family.pop(None, [])
    if len(by_family) == 1:
        return [
            Maker(session, memo, sheet, [*cells, *unknown]).plot() for cells in by_family.values()
        ]
    found = []
    for family, cells in by_family.items():
        plot = Maker(session, memo, sheet, cells).plot()
        words = (plot.of, FAMILIES.get(family or "", family or ""))
        found.append(replace(plot, of=" · ".join(filter(None, words))))
    return found


def _absent(
    session: SessionState, plots: Sequence[Plot], memo: Memo
) -> tuple[tuple[str, str], ...]:
    """For each kind without a plot its title and why."""
    why = memo.of_plan(session.plan, absent)
    drawn = {plot.kind for plot in plots}
    few = FEW if session.ended is None else FEWER
    missing = (kind for kind in KINDS if kind not in drawn and session.plan.cells)
    return tuple((TITLES[kind], why.get(kind, few)) for kind in missing)
