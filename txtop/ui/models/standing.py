"""The standing of a measured cell: how far its number holds, as one mark and word on every screen.

Apart from the panels because the cell at work, the table, the arms of an A/B and the plots must not
say different things of one number.
"""

from __future__ import annotations

from typing import Literal

from txtop.analysis import contention, metrics
from txtop.analysis.metrics import LiveSummary
from txtop.state.cell import CellState
from txtop.ui.models.hero_metrics import FEW_BELOW

Standing = Literal["steady", "measured", "doubtful", "busy", "saturated"]

# Glyph, word and colour. Green says that the number holds; doubt takes the colour away, and its
# reason stands beside it.
SIGNS: dict[Standing, tuple[str, str, str]] = {
    "steady": ("●", "STABLE", "ok.bold"),
    "measured": ("✓", "done", "text.bold"),
    "doubtful": ("○", "done", "text"),
    "busy": ("▲", "BUSY", "warn.bold"),
    "saturated": ("▲", "SATURATED", "warn.bold"),
}
# A server has no steady state: once it is over, its rate is as good as its interval.
SERVED_SIGN = ("✓", "done", "ok.bold")


def judge_standing(cell: CellState, now: LiveSummary) -> Standing:
    """Judge the rate `now` of a cell that was measured to its end.

    Without an interval (a drift), or of fewer iterations than `FEW_BELOW`, it is doubtful.
    """
    if cell.saturated:
        return "saturated"
    if contention.is_busy(cell):
        return "busy"
    if now.ci95 is None or now.n < FEW_BELOW:
        return "doubtful"
    return "steady" if metrics.is_stable(now) or cell.cell.serving is not None else "measured"


def get_sign(cell: CellState, standing: Standing) -> tuple[str, str, str]:
    """Return glyph, word and colour of a standing."""
    served = cell.cell.serving is not None and standing == "steady"
    return SERVED_SIGN if served else SIGNS[standing]
