"""Write the ratios inside one session as a table, for `txtop show --margin`."""

from __future__ import annotations

from txtop.analysis.ratios import PrecisionRatio, compute_ratios
from txtop.export.text import ab
from txtop.export.text.columns import cut_cells
from txtop.export.text.fitting import format_table, wrap_line
from txtop.formatting import MISSING, format_ratio_interval
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


def format_ratios(state: SessionState, margin: float, width: int | None) -> list[str]:
    """Return the table of ratios and its caveat; for an A/B its verdicts under `margin`."""
    if state.ab_test is not None:
        recorded = format_margin(state.ab_test.margin)
        heading = f"what if: with a margin of {format_margin(margin)} in place of {recorded}"
        lines = [heading, *ab.format_ab(state, state.ab_test.what_if(margin), width)]
        return _wrap(lines, width)
    ratios = compute_ratios(state, margin)
    if not ratios:
        return ["no two cells differ in precision alone: there is no ratio to judge"]
    caveat = "the cells ran one after the other, so that drift of the machine is in it"
    average = "ratios of medians (speeds elsewhere are ratios of means)"
    lines = format_table(HEADING, list(map(_build_row, ratios)), width)
    return _wrap([*lines, "", f"margin {format_margin(margin)}; {average}; {caveat}"], width)


def _wrap(lines: list[str], width: int | None) -> list[str]:
    return [part for line in lines for part in wrap_line(line, width)]


def format_margin(margin: float) -> str:
    """Format a margin as it was typed, without zeros that it does not need: `2 %`, `0.05 %`."""
    return f"{margin * 100:.3g} %"


def _build_row(ratio: PrecisionRatio) -> list[str]:
    contrast = ratio.contrast
    label = cut_cells(sanitise(ratio.label), 60)
    return [label, ratio.reference, *format_ratio_cells(contrast), contrast.verdict, ratio.output]


def format_ratio_cells(contrast: UnpairedRatio) -> tuple[str, str, str]:
    """Format ratio, interval and numbers of iterations for a table."""
    ratio = MISSING if contrast.ratio is None else f"{contrast.ratio:.3f}"
    interval = format_ratio_interval(*contrast.ci95) if contrast.ci95 else MISSING
    return ratio, interval, f"{contrast.n_base}+{contrast.n_new}"
