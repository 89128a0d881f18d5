"""Sorting and filtering of the table's rows by what its columns show."""

from __future__ import annotations

import re
from collections.abc import Sequence

from txtop.plan.knobs import BY_COLUMN
from txtop.ui.models.cells import CellRow

# Sorted highest first; every other column lowest first.
DESCENDING_COLUMNS = ("rate",)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


SortKey = tuple[float, str]


def compute_sort_key(row: CellRow, column: str) -> SortKey | None:
    """Return the key to compare a row by in a column; None where it shows no value."""
    if column == "offered":
        # Numbers of one length, so that 10/s comes after 4/s.
        load = row.offered or f"batch {row.batch}"
        return 0.0, _NUMBER.sub(lambda match: f"{float(match[0]):014.4f}", load)
    if knob := BY_COLUMN.get(column):
        value = row.knob(column)
        if value is None:
            return None
        return (float(value), "") if knob.is_number else (0.0, str(value).casefold())
    if column == "rate":
        return (row.rate_value, "") if row.rate_value else None
    return _parse_number(getattr(row, column))


def _parse_number(text: str) -> SortKey | None:
    """Parse a figure of the table: `3,420`, or `~0.9` for a prediction."""
    try:
        return float(text.lstrip("~").replace(",", "")), ""
    except ValueError:
        return None


def sort_rows(rows: Sequence[CellRow], column: str) -> list[CellRow]:
    """Sort rows by a column; rows without a value come last, equal ones keep the plan's order.

    Without a column the order stays.
    """
    if not column:
        return list(rows)
    keyed = [(key, row) for row in rows if (key := compute_sort_key(row, column)) is not None]
    keyed.sort(key=lambda pair: pair[0], reverse=column in DESCENDING_COLUMNS)
    return [row for _, row in keyed] + [
        row for row in rows if compute_sort_key(row, column) is None
    ]


def find_sortable_columns(rows: Sequence[CellRow], columns: Sequence[str]) -> list[str]:
    """Return the columns in which rows differ; sorting by another would move nothing."""
    return [
        column for column in columns if len({compute_sort_key(row, column) for row in rows}) > 1
    ]


def get_next_column(column: str, columns: Sequence[str]) -> str:
    """Return the next column to sort by; after the last one "", the order of the plan."""
    if column not in columns:
        return columns[0] if columns else ""
    at = columns.index(column) + 1
    return columns[at] if at < len(columns) else ""


def build_filter_text(row: CellRow) -> str:
    """Return the text of a row that a filter searches: everything it shows."""
    knobs = f"{row.offered or f'batch {row.batch}'} length {row.length} tokens {row.tokens}"
    threads = f"threads {row.threads}" if row.threads else ""
    more = [BY_COLUMN[column].note(turned) for column, turned in row.more if turned]
    parts = (row.model, row.precision, row.attention, knobs, threads, *more, row.state, row.note)
    return " ".join([*parts, *row.badges])
