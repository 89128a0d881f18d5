"""The frame of a panel: a rounded box if there is room, else a heading rule."""

from __future__ import annotations

from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import (
    Row,
    clean,
    crop,
    cut,
    cut_parts,
    fit_block,
    is_end_of_part,
    measure_row,
)

# A subtitle as short as `cell 12/12` is kept whole: cut, it would say nothing.
SHORT_SUBTITLE = 10


def draw_frame(title: str, subtitle: Row, body: list[Row], area: Area) -> list[Row]:
    """Draw `body` in its frame; exactly `area.height` rows of `area.width` columns."""
    g, width, height = area.glyphs, area.width, area.height
    line = "muted" if area.focused else "border"
    name = "accent-a.bold" if area.focused else "text.bold"
    left, right = (g("╭─"), g("─╮")) if area.boxed else (g("─"), g("─"))
    top = _draw_heading(title, subtitle, width - len(left) - len(right), g, line, name)
    rows: list[Row] = [[(left, line), *top, (right, line)]]
    lines = fit_block(body, area.inside.width, area.inside.height)
    if not area.boxed:
        return fit_block([*rows, *([(" ", "text"), *row] for row in lines)], width, height)
    side = g("│")
    rows += [[(f"{side} ", line), *row, (f" {side}", line)] for row in lines]
    rows.append([(g("╰") + g("─") * max(0, width - 2) + g("╯"), line)])
    return fit_block(rows, width, height)


def measure_subtitle_room(title: str, area: Area) -> int:
    """Return the columns of a subtitle beside which `title` is not cut."""
    ends = 4 if area.boxed else 2
    return area.width - measure_row([(title, "")]) - ends - 5


def fits_heading(title: str, subtitle: Row, area: Area) -> bool:
    """Return True if the heading has room for both without a cut."""
    return measure_row(subtitle) <= measure_subtitle_room(title, area)


def _trim(row: Row) -> Row:
    """Return the row without the spaces at its end."""
    *others, (text, role) = row
    return [*others, (text.rstrip(), role)] if text.strip() else others


def _take_parts(row: Row, width: int) -> Row:
    """Return the whole parts of a text that fit, none if the first does not."""
    whole = "".join(text for text, _ in row)
    text = cut_parts(whole, width, "")
    if not is_end_of_part(whole, len(text)):
        return []
    kept: Row = []
    left = len(text)
    for part, role in row:
        kept.append((part[:left], role))
        left -= len(kept[-1][0])
    return kept


def _draw_heading(title: str, subtitle: Row, room: int, g: Glyphs, line: str, name: str) -> Row:
    """Draw ` title ───── subtitle `.

    Where both do not fit the subtitle loses parts, or is cut, if it is not short and at least half
    of it stays, else the title is cut; without room for six columns of a title the subtitle is
    dropped.
    """
    taken = measure_row(subtitle)
    beside_title = room - measure_row([(title, "")]) - 5
    parted = taken > SHORT_SUBTITLE and any(" " in text for text, _ in subtitle)
    if parted and taken // 2 <= beside_title < taken:
        subtitle = _take_parts(subtitle, beside_title) or _trim(crop(subtitle, beside_title))
        taken = measure_row(subtitle)
    if taken and taken + 2 + 6 > room:
        subtitle, taken = [], 0
    ends: Row = [(" ", line), *subtitle, (" ", line)] if taken else []
    beside = taken + 2 if taken else 0
    text = cut(clean(title), max(0, room - beside - 3), g("…"))
    if not text:
        return [(g("─") * max(0, room - beside), line), *ends]
    rule = g("─") * max(0, room - beside - measure_row([(text, "")]) - 2)
    return [(" ", line), (text, name), (f" {rule}", line), *ends]
