"""Ratios inside one session: each cell against the same work in the reference precision."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from txtop import metrics
from txtop.cell_state import CellState
from txtop.plan import Cell
from txtop.sanitise import sanitise
from txtop.session.text import MISSING, aligned
from txtop.state import SessionState
from txtop.stats.contrast import Contrast, contrast

MARGIN = 0.02
HEADING = (
    ("cell", "<"),
    ("over", "<"),
    ("ratio", ">"),
    ("95 %", "<"),
    ("n", ">"),
    ("verdict", "<"),
)


@dataclass(frozen=True)
class Ratio:
    """`label` is the cell, `reference` the precision it is compared with."""

    label: str
    reference: str
    contrast: Contrast


def ratios(state: SessionState, margin: float = MARGIN) -> list[Ratio]:
    """Of cells with a result that differ in precision alone, the first being the reference."""
    same: dict[Cell, list[CellState]] = {}
    for cell in state.cells.values():
        if cell.status == "ok" and not cell.invalid:
            work = msgspec.structs.replace(cell.cell, id="", precision="fp32")
            same.setdefault(work, []).append(cell)
    found = []
    for first, *others in same.values():
        base = metrics.stated_ns(first)
        for other in others:
            compared = contrast([base], [metrics.stated_ns(other)], margin, state.plan.seed)
            found.append(Ratio(other.cell.short, first.cell.precision, compared))
    return found


def lines(state: SessionState, margin: float) -> list[str]:
    """The ratios for a person, and what they are not."""
    found = ratios(state, margin)
    if not found:
        return ["no two cells differ in precision alone: there is no ratio to judge"]
    rows = [[name for name, _ in HEADING], *map(_row, found)]
    words = f"margin {margin:.3g}" if margin < 0.001 else f"margin {margin:.1%}"
    return [
        *aligned(HEADING, rows),
        "",
        f"{words}; the cells ran one after the other, so that drift of the machine is in it",
    ]


def _row(each: Ratio) -> list[str]:
    found = each.contrast
    return [sanitise(each.label, 60), each.reference, *words(found), found.verdict]


def words(found: Contrast) -> tuple[str, str, str]:
    """Ratio, interval and numbers of iterations as a table shows them."""
    ratio = MISSING if found.ratio is None else f"{found.ratio:.3f}"
    between = f"[{found.ci95[0]:.3f}, {found.ci95[1]:.3f}]" if found.ci95 else MISSING
    return ratio, between, f"{found.n_base}+{found.n_new}"
