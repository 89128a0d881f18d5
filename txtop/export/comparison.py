"""A comparison as plain text, Markdown and JSON."""

from __future__ import annotations

import msgspec

from txtop.analysis.compare import Compared, Comparison
from txtop.export.markdown import inert
from txtop.export.text.columns import aligned
from txtop.export.text.ratios import words
from txtop.formatting import MISSING, figure
from txtop.sanitise import inert_json

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


def _row(cell: Compared) -> list[str]:
    found = cell.contrast
    ratio, between, n, p = MISSING, MISSING, MISSING, MISSING
    if found is not None:
        ratio, between, n = words(found)
        p = MISSING if found.p is None else "<0.001" if found.p < 0.001 else f"{found.p:.3f}"
    rates = [figure(cell.base_rate), figure(cell.new_rate)]
    return [cell.cell, *rates, cell.unit, ratio, between, n, p, cell.verdict]


def _remarks(found: Comparison) -> list[str]:
    lines: dict[str, list[str]] = {}
    for cell in found.cells:
        for remark in (*cell.reasons, *cell.notes):
            lines.setdefault(remark, []).append(cell.cell)
    return [f"{', '.join(cells)}: {remark}" for remark, cells in lines.items()]


def _last(found: Comparison) -> str:
    nothing = "" if found.cells else ": nothing in common"
    return f"{found.outcome}{nothing} (margin {found.margin:.1%})"


def text(found: Comparison) -> str:
    """A table, what a reader has to know below it, and the outcome in the last line."""
    lines = aligned(COLUMNS, [[name for name, _ in COLUMNS], *map(_row, found.cells)])
    remarks = _remarks(found)
    return "\n".join([*lines, "", *remarks, *([""] if remarks else []), _last(found)]) + "\n"


def markdown(found: Comparison) -> str:
    """The same for a pull request; text from outside is inert in it."""
    rule = [":--" if side == "<" else "--:" for _, side in COLUMNS]
    rows = [[inert(word) for word in _row(cell)] for cell in found.cells]
    table = [f"| {' | '.join(line)} |" for line in ([n for n, _ in COLUMNS], rule, *rows)]
    remarks = [f"- {inert(remark)}" for remark in _remarks(found)]
    return (
        "\n".join([*table, "", *remarks, *([""] if remarks else []), f"**{_last(found)}**"]) + "\n"
    )


def json(found: Comparison) -> str:
    """One object with the fields of `Comparison`, and its exit code."""
    plain = {**msgspec.to_builtins(found), "exit_code": found.exit_code}
    body = msgspec.json.format(msgspec.json.encode(plain), indent=2)
    return inert_json(body).decode() + "\n"


WRITERS = {"text": text, "md": markdown, "json": json}
