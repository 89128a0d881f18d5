"""The outcome of a session in one line of the list, and its cells with bars below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from txtop.ui.drawing.cell_names import shorten_names
from txtop.ui.drawing.charts import draw_bar
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, crop, cut, fit, measure_row, measure_text
from txtop.ui.panels.base import ARM_ROLES

if TYPE_CHECKING:
    from txtop.ui.models.session_outcome import ListedOutcome, OutcomeCell

# Between the name of a cell and its value, and between the value and a bar.
GAP = 2
HALF_WIDTH, MIN_BAR_WIDTH = 9, 4
# A name that is cut shorter than this says nothing.
MIN_CUT_NAME_WIDTH = 6
# Without the interval of each cell.
NARROW_BELOW = 60
# The columns of names and notes in a list where names are whole at the cost of words of notes.
NARROW_ROOM = 30


def render_outcome(
    outcome: ListedOutcome, word: Row, value_width: int, width: int, g: Glyphs
) -> Row:
    """Render the value, then the word of the session's end, whose value it is, and its badge.

    The badge is never left out: a speed without it would claim too much.
    """
    value: Row = [(fit(g(outcome.value), value_width, "right"), "text")]
    name = g(clean(outcome.name))
    badges = [_colour_note(g(badge), outcome.role, g) for badge in outcome.badges] or [[]]
    for badge in badges:
        beside = measure_row(_join(value, [word, badge]))
        kept = _cut_name(name, width - beside - 1, g)
        row = _join(value, [word, [(kept, "muted")] if kept else [], badge])
        if measure_row(row) <= width:
            return row
    return crop(_join(value, [badges[-1]]), width)


def _cut_name(name: str, room: int, g: Glyphs) -> str:
    """Cut a name to `room`; empty where not even its first word fits, or that is a number alone."""
    if measure_text(name) <= room:
        return name
    first, _, rest = name.partition(" ")
    needed = first + (f" {rest.partition(' ')[0]}" if first.isdigit() else "")
    whole = measure_text(needed) < room
    return cut(name, room, g("…")) if whole and room >= MIN_CUT_NAME_WIDTH else ""


def measure_outcome(outcome: ListedOutcome, g: Glyphs) -> tuple[int, int, int]:
    """Return the columns of the value, of the shortest badge, and of name and badge in full."""
    badges = [measure_text(g(badge)) + 1 for badge in outcome.badges] or [0]
    name = measure_text(g(clean(outcome.name)))
    return measure_text(g(outcome.value)), badges[-1], badges[0] + (name + 1 if name else 0)


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
    rows += _render_cells(cells, outcome.cells, width, g)
    left = len(outcome.cells) - len(cells)
    if left and room > 0:
        rows.append([(g(f"and {left} more"), "muted")])
    return rows


def _render_cells(
    cells: tuple[OutcomeCell, ...], listed: tuple[OutcomeCell, ...], width: int, g: Glyphs
) -> list[Row]:
    """Render `cells` in columns for all that are `listed`: names first, bars in what is left."""
    if not cells:
        return []
    lead = 2 if any(cell.letter for cell in listed) else 0
    names = [clean(g(cell.name)) for cell in listed]
    rates = [g(f"{cell.rate} {cell.unit}".strip()) for cell in listed]
    rated = max(map(measure_text, rates)) + GAP
    half = HALF_WIDTH if width >= NARROW_BELOW and any(cell.half for cell in listed) else 0
    room = width - lead - rated - half - GAP - MIN_BAR_WIDTH
    names, notes = _choose_texts(
        names, [[clean(g(n)) for n in one.notes] for one in listed], room, g
    )
    named, noted = (max(map(measure_text, texts)) for texts in (names, notes))
    # Names that would be cut still have the columns of the bars.
    named = min(named, max(10, room - noted - 1 + MIN_BAR_WIDTH))
    noted += 1 if noted else 0
    bar = width - lead - named - rated - half - GAP - noted
    bar = bar if bar >= MIN_BAR_WIDTH else 0
    rows = []
    for cell, name, rate, note in zip(cells, names, rates, notes, strict=False):
        role = dict(zip("AB", ARM_ROLES, strict=True)).get(cell.letter, "plot")
        row: Row = [(fit(cell.letter, lead), f"{role}.bold")] if lead else []
        row += [
            (fit(name, named, mark=g("…")), "text"),
            (fit(rate, rated, "right"), "text.bold"),
            (fit(g(cell.half), half, "right"), "muted"),
            (" " * GAP, "muted"),
            *(draw_bar(cell.share, bar, g, role) if cell.share else [(" " * bar, "text")]),
            (" ", "muted"),
            *_colour_note(note, cell.role, g),
        ]
        rows.append(crop(row, width))
    return rows


def _colour_note(note: str, role: str, g: Glyphs) -> Row:
    """Colour a badge by its role, and the doubt about the rate behind it by its own."""
    for sign, doubt_role in (("○", "text"), ("▲", "warn")):
        at = note.find(f" {g(sign)}", 1)
        if at > 0:
            return [(note[:at], role), (note[at:], doubt_role)]
    return [(note, role)] if note else []


def _choose_texts(
    names: list[str], forms: list[list[str]], room: int, g: Glyphs
) -> tuple[list[str], list[str]]:
    """Return the names and the notes, each as long as both columns permit.

    Notes lose their last words before names lose what they share, in a narrow list all of them;
    signs are always kept, and of a reason, which has none, as much as a third of the room holds.
    """
    for whole in (True, False) if room < NARROW_ROOM else (False,):
        for level, share in ((0, 2), (1, 2), (-2, 2), (-1, 3)):
            most = room if whole else max(0, room // share)
            notes = [_choose_form(own, level) for own in forms]
            notes = [n if _is_sign(n[:1]) else cut(n, most, g("…")) for n in notes]
            left = max(0, room - max(map(measure_text, notes)) - 1)
            shorter = names if whole or level == 0 else shorten_names(names, left, g("…"))
            if max(map(measure_text, shorter)) <= left:
                return shorter, notes
    return shorter, notes


def _choose_form(forms: list[str], level: int) -> str:
    """Return the form at `level` from the front or from the end, or the nearest; "" of none."""
    if not forms:
        return ""
    return forms[min(level, len(forms) - 1) if level >= 0 else max(0, len(forms) + level)]


def _is_sign(text: str) -> bool:
    """Return True if a text has no words."""
    return not any(map(str.isalnum, text))
