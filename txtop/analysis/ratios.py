"""Ratios inside one session: each cell against the same work in the reference precision."""

from __future__ import annotations

from dataclasses import dataclass

from txtop.analysis import metrics, serving
from txtop.plan import labels, references
from txtop.state import fidelity
from txtop.state.session import SessionState
from txtop.stats.unpaired import UnpairedRatio, compare_unpaired

DEFAULT_MARGIN = 0.02


@dataclass(frozen=True)
class PrecisionRatio:
    """`label` is the cell, `reference` the precision it is compared with, `output` the badge of
    what that costs in quality."""

    label: str
    reference: str
    contrast: UnpairedRatio
    output: str


def compute_ratios(state: SessionState, margin: float = DEFAULT_MARGIN) -> list[PrecisionRatio]:
    """Of cells with a result that differ in precision alone, over the most precise of them. None
    in an A/B, whose arms took turns: that has a verdict; none of servers under another load, or
    of two that could not answer what came, whose latencies have no end."""
    if state.versus is not None:
        return []
    measured = {c.cell.id: c for c in state.cells.values() if c.status == "ok" and not c.invalid}
    best = references.find_speed_references([c.cell for c in measured.values()])
    found = []
    for name, cell in measured.items():
        first = measured[best[name].id] if name in best else cell
        both = (first, cell)
        if first is cell or all(c.saturated for c in both) or not serving.have_same_traffic(both):
            continue
        times = [[metrics.get_comparison_times_ns(each)] for each in both]
        compared = compare_unpaired(times[0], times[1], margin, state.plan.seed)
        output = fidelity.format_badge_forms(state.output_of(name))[0]
        found.append(
            PrecisionRatio(
                labels.format_short_label(cell.cell), first.cell.precision, compared, output
            )
        )
    return found
