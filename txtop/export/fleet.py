"""The sessions of a fleet as one: their rows under each other, with a column for the machine.

It is called `machine` where the place of `--devices` has its own column.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from txtop.analysis.metrics import FinalMetrics
from txtop.export import csv, json, markdown
from txtop.export.text.fleet import States, build_table
from txtop.sanitise import escape_json

KEY = "machine"


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
    """Return the table of all places as Markdown, then what else each place has."""
    document = markdown.format_markdown_table(*build_table(states, finals))
    for place, state in states.items():
        if further := markdown.format_further_tables(state, finals):
            document += f"\n## {markdown.escape_markdown(place)}\n{further}"
    return document.encode()


WRITERS: dict[str, Callable[[States, FinalMetrics], bytes]] = {
    "json": to_json,
    "jsonl": to_jsonl,
    "csv": to_csv,
    "md": to_markdown,
}
