"""Write what each precision is and costs as plain text: weights, operators, distance of outputs.

An A/B has these figures among its notes.
"""

from __future__ import annotations

from txtop.analysis.products import describe_products
from txtop.export.text.accuracy import list_answering_cells, name_cell
from txtop.export.text.fitting import Heading, format_table
from txtop.formatting import MISSING, format_figure, format_share
from txtop.protocol.events import Fidelity
from txtop.state import fidelity, quality
from txtop.state.session import SessionState

_MB = 1e6
HEADING: Heading = (
    ("cell", "<"),
    ("weights MB", ">"),
    ("products by", "<"),
    ("KLD", ">"),
    ("top-1", ">"),
    ("perplexity", ">"),
    ("similarities", ">"),
    ("output", "<"),
)
_ALWAYS = ("cell", "output")


def format_outputs(state: SessionState, width: int | None = None) -> list[str]:
    """Return the lines of the table; empty where no output of real weights was compared."""
    heading, rows = build_table(state)
    return format_table(heading, rows, width) if rows else []


def build_table(state: SessionState) -> tuple[Heading, list[list[str]]]:
    """Return name and side of each column that any row fills, and a row for each output."""
    if state.ab_test is not None:
        return (), []
    cells = [cell.id for cell in list_answering_cells(state)]
    compared = {name: state.output_of(name) for name in cells}
    if not any(event and event.weights != "random" for event in compared.values()):
        return (), []
    rows = [_build_row(state, name, event) for name, event in compared.items()]
    kept = [
        place
        for place, (name, _) in enumerate(HEADING)
        if name in _ALWAYS or any(row[place] != MISSING for row in rows)
    ]
    return tuple(HEADING[i] for i in kept), [[row[i] for i in kept] for row in rows]


def _build_row(state: SessionState, name: str, event: Fidelity | None) -> list[str]:
    cell = state.cells[name]
    weights = format_figure(cell.load.weight_bytes / _MB) if cell.load else MISSING
    row = [name_cell(state, name), weights, describe_products(cell) or MISSING]
    if event is None or event.weights == "random":
        is_reference = any(reference == name for _, reference in state.fidelity)
        return [*row, *([MISSING] * 4), "reference" if is_reference else MISSING]
    top1 = event.top1 / event.positions if event.top1 is not None and event.positions else None
    return [
        *row,
        _format(fidelity.get_kld_above_floor(event)),
        MISSING if top1 is None else format_share(top1, 1),
        MISSING if event.perplexity_ratio is None else f"{event.perplexity_ratio:.3f}x",
        MISSING if event.similarity_rank is None else f"{event.similarity_rank:.4f}",
        quality.format_badge_forms(state, name)[0],
    ]


def _format(value: float | None) -> str:
    return MISSING if value is None else format_figure(value)
