"""The panel of one A/B arm: its rate, its iterations on the scale both arms share, its
latencies."""

from __future__ import annotations

from dataclasses import replace

from txtop.ui.drawing import charts
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame, fits_heading
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.scale import format_tick
from txtop.ui.drawing.spans import (
    Row,
    crop,
    fit,
    join_ends,
    measure_row,
    measure_text,
    merge_cells,
)
from txtop.ui.models.ab import ABArmView, ABView
from txtop.ui.models.hero import HeroView, share_scale
from txtop.ui.panels import hero
from txtop.ui.panels.base import ARM_ROLES, FramedPanel
from txtop.ui.panels.hero_loading import render_loading

LABELS_WIDTH = 6
DOUBT_MARKS = ("○", "▲")


def render_ab_arm(view: ABView, side: int, area: Area) -> list[Row]:
    """Render the panel of arm A (`side` 0) or of the arm compared with it (1), with its frame."""
    g = area.glyphs
    mine, other = view.sides[side], view.sides[1 - side]
    role = ARM_ROLES[side]
    inside = area.inside
    scaled, against = share_scale(mine.hero, other.hero)
    planned = max(scaled.chart.planned, against.chart.planned)
    scaled = replace(scaled, chart=replace(scaled.chart, planned=planned))
    body = (_render_tall if area.boxed else _render_flat)(mine, other, scaled, side, inside)
    subtitle = _render_subtitle(mine, role, g)
    title = f"{mine.letter}  {mine.name}"
    if not fits_heading(title, subtitle, area):
        title = f"{mine.letter}  {g(mine.short_name)}"
    rows = draw_frame(title, subtitle, body, area)
    return [_colour_letter(rows[0], mine.letter, role), *rows[1:]] if rows else rows


def _colour_letter(row: Row, letter: str, role: str) -> Row:
    """Colour the letter in the heading with the arm's own role."""
    coloured: Row = []
    for text, style in row:
        if style.startswith("text") and text.startswith(letter):
            coloured += [(text[:1], f"{role}.bold"), (text[1:], style)]
        else:
            coloured.append((text, style))
    return coloured


def _render_subtitle(arm: ABArmView, role: str, g: Glyphs) -> Row:
    if arm.doing:
        return [(g(f"▸ {arm.doing}"), role)]
    if arm.hero.role == "bad.bold":
        return [(arm.hero.word, "muted")]
    if arm.hero.waits:
        return [("waits", "muted")]
    return [(g(text), style) for text, style in arm.hero.subtitle]


def _render_rate(arm: ABArmView, role: str, width: int, g: Glyphs) -> Row:
    top = arm.hero
    text, unit = hero.format_hero_number(top)
    number = "bad" if top.number_role == "bad" else role if top.value else "muted"
    start: Row = [(" ", "text"), (g(text), f"{number}.bold"), (f" {unit}", "text")]
    word: Row = [(f"{g(top.mark)} {g(top.word)}", top.role)]
    mark: Row = [(g(top.mark), top.role)]
    if top.half:
        half: Row = [(g(top.half), "text")]
        doubt: Row = [(g(top.why), "muted")] if top.mark in DOUBT_MARKS and not top.waits else []
        forms = [
            [start, half, word, doubt],
            [start, half, word],
            [start, half, mark],
            [start, word],
        ]
    else:
        # The mark stands before the reason of the doubt where its word has no room.
        reasons = dict.fromkeys([g(top.why), g(top.why).partition(":")[0]])
        marked = [[*mark, (f" {reason}", "muted")] for reason in reasons if reason]
        forms = [[start, [(g(top.why), "muted")] if top.why else [], word]]
        forms += [*([start, reason] for reason in marked), [start, word]]
    rows = [_join_fields(form, width) for form in forms]
    fitting = (row for row in rows if measure_row(row) <= width)
    return next(fitting, crop(_join_fields([start, mark], width), width))


def _join_fields(fields: list[Row], width: int) -> Row:
    """Join fields with three spaces, or one if that is too wide."""
    fields = [field for field in fields if field]
    wide = sum(map(measure_row, fields))
    gap = " " * (3 if wide + 3 * (len(fields) - 1) <= width else 1)
    row: Row = []
    for field in fields:
        row += [(gap, "text"), *field] if row else field
    return row


def _keep_fields(fields: list[Row], width: int) -> Row:
    """Join as many of the fields as fit, from the first on."""
    rows = [_join_fields(fields[:count], width) for count in range(len(fields), 0, -1)]
    return next((row for row in rows if measure_row(row) <= width), fields[0] if fields else [])


