"""The whole screen where there is no room for panels: one number, its doubt, how far it is."""

from __future__ import annotations

from txtop import formatting
from txtop.ui.drawing import big_digits, charts, glyphs
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, fit, fit_block
from txtop.ui.models.ab import ABView
from txtop.ui.models.view import View
from txtop.ui.panels import (
    ab_verdict,
    footer,
    header,
    hero,
    progress_rail,
)
from txtop.ui.panels.base import KeyHints, Panel

MIN_DIGITS_SIZE = (24, 8)


def render_compact(shown: View, keys: KeyHints, width: int, height: int, g: Glyphs) -> list[Row]:
    """As much as fits, the most important first; harmless at any size."""
    if shown.duel is not None:
        return _render_compact_ab(shown, shown.duel, keys, width, height, g)
    top = shown.hero
    text, unit = hero.format_hero_number(top)
    word = (f"{g(top.mark)} {top.word}", top.role)
    number = f"{top.number_role}.bold"
    if height < 4:
        row: Row = [(g(text), number), (f" {unit}  ", "text"), word]
        return fit_block([row, [(top.title, "muted")]], width, height)
    rows: list[Row] = [*header.render_header(shown, width, g), [(f" {g(top.title)}", "text.bold")]]
    if width >= MIN_DIGITS_SIZE[0] and height >= MIN_DIGITS_SIZE[1]:
        said: list[Row] = [
            [(unit, "text")],
            [word],
            [(g(top.half or top.why), "text")],
        ]
        if top.reason:
            said[2] = [(top.reason, "bad")]
        for line, beside in zip(big_digits.draw_digits(text, g), said, strict=True):
            rows.append([(f" {fit(line, big_digits.DIGITS_WIDTH + 1)}", number), *beside])
    else:
        rows.append([(f" {g(text)}", number), (f" {unit}  ", "text"), word])
    across = max(1, width - 2)
    rows.append([(" ", "text"), *charts.draw_progress_axis(top.chart, across, g)])
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
            where.append((f"   {formatting.format_clock(shown.playback.position_ns)}", "muted"))
        rows.append(where)
    rows = rows[: height - 1]
    rows += [[] for _ in range(height - 1 - len(rows))]
    return fit_block([*rows, *footer.render_footer(keys, width, g)], width, height)


def _render_compact_ab(
    shown: View, duel: ABView, keys: KeyHints, width: int, height: int, g: Glyphs
) -> list[Row]:
    """The verdict of an A/B: its ratio, in a word, how sure."""
    found = duel.comparison
    number, word = f"{found.role}.bold", (g(found.word), found.word_role)
    beside: list[Row] = [
        [word],
        [(g(found.interval), "text")],
        [(g(found.surely), "muted")],
    ]
    rows: list[Row]
    if height < 4:
        first: Row = [(g(ab_verdict.format_ab_ratio(found)), number), ("  ", "text"), word]
        return fit_block([first, *beside[1:]], width, height)
    rows = [*header.render_header(shown, width, g)]
    if width >= MIN_DIGITS_SIZE[0] + big_digits.DIGITS_WIDTH and height >= MIN_DIGITS_SIZE[1]:
        for line, said in zip(
            big_digits.draw_digits(ab_verdict.format_ab_ratio(found), g), beside, strict=True
        ):
            rows.append([(f" {fit(line, ab_verdict.FACTS_AT)}", number), *said])
    else:
        rows.append([(f" {g(ab_verdict.format_ab_ratio(found))}", number), ("  ", "text"), word])
        rows += [[(" ", "text"), *said] for said in beside[1:]]
    rows.append(progress_rail.render_ab_rail(duel, width, g)[0])
    rows += [
        [(f" {fit(label, 9)}", "muted"), (g(value), "text")]
        for label, value, _, _ in found.rows[:3]
    ]
    rows = rows[: height - 1]
    rows += [[] for _ in range(height - 1 - len(rows))]
    return fit_block([*rows, *footer.render_footer(keys, width, g)], width, height)


class CompactPanel(Panel):
    """Everything, where there is no room for panels."""

    def __init__(self, keys: KeyHints, *, id: str) -> None:
        super().__init__(id=id)
        self.keys = keys

    def build(self, width: int, height: int) -> list[Row]:
        return render_compact(self.shown, self.keys, width, height, glyphs.get_glyphs())
