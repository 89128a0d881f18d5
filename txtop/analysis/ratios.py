"""Compute the ratios inside one session: each cell over the same work in the reference precision.

A speed is the ratio of the rates that are stated, which are means. A test, that of `txtop show
--margin` and the HTML report, is the one that compares sessions, which judges the ratio of medians.
Cells of one session ran one after the other, so drift of the machine is in both.
"""

from __future__ import annotations

from dataclasses import dataclass

from txtop.analysis import contention, metrics, serving
from txtop.analysis.metrics import FinalMetrics
from txtop.plan import labels, references
from txtop.plan.plan import DEFAULT_MARGIN
from txtop.state import quality
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.unpaired import UnpairedRatio, compare_unpaired, withhold_verdict


@dataclass(frozen=True)
class PrecisionRatio:
    """The test of one cell's speed against that of its reference.

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


def compute_speeds(state: SessionState, finals: FinalMetrics) -> dict[str, float]:
    """Return how many times as fast each cell is as the most precise one of the same work.

    Cells that cannot be compared, and the references, are left out.
    """
    references_by_cell = references.find_speed_references(state.list_accepted())
    speeds: dict[str, float] = {}
    for name, best in references_by_cell.items():
        cell, first = state.cells[name], state.cells[best.id]
        if first is cell or cell.invalid or first.invalid or (cell.over and cell.status != "ok"):
            continue
        speed = _compute_speed(cell, first, finals, state.plan.seed)
        if speed is not None:
            speeds[name] = speed
    return speeds


def _compute_speed(
    cell: CellState, first: CellState, finals: FinalMetrics, seed: int
) -> float | None:
    """Compute rate over rate; None if the two cannot be compared.

    Open-loop servers that keep up all have the offered rate, so E2E decides there. A saturated or
    closed-loop server has no such E2E, so it is not compared with one that keeps up.
    """
    both, by_time = (cell, first), False
    if cell.cell.serving is not None:
        at_most = {c.cell.asks_all or c.saturated for c in both}
        by_time = at_most == {False}
        if len(at_most) > 1 or (by_time and not serving.have_same_traffic(both)):
            return None
    name = "e2e_ms" if by_time else metrics.choose_headline_metric(cell)
    summaries = [finals.of(c, seed).get(name) for c in both]
    own, base = (summary.mean if summary else None for summary in summaries)
    if not own or not base:
        return None
    return base / own if by_time else own / base
