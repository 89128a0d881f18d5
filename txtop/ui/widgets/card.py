"""The whole screen where there is no room for panels: one number, its doubt, how far it is."""

from __future__ import annotations

from txtop.ui import numbers
from txtop.ui.glyphs import Glyphs
from txtop.ui.view import View
from txtop.ui.widgets import bars, braille, digits, hero
from txtop.ui.widgets.rows import Row, block, fit

ROOM_FOR_DIGITS = (24, 8)


def card(shown: View, keys: bars.Keys, width: int, height: int, g: Glyphs) -> list[Row]:
    """As much as fits, the most important first; harmless at any size."""
    top = shown.hero
    text, unit = hero.number_text(top)
    word = (f"{g(top.mark)} {top.word}", top.role)
    number = f"{top.number_role}.bold"
    if height < 4:
        row: Row = [(g(text), number), (f" {unit}  ", "text"), word]
        return block([row, [(top.title, "muted")]], width, height)
    rows: list[Row] = [*bars.header(shown, width, g), [(f" {g(top.title)}", "text.bold")]]
    if width >= ROOM_FOR_DIGITS[0] and height >= ROOM_FOR_DIGITS[1]:
        said: list[Row] = [
            [(unit, "text")],
            [word],
            [(g(top.half or top.why), "text")],
        ]
        if top.reason:
            said[2] = [(top.reason, "bad")]
        for line, beside in zip(digits.rows(text, g), said, strict=True):
            rows.append([(f" {fit(line, digits.WIDTH + 1)}", number), *beside])
    else:
        rows.append([(f" {g(text)}", number), (f" {unit}  ", "text"), word])
    across = max(1, width - 2)
    rows.append([(" ", "text"), *braille.axis(top.chart, across, g)])
    for metric in top.rows[: max(0, height - len(rows) - 2)]:
        rows.append(
            [
                (f" {fit(metric.label, 8)}", "muted"),
                (fit(g(metric.value), 7, "right"), "text.bold"),
                (f" {metric.unit} {fit(g(metric.half), 9, 'right')}", "muted"),
            ]
        )
    if len(rows) < height - 1:
        where: Row = [(f" cell {shown.position}/{shown.count}", "muted")]
        if shown.left:
            where.append((f"   left {g(shown.left)}", "muted"))
        if shown.playback:
            where.append((f"   {numbers.clock(shown.playback.position_ns)}", "muted"))
        rows.append(where)
    rows = rows[: height - 1]
    rows += [[] for _ in range(height - 1 - len(rows))]
    return block([*rows, *bars.footer(keys, width, g)], width, height)
