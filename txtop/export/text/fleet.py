"""Write the cells of a fleet as one plain table, with a column for the place."""

from __future__ import annotations

from collections.abc import Mapping

from txtop.analysis.metrics import FinalMetrics
from txtop.export.text import table
from txtop.export.text.fitting import Heading, format_table, hoist_shared
from txtop.formatting import MISSING
from txtop.state.session import SessionState

States = Mapping[str, SessionState]


def build_table(states: States, finals: FinalMetrics) -> tuple[Heading, list[list[str]]]:
    """Return the table of all places: the columns of any of them, that of the place first."""
    sides: dict[str, str] = {}
    for state in states.values():
        sides |= dict(table.list_columns(state))
    # What only some places have stands before the status, as in the table of one.
    last = sides.pop("status")
    heading = (("place", "<"), *sides.items(), ("status", last))
    rows = []
    for place, state in states.items():
        names = [name for name, _ in table.list_columns(state)]
        for row in table.build_rows(state, finals):
            fields = {"place": place, **dict(zip(names, row, strict=True))}
            rows.append([fields.get(name, MISSING) for name, _ in heading])
    return heading, rows


def format_fleet(states: States, finals: FinalMetrics, width: int | None) -> list[str]:
    """Return the lines of that table in plain text."""
    shared, heading, rows = hoist_shared(*build_table(states, finals))
    return [*([shared] if shared else []), *format_table(heading, rows, width)]
