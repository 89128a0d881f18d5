"""The sessions of a fleet as one: their rows under each other, with a column for the machine.

It is called `machine` where the place of `--devices` has its own column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from txtop.analysis.metrics import FinalMetrics
from txtop.export import csv, json, markdown
from txtop.export.text import table
from txtop.export.text.fitting import Heading, format_table, hoist_shared
from txtop.formatting import MISSING
from txtop.sanitise import escape_json
from txtop.state.session import SessionState

States = Mapping[str, SessionState]
KEY = "machine"


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


def to_json(states: States, finals: FinalMetrics) -> bytes:
    """Return an object with the export of each session, by place."""
    whole = {place: msgspec.Raw(json.to_json(state, finals)) for place, state in states.items()}
    return msgspec.json.format(msgspec.json.encode({"machines": whole}), indent=2) + b"\n"


def to_jsonl(states: States, finals: FinalMetrics) -> bytes:
    """Return each cell of each place as one line of JSON."""
    return b"".join(
        escape_json(
            msgspec.json.encode({KEY: place, **msgspec.to_builtins(cell)}),
        )
        + b"\n"
        for place, state in states.items()
        for cell in json.build_export(state, finals).cells
    )


def to_csv(states: States, finals: FinalMetrics) -> bytes:
    """Return one row a cell and place."""
    return csv.write_rows(
        [
            {KEY: csv.escape_formula(place), **row}
            for place, state in states.items()
            for row in csv.build_rows(state, finals)
        ]
    )


def to_markdown(states: States, finals: FinalMetrics) -> bytes:
    """Return the table of all places as Markdown."""
    return markdown.format_markdown_table(*build_table(states, finals)).encode()


WRITERS: dict[str, Callable[[States, FinalMetrics], bytes]] = {
    "json": to_json,
    "jsonl": to_jsonl,
    "csv": to_csv,
    "md": to_markdown,
}
