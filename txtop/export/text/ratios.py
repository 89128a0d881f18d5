"""Ratios inside one session, as a table."""

from __future__ import annotations

from txtop.analysis.ratios import PrecisionRatio, compute_ratios
from txtop.export.text import ab
from txtop.export.text.columns import align_columns
from txtop.formatting import MISSING
from txtop.sanitise import sanitise
from txtop.state.session import SessionState
from txtop.stats.unpaired import UnpairedRatio

HEADING = (
    ("cell", "<"),
    ("over", "<"),
    ("ratio", ">"),
    ("95 %", "<"),
    ("n", ">"),
    ("verdict", "<"),
    ("output", "<"),
)


def format_ratios(state: SessionState, margin: float) -> list[str]:
    """The ratios for a person, and what they are not; of an A/B what its verdicts would be."""
    if state.versus is not None:
        said = f"what if: with a margin of {margin:.3g} in place of {state.versus.margin:.3g}"
        return [said, *ab.format_ab(state, state.versus.what_if(margin))]
    found = compute_ratios(state, margin)
    if not found:
        return ["no two cells differ in precision alone: there is no ratio to judge"]
    rows = [[name for name, _ in HEADING], *map(_row, found)]
    words = f"margin {margin:.3g}" if margin < 0.001 else f"margin {margin:.1%}"
    return [
        *align_columns(HEADING, rows),
        "",
        f"{words}; the cells ran one after the other, so that drift of the machine is in it",
    ]


def _row(each: PrecisionRatio) -> list[str]:
    found = each.contrast
    label = sanitise(each.label, 60)
    return [label, each.reference, *format_ratio_cells(found), found.verdict, each.output]


def format_ratio_cells(found: UnpairedRatio) -> tuple[str, str, str]:
    """Ratio, interval and numbers of iterations as a table shows them."""
    ratio = MISSING if found.ratio is None else f"{found.ratio:.3f}"
    between = f"[{found.ci95[0]:.3f}, {found.ci95[1]:.3f}]" if found.ci95 else MISSING
    return ratio, between, f"{found.n_base}+{found.n_new}"
