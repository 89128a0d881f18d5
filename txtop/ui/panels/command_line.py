"""A command line in several rows that a shell still reads, for the cell detail and the matrix."""

from __future__ import annotations

import shlex

from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, measure_text, wrap

MAX_LINES = 8
INDENT = "  "
CONTINUATION = " \\"


def render_command(command: str, width: int, g: Glyphs) -> list[Row]:
    """Render a command line broken between words with backslashes, so that a copy of the screen
    still runs."""
    lines: list[str] = []
    for word in _split_command(command, width - len(INDENT) - len(CONTINUATION)):
        last = lines[-1] if lines else ""
        if lines and measure_text(last) + 1 + measure_text(word) + len(CONTINUATION) <= width:
            lines[-1] = f"{last} {word}"
        else:
            lines.append((INDENT if lines else "") + word)
    rows: list[Row] = []
    for i, line in enumerate(lines):
        ending = CONTINUATION if i < len(lines) - 1 else ""
        parts = wrap(line, max(1, width - len(CONTINUATION)), MAX_LINES, g("…"))
        indent = INDENT if i else ""
        rows += [[((indent if j == 0 else "") + part, "text")] for j, part in enumerate(parts[:-1])]
        lead = indent if len(parts) == 1 else ""
        rows.append([(lead + parts[-1], "text"), (ending, "muted")])
    return rows


def _split_command(command: str, most: int) -> list[str]:
    """Split a command into quoted words, each option with its value if both fit."""
    parts: list[str] = []
    for word in (clean(shlex.quote(word)) for word in shlex.split(command)):
        alone = parts and parts[-1].startswith("-") and " " not in parts[-1]
        fits = parts and measure_text(parts[-1]) + 1 + measure_text(word) <= most
        if alone and fits and not word.startswith("-") and "=" not in parts[-1]:
            parts[-1] = f"{parts[-1]} {word}"
        elif len(parts) == 1 and parts[0] == "txtop":
            parts[0] = f"txtop {word}"
        else:
            parts.append(word)
    return parts
