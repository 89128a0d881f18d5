"""The whole screen on terminals too small for panels: one number, its certainty, its progress."""

from __future__ import annotations

from dataclasses import replace

from txtop import formatting
from txtop.ui.drawing import big_digits, charts
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.spans import Row, fit, fit_block, measure_text
from txtop.ui.keymap import KeyHints
from txtop.ui.models.ab import ABView
from txtop.ui.models.layout import MIN_ARM_ROWS
from txtop.ui.models.view import View
from txtop.ui.panels import ab_arm, ab_verdict, header, hero, progress_rail
from txtop.ui.panels.base import Panel
from txtop.ui.panels.footer_keys import render_footer

MIN_DIGITS_SIZE = (24, 8)
MOST_ARM_ROWS = 12


def render_compact(view: View, keys: KeyHints, area: Area) -> list[Row]:
    """Render as much as fits, most important first; works at any size."""
    g = area.glyphs
    if view.ab is not None:
        return _render_compact_ab(view, view.ab, keys, area)
    top = view.hero
    text, unit = hero.format_hero_number(top)
    word = (f"{g(top.mark)} {top.word}", top.role)
    number = f"{top.number_role}.bold"
    if area.height < 4:
        row: Row = [(g(text), number), (f" {unit}  ", "text"), word]
        return fit_block([row, [(top.title, "muted")]], area.width, area.height)
    rows: list[Row] = [
        *header.render_header(view, area.width, g),
        [(f" {g(top.title)}", "text.bold")],
    ]
    if area.width >= MIN_DIGITS_SIZE[0] and area.height >= MIN_DIGITS_SIZE[1]:
        facts: list[Row] = [
            [(unit, "text")],
            [word],
            [(g(top.half or top.why), "text")],
        ]
        if top.reason:
            facts[2] = [(top.reason, "bad" if top.role == "bad.bold" else "text")]
        drawn, field = big_digits.draw_field(text, g, area.width)
        for line, beside in zip(drawn, facts, strict=True):
            rows.append([(f" {fit(line, field - 1)}", number), *beside])
    else:
        rows.append([(f" {g(text)}", number), (f" {unit}  ", "text"), word])
    across = max(1, area.width - 2)
    rows.append([(" ", "text"), *charts.draw_progress_axis(top.chart, across, g)])
    for metric in top.rows[: max(0, area.height - len(rows) - 2)]:
        rows.append(
            [
                (f" {fit(metric.label, 8)}", "muted"),
                (fit(g(metric.value), 7, "right"), "text.bold"),
                (f" {metric.unit} {fit(g(metric.half), 9, 'right')}", "muted"),
            ]
        )
    if len(rows) < area.height - 1:
        where: Row = [(f" cell {view.position}/{view.count}", "muted")]
        if view.left:
            where.append((f"   left {g(view.left)}", "muted"))
        if view.playback:
            where.append((f"   {formatting.format_clock(view.playback.position_ns)}", "muted"))
        rows.append(where)
    rows = rows[: area.height - 1]
    rows += [[] for _ in range(area.height - 1 - len(rows))]
    return fit_block([*rows, *render_footer(keys, area.width, g)], area.width, area.height)


def _render_compact_ab(view: View, ab: ABView, keys: KeyHints, area: Area) -> list[Row]:
    """Render the verdict of an A/B: ratio, word and certainty."""
    g = area.glyphs
    comparison = ab.comparison
    number = f"{comparison.role}.bold"
    figure = g(ab_verdict.format_ab_ratio(comparison))
    digits = (
        area.width >= MIN_DIGITS_SIZE[0] + big_digits.DIGITS_WIDTH
        and area.height >= MIN_DIGITS_SIZE[1]
    )
    head = ab_verdict.FACTS_AT + 1 if digits else measure_text(figure) + 3
    beside = ab_verdict.render_facts(comparison, max(0, area.width - head), g)
    rows: list[Row]
    if area.height < 4:
        first: Row = [(figure, number), ("  ", "text"), *beside[0]]
        return fit_block([first, *beside[1:]], area.width, area.height)
    rows = [*header.render_header(view, area.width, g)]
    if digits:
        for line, fact in zip(
            big_digits.draw_digits(ab_verdict.format_ab_ratio(comparison), g), beside, strict=True
        ):
            rows.append([(f" {fit(line, ab_verdict.FACTS_AT)}", number), *fact])
    else:
        rows.append([(f" {figure}", number), ("  ", "text"), *beside[0]])
        rows += [[(" ", "text"), *fact] for fact in beside[1:]]
    rows.append(progress_rail.render_ab_rail(ab, area.width, g)[0])
    rows += [
        [(f" {fit(label, 9)}", "muted"), (g(value), "text")]
        for label, value, _, _ in comparison.rows[:3]
    ]
    room = (area.height - 1 - len(rows)) // 2 - 1
    if room >= MIN_ARM_ROWS:
        # A telephone held upright is narrow, but it has rows.
        arm = replace(area, height=min(room, MOST_ARM_ROWS))
        for side in (0, 1):
            rows += [[], *ab_arm.render_ab_arm(ab, side, arm)]
    rows = rows[: area.height - 1]
    rows += [[] for _ in range(area.height - 1 - len(rows))]
    return fit_block([*rows, *render_footer(keys, area.width, g)], area.width, area.height)


class CompactPanel(Panel):
    """The whole screen, for terminals without room for panels."""

    def __init__(self, keys: KeyHints, *, id: str) -> None:
        super().__init__(id=id)
        self.keys = keys

    def build(self, width: int, height: int) -> list[Row]:
        return render_compact(self.view, self.keys, self.area(width, height))
