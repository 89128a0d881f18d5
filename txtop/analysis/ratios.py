"""Compute the ratios inside one session: each cell over the same work in the reference precision.

Used by `txtop show --margin` and the HTML report. The test is the one that compares sessions; cells
of one session ran one after the other, so drift of the machine is in the ratio.
"""

from __future__ import annotations

from dataclasses import dataclass

from txtop.analysis import contention, metrics, serving
from txtop.plan import labels, references
from txtop.plan.plan import DEFAULT_MARGIN
from txtop.state import quality
from txtop.state.session import SessionState
from txtop.stats.unpaired import UnpairedRatio, compare_unpaired, withhold_verdict


@dataclass(frozen=True)
class PrecisionRatio:
    """The speed of one cell over that of its reference.

    `label` names the cell with the id `cell`, `reference` is the precision it is compared with, and
    `output` the badge of what that costs in quality.
    """

    cell: str
    label: str
    reference: str
    contrast: UnpairedRatio
    output: str


def compute_ratios(state: SessionState, margin: float = DEFAULT_MARGIN) -> list[PrecisionRatio]:
    """Compare cells that differ in precision alone with the most precise of them.

    Cells without a valid result are left out. An A/B has none: its arms took turns, so it has a
    verdict. Servers under different loads have none, nor have two saturated ones, whose latencies
    have no limit.
    """
    if state.ab_test is not None:
        return []
    measured = {c.cell.id: c for c in state.cells.values() if c.status == "ok" and not c.invalid}
    best = references.find_speed_references([c.cell for c in measured.values()])
    ratios = []
    for name, cell in measured.items():
        first = measured[best[name].id] if name in best else cell
        both = (first, cell)
        if first is cell or all(c.saturated for c in both) or not serving.have_same_traffic(both):
            continue
        times = [[metrics.get_comparison_times_ns(one)] for one in both]
        contrast = compare_unpaired(times[0], times[1], margin, state.plan.seed)
        if any(map(contention.is_busy, both)):
            contrast = withhold_verdict(contrast)
        output = quality.format_badge_forms(state, name)[0]
        ratios.append(
            PrecisionRatio(
                name, labels.format_short_label(cell.cell), first.cell.precision, contrast, output
            )
        )
    return ratios
