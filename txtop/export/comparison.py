"""A comparison as plain text, Markdown and JSON."""

from __future__ import annotations

import msgspec

from txtop.analysis.compare import CellComparison, SessionComparison
from txtop.export.markdown import escape_markdown
from txtop.export.text.columns import align_columns
from txtop.export.text.ratios import format_ratio_cells
from txtop.formatting import MISSING, format_figure
from txtop.sanitise import escape_json

COLUMNS = (
    ("cell", "<"),
    ("base", ">"),
    ("new", ">"),
    ("unit", "<"),
    ("ratio", ">"),
    ("95 %", "<"),
    ("n", ">"),
    ("p", ">"),
    ("verdict", "<"),
)


def _row(cell: CellComparison) -> list[str]:
    found = cell.contrast
    ratio, between, n, p = MISSING, MISSING, MISSING, MISSING
    if found is not None:
        ratio, between, n = format_ratio_cells(found)
        p = MISSING if found.p is None else "<0.001" if found.p < 0.001 else f"{found.p:.3f}"
    rates = [format_figure(cell.base_rate), format_figure(cell.new_rate)]
    return [cell.cell, *rates, cell.unit, ratio, between, n, p, cell.verdict]


def _remarks(found: SessionComparison) -> list[str]:
    lines: dict[str, list[str]] = {}
    for cell in found.cells:
        for remark in (*cell.reasons, *cell.notes):
            lines.setdefault(remark, []).append(cell.cell)
    return [f"{', '.join(cells)}: {remark}" for remark, cells in lines.items()]


def _format_outcome(found: SessionComparison) -> str:
    nothing = "" if found.cells else ": nothing in common"
    return f"{found.outcome}{nothing} (margin {found.margin:.1%})"


def render_text(found: SessionComparison) -> str:
    """A table, what a reader has to know below it, and the outcome in the last line."""
    lines = align_columns(COLUMNS, [[name for name, _ in COLUMNS], *map(_row, found.cells)])
    remarks = _remarks(found)
    return (
        "\n".join([*lines, "", *remarks, *([""] if remarks else []), _format_outcome(found)]) + "\n"
    )


def render_markdown(found: SessionComparison) -> str:
    """The same for a pull request; text from outside is inert in it."""
    rule = [":--" if side == "<" else "--:" for _, side in COLUMNS]
    rows = [[escape_markdown(word) for word in _row(cell)] for cell in found.cells]
    table = [f"| {' | '.join(line)} |" for line in ([n for n, _ in COLUMNS], rule, *rows)]
    remarks = [f"- {escape_markdown(remark)}" for remark in _remarks(found)]
    return (
        "\n".join(
            [*table, "", *remarks, *([""] if remarks else []), f"**{_format_outcome(found)}**"]
        )
        + "\n"
    )


def render_json(found: SessionComparison) -> str:
    """One object with the fields of `SessionComparison`, and its exit code."""
    plain = {**msgspec.to_builtins(found), "exit_code": found.exit_code}
    body = msgspec.json.format(msgspec.json.encode(plain), indent=2)
    return escape_json(body).decode() + "\n"


WRITERS = {"text": render_text, "md": render_markdown, "json": render_json}