def _render_tall(
    mine: ABArmView, other: ABArmView, scaled: HeroView, side: int, area: Area
) -> list[Row]:
    g = area.glyphs
    below = [hero.render_hero_metric(metric, area.width, g) for metric in mine.hero.rows]
    if mine.hero.itl:
        below.append(hero.render_itl(mine.hero, area.width, g))
    below.append(_render_memory(mine))
    room = max(1, area.height - len(below) - 4)
    return [
        [],
        _render_rate(mine, ARM_ROLES[side], area.width, g),
        _render_chart_title(mine, other, area.width, g),
        *_render_chart(scaled, other, side, area.width, room, g),
        [],
        *below,
    ]


def _render_flat(
    mine: ABArmView, other: ABArmView, scaled: HeroView, side: int, area: Area
) -> list[Row]:
    g = area.glyphs
    latencies: list[Row] = [
        [
            (f"{metric.label}  ", "muted"),
            (g(metric.value), "text.bold"),
            (f" {metric.unit}", "muted"),
        ]
        for metric in mine.hero.rows[:2]
    ]
    label, value = mine.memory
    beside: list[Row] = [
        [
            (f"{label.removeprefix('peak ')}  ", "muted"),
            (g(value), "text.bold"),
            (" GiB", "muted"),
        ]
    ]
    if mine.hero.itl:
        name, stated = mine.hero.itl[-1]
        beside.append([(f"{name} {stated.partition(' (')[0]}", "muted")])
    room = max(1, area.height - 3)
    chart = _render_chart(scaled, other, side, area.width, room, g, unit=mine.hero.unit)
    return [
        _render_rate(mine, ARM_ROLES[side], area.width, g),
        *chart,
        _keep_fields(latencies, area.width),
        _keep_fields(beside, area.width),
    ]


def _render_chart_title(mine: ABArmView, other: ABArmView, width: int, g: Glyphs) -> Row:
    """Render what the points are with their unit, and what the rule is if there is room."""
    chart = mine.hero.chart
    if all(point is None for point in chart.points):
        return []
    over = "over time" if chart.filled else "of each iteration"
    title: Row = [(f"{mine.hero.unit} ", "text"), (over, "muted")]
    rule = f"{g('╌')} mean of {other.letter}{' ' * LABELS_WIDTH}"
    return join_ends(title, [(rule, "muted")] if other.mean is not None else [], width)


def _render_chart(
    scaled: HeroView,
    other: ABArmView,
    side: int,
    width: int,
    height: int,
    g: Glyphs,
    unit: str = "",
) -> list[Row]:
    """Render the iterations, with the other arm's mean as a rule that ends in its letter; before
    them the phases of the load.

    The first end of the scale that has room before it has the `unit` of a chart without a title.
    """
    if scaled.loading is not None:
        return render_loading(scaled.loading, Area(width, height, g))
    room = max(1, width - LABELS_WIDTH)
    chart = scaled.chart
    rows = charts.draw_chart(chart, room, height, g, ARM_ROLES[side])
    labels: dict[int, tuple[str, str]] = {}
    if any(point is not None for point in chart.points):
        labels = {
            0: (format_tick(chart.high), "muted"),
            height - 1: (format_tick(chart.low), "muted"),
        }
        if other.mean is not None and chart.low <= other.mean <= chart.high:
            y = charts.find_chart_row(other.mean, chart, height, g)
            rows[y] = _draw_rule(crop(rows[y], room), g)
            labels[y] = (other.letter, ARM_ROLES[1 - side])
    ends = (y for y in (0, height - 1) if labels.get(y, ("", ""))[1] == "muted")
    named = next((y for y in ends if _is_blank_behind(rows[y], room - len(unit) - 1, room)), None)
    drawn = list(rows)
    for y, (label, role) in labels.items():
        text = f" {label} {unit}" if y == named and unit else label
        wide = max(LABELS_WIDTH, measure_text(text))
        drawn[y] = [*crop(rows[y], width - wide), (fit(g(text), wide, "right"), role)]
    return drawn


def _is_blank_behind(row: Row, start: int, end: int) -> bool:
    """Return True if a row has no point between two columns."""
    return not "".join(text for text, _ in crop(row, end))[max(0, start) :].strip()


def _draw_rule(row: Row, g: Glyphs) -> Row:
    """Draw the rule into the gaps between points."""
    return merge_cells(
        (g("╌"), "border") if character == " " else (character, role)
        for text, role in row
        for character in text
    )


def _render_memory(arm: ABArmView) -> Row:
    label, value = arm.memory
    return [
        (fit(label, 8), "muted"),
        (fit(value, 7, "right"), "text.bold"),
        (" GiB", "muted"),
    ]


class ABArmPanel(FramedPanel):
    """One arm of an A/B; the id is `arm-a` or `arm-b`."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.view.ab is None:
            return []
        side = 0 if self.id == "arm-a" else 1
        return render_ab_arm(self.view.ab, side, self.area(width, height))
