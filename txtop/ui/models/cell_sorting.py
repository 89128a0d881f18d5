"""The cells of the table in another order than the plan's: by what one of its columns shows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from txtop.plan.knobs import BY_COLUMN
from txtop.ui.models.cells import CellRow

# The highest first; of everything else the lowest.
DESCENDING_COLUMNS = ("rate",)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


SortKey = tuple[float, str]


def compute_sort_key(row: CellRow, column: str) -> SortKey | None:
    """What a row has in a column, to compare it by; null where it shows no figure."""
    if column == "offered":
        # Digits of one length, so that 10/s comes after 4/s.
        said = row.offered or f"batch {row.batch}"
        return 0.0, _NUMBER.sub(lambda found: f"{float(found[0]):014.4f}", said)
    if knob := BY_COLUMN.get(column):
        found = row.knob(column)
        if found is None:
            return None
        return (float(found), "") if knob.is_number else (0.0, str(found).casefold())
    if column == "rate":
        return (row.rate_value, "") if row.rate_value else None
    return _parse_number(getattr(row, column))


def _parse_number(shown: str) -> SortKey | None:
    """What the table says, as it is read: `3,420`, and `~0.9` for what is expected."""
    try:
        return float(shown.lstrip("~").replace(",", "")), ""
    except ValueError:
        return None


def sort_rows(rows: Sequence[CellRow], column: str) -> list[CellRow]:
    """The rows by a column, those without a figure last, equal ones as the plan has them; with no
    column just as they are."""
    if not column:
        return list(rows)
    known = [(found, row) for row in rows if (found := compute_sort_key(row, column)) is not None]
    known.sort(key=lambda pair: pair[0], reverse=column in DESCENDING_COLUMNS)
    return [row for _, row in known] + [
        row for row in rows if compute_sort_key(row, column) is None
    ]


def find_sortable_columns(rows: Sequence[CellRow], columns: Sequence[str]) -> list[str]:
    """Those of the columns in which rows differ: by another nothing would move."""
    return [
        column for column in columns if len({compute_sort_key(row, column) for row in rows}) > 1
    ]


def get_next_column(column: str, columns: Sequence[str]) -> str:
    """The next column to order by; after the last one none, which is the plan's order."""
    if column not in columns:
        return columns[0] if columns else ""
    at = columns.index(column) + 1
    return columns[at] if at < len(columns) else ""


def build_filter_text(row: CellRow) -> str:
    """What a filter looks for words in: everything a row says."""
    knobs = f"{row.offered or f'batch {row.batch}'} length {row.length} tokens {row.tokens}"
    threads = f"threads {row.threads}" if row.threads else ""
    more = [BY_COLUMN[column].note(turned) for column, turned in row.more]
    parts = (row.model, row.precision, row.attention, knobs, threads, *more, row.state, row.note)
    return " ".join([*parts, *row.badges])
