"""The picture of a screen as reviewable text: its lines, and below each the styles in it."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters, digits
from typing import Any

from textual.app import App
from textual.strip import Strip

from txtop.ui.drawing.spans import Row

LETTERS = ascii_letters + digits


def plain(app: App[Any]) -> list[str]:
    """Return the lines of the screen without their colours."""
    return ["".join(text for text, _ in line) for line in _lines(app)]


def lines(rows: Sequence[Row]) -> list[str]:
    """Return the text of rows that a builder returned."""
    return ["".join(text for text, _ in row) for row in rows]


def drawn(app: App[Any]) -> str:
    """Return size, theme, lines, and the runs of each line by a letter for every style."""
    names: dict[str, str] = {}
    runs = []
    rows = _lines(app)
    for line in rows:
        parts = []
        for text, style in line:
            letter = names.setdefault(style, LETTERS[len(names)])
            if parts and parts[-1][0] == letter:
                parts[-1] = letter, parts[-1][1] + len(text)
            else:
                parts.append((letter, len(text)))
        runs.append(" ".join(f"{letter}{length}" for letter, length in parts))
    legend = [f"{letter} {style}" for style, letter in names.items()]
    head = f"{app.size.width}x{app.size.height} {app.theme}"
    body = ["".join(text for text, _ in line) + "|" for line in rows]
    return "\n".join([head, *body, "", *legend, "", *runs, ""])


def strips(app: App[Any]) -> list[Strip]:
    """Return the picture as it is drawn, which tells soonest whether it has changed."""
    return app.screen._compositor.render_strips(app.size)


def _lines(app: App[Any]) -> list[list[tuple[str, str]]]:
    return [
        [(segment.text, str(segment.style or "")) for segment in line] for line in strips(app)
    ]
