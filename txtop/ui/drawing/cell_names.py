"""Names of cells in a column that is too narrow for them: what tells them apart stays."""

from __future__ import annotations

import re
from collections.abc import Sequence

from txtop.ui.drawing.spans import measure_text

BETWEEN = " · "


def shorten_names(names: Sequence[str], width: int, mark: str) -> list[str]:
    """Return clean names in up to `width` columns each where their parts permit that.

    Of the values that one part has in all names, those that their first words tell apart are cut
    to these, and a part without which the names still differ is left out. What is too long then
    stays for the caller to cut.
    """
    if max(map(measure_text, names), default=0) <= width:
        return list(names)
    rows = [name.split(BETWEEN) for name in names]
    if len({len(row) for row in rows}) > 1:
        return list(names)
    columns = [list(column) for column in zip(*rows, strict=True)]
    steps = _cut_values(columns, mark) or _leave_out(columns)
    while steps:
        at, values = max(steps, key=lambda step: _measure(columns[step[0]]) - _measure(step[1]))
        columns[at] = values
        shorter = [BETWEEN.join(filter(None, row)) for row in zip(*columns, strict=True)]
        if max(map(measure_text, shorter)) <= width:
            return shorter
        steps = _cut_values(columns, mark) or _leave_out(columns)
    return [BETWEEN.join(filter(None, row)) for row in zip(*columns, strict=True)]


def _measure(values: Sequence[str]) -> int:
    return max(map(measure_text, values))


def _cut_values(columns: Sequence[list[str]], mark: str) -> list[tuple[int, list[str]]]:
    """Return the columns whose values still differ as they did, each cut to its first word."""
    steps = []
    for at, values in enumerate(columns):
        cut = [_cut_value(value, mark) for value in values]
        if len(set(cut)) == len(set(values)) and _measure(cut) < _measure(values):
            steps.append((at, cut))
    return steps


def _cut_value(value: str, mark: str) -> str:
    first = re.match(rf"({re.escape(mark)})?[^\W_]+", value)
    return (
        first[0] + mark if first and measure_text(first[0] + mark) < measure_text(value) else value
    )


def _leave_out(columns: Sequence[list[str]]) -> list[tuple[int, list[str]]]:
    """Return the columns without which the names are as many as they were, emptied."""
    steps = []
    count = len(set(zip(*columns, strict=True)))
    for at, values in enumerate(columns):
        rest = [column for i, column in enumerate(columns) if i != at and any(column)]
        if any(values) and rest and len(set(zip(*rest, strict=True))) == count:
            steps.append((at, [""] * len(values)))
    return steps
