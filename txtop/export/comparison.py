"""Render a comparison of sessions as plain text, Markdown and JSON, for `txtop compare`."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from txtop.analysis.compare import CellComparison, SessionComparison
from txtop.analysis.compare_accuracy import AccuracyComparison
from txtop.export.markdown import escape_markdown
from txtop.export.text.accuracy import PAIRS_REMARK, format_paired
from txtop.export.text.fitting import format_table, wrap_line
from txtop.export.text.ratios import format_ratio_cells
from txtop.formatting import MISSING, format_figure, format_share
from txtop.sanitise import escape_json
from txtop.state.accuracy import format_band, format_points, format_score

COLUMNS = (
    ("cell", "<"),
    ("base", ">"),
    ("new", ">"),
    ("unit", "<"),
    ("ratio", ">"),
    ("95 %", "<"),
    ("n", ">"),
    ("verdict", "<"),
)


def _build_row(cell: CellComparison) -> list[str]:
    test = cell.contrast
    ratio, interval, n = MISSING, MISSING, MISSING
    if test is not None:
        ratio, interval, n = format_ratio_cells(test)
    rates = [format_figure(cell.base_rate), format_figure(cell.new_rate)]
    return [cell.cell, *rates, f"{cell.unit}, {cell.average}", ratio, interval, n, cell.verdict]


EQUAL_REMARK = "answers that are all equal: the share that can differ, of this n alone"
ACCURACY_COLUMNS = (
    ("cell", "<"),
    ("task", "<"),
    ("base", ">"),
    ("new", ">"),
    ("points", ">"),
    ("95 %", "<"),
    ("gained", ">"),
    ("lost", ">"),
    ("items", ">"),
    ("verdict", "<"),
)


def build_accuracy_row(own: AccuracyComparison) -> list[str]:
    """Return the cells of a row, in the order of `ACCURACY_COLUMNS`."""
    return [
        own.cell,
        own.task,
        format_score(own.kind, own.base),
        format_score(own.kind, own.new),
        *format_paired(own.difference, own.ci95, own.gained, own.lost),
        f"{own.n:,}",
        ": ".join(filter(None, (format_band(own.verdict), own.reason))),
    ]


def _list_remarks(comparison: SessionComparison) -> list[str]:
    """Return each reason and note once, after the cells that it is about; then that of pairs."""
    lines: dict[str, list[str]] = {}
    for cell in comparison.cells:
        for remark in (*cell.reasons, *cell.notes):
            lines.setdefault(remark, []).append(cell.cell)
    has_pairs = any(own.kind == "pairs" for own in comparison.accuracy)
    has_equal = any(own.gained == own.lost == 0 for own in comparison.accuracy)
    return [
        *(f"{', '.join(cells)}: {remark}" for remark, cells in lines.items()),
        *([PAIRS_REMARK] if has_pairs else []),
        *([EQUAL_REMARK] if has_equal else []),
    ]


def _format_outcome(comparison: SessionComparison) -> str:
    nothing = "" if comparison.cells else ": nothing in common"
    gate = ""
    if comparison.min_accuracy is not None:
        gate = f", accuracy at least {format_points(comparison.min_accuracy)}"
        gate += "" if comparison.accuracy else " but no task in both"
    return f"{comparison.outcome}{nothing} (margin {format_share(comparison.margin, 1)}{gate})"


def render_text(comparison: SessionComparison, width: int | None = None) -> str:
    """Render a table, then the remarks, then the outcome in the last line.

    `width` is that of the terminal, in columns.
    """
    lines = format_table(COLUMNS, list(map(_build_row, comparison.cells)), width)
    if answered := list(map(build_accuracy_row, comparison.accuracy)):
        lines += ["", *format_table(ACCURACY_COLUMNS, answered, width)]
    remarks = _list_remarks(comparison)
    lines += ["", *remarks, *([""] if remarks else []), _format_outcome(comparison)]
    return "\n".join(part for line in lines for part in wrap_line(line, width)) + "\n"


def render_markdown(comparison: SessionComparison) -> str:
    """Render the same for a pull request; text from outside is escaped."""
    table = _format_markdown_table(COLUMNS, map(_build_row, comparison.cells))
    if comparison.accuracy:
        rows = map(build_accuracy_row, comparison.accuracy)
        table += ["", *_format_markdown_table(ACCURACY_COLUMNS, rows)]
    remarks = [f"- {escape_markdown(remark)}" for remark in _list_remarks(comparison)]
    return (
        "\n".join(
            [*table, "", *remarks, *([""] if remarks else []), f"**{_format_outcome(comparison)}**"]
        )
        + "\n"
    )


def _format_markdown_table(
    columns: tuple[tuple[str, str], ...], rows: Iterable[list[str]]
) -> list[str]:
    rule = [":--" if side == "<" else "--:" for _, side in columns]
    escaped = ([escape_markdown(text) for text in row] for row in rows)
    return [f"| {' | '.join(line)} |" for line in ([n for n, _ in columns], rule, *escaped)]


def render_json(comparison: SessionComparison) -> str:
    """Render one object with the fields of `SessionComparison` and its exit code."""
    plain = {**msgspec.to_builtins(comparison), "exit_code": comparison.exit_code}
    body = msgspec.json.format(msgspec.json.encode(plain), indent=2)
    return escape_json(body).decode() + "\n"


WRITERS = {"md": render_markdown, "json": render_json}
