"""Ratios inside one session: each cell against the same work in the reference precision."""

from __future__ import annotations

from dataclasses import dataclass

from txtop.analysis import metrics, serving
from txtop.plan import references
from txtop.state import fidelity
from txtop.state.session import SessionState
from txtop.stats.unpaired import Contrast, contrast

MARGIN = 0.02


@dataclass(frozen=True)
class Ratio:
    """`label` is the cell, `reference` the precision it is compared with, `output` the badge of
    what that costs in quality."""

    label: str
    reference: str
    contrast: Contrast
    output: str


def ratios(state: SessionState, margin: float = MARGIN) -> list[Ratio]:
    """Of cells with a result that differ in precision alone, over the most precise of them. None
    in an A/B, whose arms took turns: that has a verdict; none of servers under another load, or
    of two that could not answer what came, whose latencies have no end."""
    if state.versus is not None:
        return []
    measured = {c.cell.id: c for c in state.cells.values() if c.status == "ok" and not c.invalid}
    best = references.of_speed([c.cell for c in measured.values()])
    found = []
    for name, cell in measured.items():
        first = measured[best[name].id] if name in best else cell
        both = (first, cell)
        if first is cell or all(c.saturated for c in both) or not serving.same_load(both):
            continue
        times = [[metrics.contrasted_ns(each)] for each in both]
        compared = contrast(times[0], times[1], margin, state.plan.seed)
        output = fidelity.forms(state.output_of(name))[0]
        found.append(Ratio(cell.cell.short, first.cell.precision, compared, output))
    return found
