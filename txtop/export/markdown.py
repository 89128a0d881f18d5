"""Write the table of a session as Markdown; text from outside is escaped."""

from __future__ import annotations

import html
import re

from txtop.analysis.metrics import FinalMetrics
from txtop.export.text import accuracy, outputs, serving_table, table
from txtop.sanitise import sanitise
from txtop.state.session import SessionState

_MARKS = re.compile(r"([\\`*_\[\]|!~])")


def to_markdown(state: SessionState, finals: FinalMetrics) -> bytes:
    """Return a table in the columns of the text table, one row a cell.

    Cells that served requests get a second table and its footnotes; compared outputs and tasks
    one each.
    """
    document = format_markdown_table(table.list_columns(state), table.build_rows(state, finals))
    return (document + format_further_tables(state, finals)).encode()


def format_further_tables(state: SessionState, finals: FinalMetrics) -> str:
    """Return the tables of served requests, outputs and tasks, of those that a session has."""
    document = ""
    if heading := serving_table.list_serving_columns(state):
        document += "\n" + format_markdown_table(
            heading, serving_table.build_serving_rows(state, finals)
        )
        document += "".join(
            f"\n- {escape_markdown(line)}\n" for line in serving_table.build_footnotes(state)
        )
    for heading, rows in (
        outputs.build_table(state),
        (accuracy.HEADING, accuracy.build_rows(state)),
    ):
        document += "\n" + format_markdown_table(heading, rows) if rows else ""
    return document + "".join(
        f"\n- {escape_markdown(line)}\n" for line in accuracy.list_remarks(state)
    )


def format_markdown_table(heading: tuple[tuple[str, str], ...], rows: list[list[str]]) -> str:
    """Return a table whose texts are escaped."""
    names = [name for name, _ in heading]
    rule = [":--" if side == "<" else "--:" for _, side in heading]
    lines = [names, rule, *([escape_markdown(text) for text in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def escape_markdown(text: str) -> str:
    """Return `text` with its HTML and its Markdown escaped."""
    return _MARKS.sub(r"\\\1", html.escape(sanitise(text), quote=False))
