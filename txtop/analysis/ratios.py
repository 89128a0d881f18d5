"""Compute the ratios inside one session: each cell over the same work in the reference precision.

In a race that is each candidate over today's default, in the blocks that both have.

A speed is the ratio of the rates that are stated, which are means. A test, that of `txtop show
--margin` and the HTML report, is the one that compares sessions, which judges the ratio of medians.
Cells of one session ran one after the other, so drift of the machine is in both.
"""

from __future__ import annotations

from dataclasses import dataclass

from txtop.analysis import contention, metrics, serving
from txtop.analysis.metrics import FinalMetrics
from txtop.formatting import format_ratio, format_rough_ratio
from txtop.plan import labels, references
from txtop.plan.cell import Cell
from txtop.plan.plan import DEFAULT_MARGIN
from txtop.plan.tuning import OBJECTIVES
from txtop.state import quality
from txtop.state.cell import CellState
from txtop.state.race import RaceState
from txtop.state.session import SessionState
from txtop.stats.intervals import Interval
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
    verdict; nor has a race, whose candidates were measured at different times. Servers under
    different loads have none, nor have two saturated ones, whose latencies have no limit.
    """
    if state.ab_test is not None or state.race is not None:
        return []
    measured = {c.cell.id: c for c in state.cells.values() if c.status == "ok" and not c.invalid}
    best = references.find_speed_references([c.cell for c in measured.values()])
    ratios = []
    for name, cell in measured.items():
        first = measured[best[name].id] if name in best else cell
        both = (first, cell)
        if first is cell or all(c.saturated for c in both) or not serving.have_same_traffic(both):
            continue
        times = [metrics.list_comparison_times_ns(one) for one in both]
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


def find_references(state: SessionState) -> dict[str, Cell]:
    """Return, by cell id, the cell that its speed is stated beside.

    In a race that is today's default, else the most precise cell of the same work. Cells without
    company are left out, and those of an A/B, whose arms take turns.
    """
    if state.ab_test is not None:
        return {}
    cells = state.list_accepted()
    if state.race is None:
        return references.find_speed_references(cells)
    default = state.cells.get(state.race.tuning.default)
    return {c.id: default.cell for c in cells} if default is not None and len(cells) > 1 else {}


def name_reference(state: SessionState, reference: Cell) -> str:
    """Name what a speed is stated beside; of a race in words that can be read one way alone."""
    if state.race is None:
        return reference.precision
    return f"{OBJECTIVES[state.race.tuning.objective].as_good} as today's default"


def compute_race_speed(
    race: RaceState, name: str
) -> tuple[float, Interval | None] | tuple[None, None]:
    """Return how many times as good a candidate is as today's default, with its interval.

    None without a block of both. Never a quotient of two stated rates: one may be of the race, the
    other of the confirmation.
    """
    # Imported late: few sessions are races.
    from txtop.analysis.tuning import compare_with_default

    return compare_with_default(race, name)


def format_speed(state: SessionState, name: str, speed: float | None) -> str:
    """Format the speed of a cell beside its reference, in a race with its doubt: `≈11x`."""
    if state.race is None:
        return format_ratio(speed)
    return format_rough_ratio(speed, compute_race_speed(state.race, name)[1])


def compute_speeds(state: SessionState, finals: FinalMetrics) -> dict[str, float]:
    """Return how many times as fast each cell is as its reference (`find_references`).

    Cells that cannot be compared, and the references, are left out.
    """
    speeds: dict[str, float] = {}
    for name, best in find_references(state).items():
        cell, first = state.cells[name], state.cells[best.id]
        if first is cell or cell.invalid or first.invalid or (cell.over and cell.status != "ok"):
            continue
        if state.race is not None:
            speed, _ = compute_race_speed(state.race, name)
        else:
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
