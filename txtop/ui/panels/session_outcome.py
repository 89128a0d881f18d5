"""The outcome of a session in one line of the list, and its cells with bars below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from txtop.ui.drawing.charts import draw_bar
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, crop, cut, fit, measure_row, measure_text
from txtop.ui.panels.base import ARM_ROLES

if TYPE_CHECKING:
    from txtop.ui.models.session_outcome import ListedOutcome, OutcomeCell

# `1,920 tok/s` ends where `A/B 1.92x` ends, and the width of that beside the name of a cell.
VALUE_WIDTH, CELL_VALUE_WIDTH = 11, 12
HALF_WIDTH, MIN_BAR_WIDTH = 9, 6
# A name that is cut shorter than this says nothing.
MIN_CUT_NAME_WIDTH = 6
# Without the interval of each cell.
NARROW_BELOW = 60


def render_outcome(outcome: ListedOutcome, word: Row, width: int, g: Glyphs) -> Row:
    """Render the value, then the word of the session's end, whose value it is, and its badge.

    The badge is never left out: a speed without it would claim too much.
    """
    value: Row = [(fit(g(outcome.value), VALUE_WIDTH, "right"), "text")]
    text = g(clean(outcome.name))
    room = width - VALUE_WIDTH - 1
    if not outcome.badges and room >= MIN_CUT_NAME_WIDTH:
        # A part of its first word tells nothing.
        fits = measure_text(text.partition(" ")[0]) < room
        text = cut(text, room, g("…")) if fits else ""
    name: Row = [(text, "muted")] if text else []
    badges: list[Row] = [[(g(badge), outcome.role)] for badge in outcome.badges] or [[]]
    forms = [
        [word, name, badges[0]],
        [word, badges[0]],
        [name, badges[-1]],
        [word, badges[-1]],
        [badges[-1]],
    ]
    rows = [_join(value, parts) for parts in forms]
    return next((row for row in rows if measure_row(row) <= width), crop(rows[-1], width))


def _join(value: Row, parts: list[Row]) -> Row:
    return [*value, *(span for part in parts if part for span in ((" ", "muted"), *part))]


def render_outcome_cells(outcome: ListedOutcome, width: int, height: int, g: Glyphs) -> list[Row]:
    """Render the verdict of an A/B and one row a cell, with a bar on the scale of its unit."""
    rows: list[Row] = []
    if outcome.verdict:
        spans = [(g(clean(text)), role) for text, role in outcome.verdict]
        whole = measure_row(spans) <= width
        rows.append(spans if whole else crop(spans[:-1], width))
    room = height - len(rows)
    cells = outcome.cells if len(outcome.cells) <= room else outcome.cells[: max(0, room - 1)]
    rows += [_render_cell(cell, outcome.cells, width, g) for cell in cells]
    left = len(outcome.cells) - len(cells)
    if left and room > 0:
        rows.append([(g(f"and {left} more"), "muted")])
    return rows


def _render_cell(cell: OutcomeCell, cells: tuple[OutcomeCell, ...], width: int, g: Glyphs) -> Row:
    lead = 2 if cell.letter else 0
    longest = max(measure_text(clean(g(one.name))) for one in cells)
    named = min(longest, max(10, width // 3))
    half = HALF_WIDTH if width >= NARROW_BELOW and any(one.half for one in cells) else 0
    notes = [clean(g(one.note)) for one in cells]
    left = width - lead - named - CELL_VALUE_WIDTH - half - 2
    room = max(0, min(left - MIN_BAR_WIDTH - 1, width // 3))
    noted = max(measure_text(_shorten_note(note, room, g)) for note in notes)
    bar = max(0, left - (noted + 1 if noted else 0))
    role = dict(zip("AB", ARM_ROLES, strict=True)).get(cell.letter, "plot")
    row: Row = [(f"{cell.letter} ", f"{role}.bold")] if cell.letter else []
    row += [
        (fit(clean(g(cell.name)), named, mark=g("…")), "text"),
        (fit(g(f"{cell.rate} {cell.unit}".strip()), CELL_VALUE_WIDTH, "right"), "text.bold"),
        (fit(g(cell.half), half, "right"), "muted"),
        ("  ", "muted"),
        *(draw_bar(cell.share, bar, g, role) if cell.share else [(" " * bar, "text")]),
    ]
    if noted:
        row.append((f" {_shorten_note(clean(g(cell.note)), noted, g)}", cell.role))
    return crop(row, width)


def _shorten_note(note: str, width: int, g: Glyphs) -> str:
    """Return the note, or its sign alone where there is no room for its word."""
    sign = note.partition(" ")[0]
    return sign if measure_text(sign) <= width < measure_text(note) else cut(note, width, g("…"))
