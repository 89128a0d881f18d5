"""Write the table of a session as Markdown; text from outside is escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from txtop.analysis.metrics import FinalMetrics
from txtop.export.text import ab, accuracy, outputs, serving_table, table
from txtop.sanitise import sanitise
from txtop.state.session import SessionState

_MARKS = re.compile(r"([\\`*_\[\]|!~])")


def to_markdown(state: SessionState, finals: FinalMetrics) -> bytes:
    """Return what the text report says: the outcome, tables in its columns, and the notes.

    Cells that served requests get a second table and its footnotes; compared outputs and tasks
    one each.
    """
    document = _format_verdicts(state)
    for outcome in table.list_outcomes(state, finals, ""):
        document += _format_lines(outcome) + "\n"
    document += format_markdown_table(table.list_columns(state), table.build_rows(state, finals))
    return (document + format_further_tables(state, finals)).lstrip("\n").encode()


def _format_verdicts(state: SessionState) -> str:
    """Return the verdicts of an A/B, its table, and the notes on its comparisons."""
    ab_test = state.ab_test
    if ab_test is None:
        return ""
    lines = [*ab.list_verdicts(state, ab_test), ab.describe_table(ab_test)]
    return (
        _format_lines(lines)
        + format_markdown_table(*ab.build_table(state, ab_test))
        + _format_list(ab.list_notes(state, ab_test))
        + "\n"
    )


def format_further_tables(state: SessionState, finals: FinalMetrics) -> str:
    """Return the tables of served requests, outputs and tasks, of those that a session has."""
    document = ""
    if heading := serving_table.list_serving_columns(state):
        document += "\n" + format_markdown_table(
            heading, serving_table.build_serving_rows(state, finals)
        )
        document += _format_list(serving_table.build_footnotes(state))
    for heading, rows in (
        outputs.build_table(state),
        (accuracy.HEADING, accuracy.build_rows(state)),
    ):
        document += "\n" + format_markdown_table(heading, rows) if rows else ""
    remarks = [*accuracy.list_remarks(state), *table.list_notes(state, finals)]
    return document + _format_list([*remarks, *filter(None, [table.describe_end(state)])])


def _format_lines(lines: Sequence[str]) -> str:
    """Return lines as paragraphs, and those that are indented as items below them."""
    return "".join(
        f"- {_format_item(line.strip())}\n"
        if line.startswith(" ")
        else f"\n{escape_markdown(line)}\n\n"
        for line in lines
        if line
    )


def _format_item(line: str) -> str:
    """Return an item, with a command as a code span: what is escaped cannot be copied."""
    # Imported late: few sessions are races.
    from txtop.export.text import tuning

    title, _, command = line.partition(": ")
    if title not in tuning.USES:
        return escape_markdown(line)
    longest = max(map(len, re.findall("`+", command)), default=0)
    fence, gap = "`" * (longest + 1), " " if longest else ""
    return f"{title}: {fence}{gap}{sanitise(command)}{gap}{fence}"


def _format_list(lines: Sequence[str]) -> str:
    items = "".join(f"- {escape_markdown(line)}\n" for line in lines)
    return f"\n{items}" if items else ""


def format_markdown_table(heading: tuple[tuple[str, str], ...], rows: list[list[str]]) -> str:
    """Return a table whose texts are escaped."""
    names = [name for name, _ in heading]
    rule = [":--" if side == "<" else "--:" for _, side in heading]
    lines = [names, rule, *([escape_markdown(text) for text in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def escape_markdown(text: str) -> str:
    """Return `text` with its HTML and its Markdown escaped."""
    return _MARKS.sub(r"\\\1", html.escape(sanitise(text), quote=False))
