"""What surrounds a panel: a rounded frame where there is room, else a heading rule."""

from __future__ import annotations

from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, cut, fit_block, measure_row


def compute_inner_size(width: int, height: int, boxed: bool) -> tuple[int, int]:
    """Columns and rows that a frame leaves."""
    if boxed:
        return max(0, width - 4), max(0, height - 2)
    return max(0, width - 2), max(0, height - 1)


def draw_frame(
    title: str,
    subtitle: Row,
    body: list[Row],
    width: int,
    height: int,
    g: Glyphs,
    *,
    boxed: bool,
    focused: bool = False,
) -> list[Row]:
    """`body` in its frame, exactly `height` rows of `width` columns."""
    line = "muted" if focused else "border"
    name = "accent-a.bold" if focused else "text.bold"
    across, down = compute_inner_size(width, height, boxed)
    left, right = (g("╭─"), g("─╮")) if boxed else (g("─"), g("─"))
    top = _draw_heading(title, subtitle, width - len(left) - len(right), g, line, name)
    rows: list[Row] = [[(left, line), *top, (right, line)]]
    lines = fit_block(body, across, down)
    if not boxed:
        return fit_block([*rows, *([(" ", "text"), *row] for row in lines)], width, height)
    side = g("│")
    rows += [[(f"{side} ", line), *row, (f" {side}", line)] for row in lines]
    rows.append([(g("╰") + g("─") * max(0, width - 2) + g("╯"), line)])
    return fit_block(rows, width, height)


def _draw_heading(title: str, subtitle: Row, room: int, g: Glyphs, line: str, name: str) -> Row:
    """` title ───── subtitle `; the subtitle goes first where there is no room, then the title."""
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
