"""Ratios inside one session: each cell against the same work in the reference precision."""

from __future__ import annotations

from dataclasses import dataclass

from txtop.analysis import metrics, serving
from txtop.export.text import ab
from txtop.export.text.columns import MISSING, aligned
from txtop.plan import references
from txtop.sanitise import sanitise
from txtop.state import fidelity
from txtop.state.session import SessionState
from txtop.stats.unpaired import Contrast, contrast

MARGIN = 0.02
HEADING = (
    ("cell", "<"),
    ("over", "<"),
    ("ratio", ">"),
    ("95 %", "<"),
    ("n", ">"),
    ("verdict", "<"),
    ("output", "<"),
)


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


def lines(state: SessionState, margin: float) -> list[str]:
    """The ratios for a person, and what they are not; of an A/B what its verdicts would be."""
    if state.versus is not None:
        said = f"what if: with a margin of {margin:.3g} in place of {state.versus.margin:.3g}"
        return [said, *ab.lines(state, state.versus.what_if(margin))]
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
    label = sanitise(each.label, 60)
    return [label, each.reference, *words(found), found.verdict, each.output]


def words(found: Contrast) -> tuple[str, str, str]:
    """Ratio, interval and numbers of iterations as a table shows them."""
    ratio = MISSING if found.ratio is None else f"{found.ratio:.3f}"
    between = f"[{found.ci95[0]:.3f}, {found.ci95[1]:.3f}]" if found.ci95 else MISSING
    return ratio, between, f"{found.n_base}+{found.n_new}"
