"""The table of a session as Markdown; text from outside is inert in it."""

from __future__ import annotations

import html
import re

from txtop.metrics import FinalMetrics
from txtop.sanitise import sanitise
from txtop.session import table
from txtop.state import SessionState

_MARKS = re.compile(r"([\\`*_\[\]|!~])")


def to_markdown(state: SessionState, finals: FinalMetrics) -> bytes:
    """A table in the columns of the text table, one row a cell."""
    heading = table.columns(state)
    names = [name for name, _ in heading]
    rule = [":--" if side == "<" else "--:" for _, side in heading]
    rows = [[inert(text) for text in row] for row in table.rows(state, finals)]
    lines = [names, rule, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).encode()


def inert(text: str) -> str:
    """`text` with its HTML and its Markdown escaped."""
    return _MARKS.sub(r"\\\1", html.escape(sanitise(text), quote=False))
