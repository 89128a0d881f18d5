"""The cell that is being measured: the big number, its doubt, its iterations and its latencies."""

from __future__ import annotations

from dataclasses import replace

from txtop import formatting
from txtop.ui.drawing import big_digits, charts, glyphs
from txtop.ui.drawing.frame import compute_inner_size, draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, crop, cut, fit, measure_text, wrap
from txtop.ui.models.hero import HeroView
from txtop.ui.models.hero_metrics import HeroMetric
from txtop.ui.panels import (
    requests,
)
from txtop.ui.panels.base import FramedPanel

FACTS_AT = 19
FACT_WIDTH = 10
SMALL_CHART_AT = 46
LABELS_WIDTH = 6
MAX_FLAT_ROWS = 4
SPARK_AT = 34
MAX_SPARK_WIDTH = 48
TAIL_WIDTH = 16
VALUES_AT = 21


def render_hero(
    shown: HeroView, width: int, height: int, g: Glyphs, *, boxed: bool, focused: bool = False
) -> list[Row]:
    """The panel with its frame."""
    across, down = compute_inner_size(width, height, boxed)
    doubled = down >= 18 and across > 96
    if shown.reason and not shown.chart.points:
        body = _render_failure(shown, across, g, doubled, airy=boxed)
    elif not boxed and down < 12:
        body = _render_flat(shown, across, g)
    else:
        body = _render_tall(shown, across, down, g, doubled)
    return draw_frame(
        shown.title,
        list(shown.subtitle),
        body,
        width,
        height,
        g,
        boxed=boxed,
        focused=focused,
    )


def _render_failure(shown: HeroView, width: int, g: Glyphs, doubled: bool, airy: bool) -> list[Row]:
    """A cell that gave no number: why, and what to do, in full."""
    reason = wrap(shown.reason, width - 1, 3, g("…"))
    hint = wrap(shown.hint, width - 1, 3, g("…")) if shown.hint else []
    return [
        *([[]] if airy else []),
        *render_hero_number(replace(shown, reason=""), width, g, doubled),
        [],
        *([(f" {line}", "text")] for line in reason),
        *([(f" {line}", "muted")] for line in hint),
        *([[], _render_load(shown, width, g)] if shown.load and airy else []),
    ]


def _render_tall(shown: HeroView, width: int, height: int, g: Glyphs, doubled: bool) -> list[Row]:
    """Digits and facts, the chart over the whole width, latencies under it."""
    rows = render_latencies(shown, width, g)
    top = render_hero_number(shown, width, g, doubled)
    if shown.lanes is not None:
        # They need no axis under them: their row that counts says how far it is.
        free = max(1, height - len(top) - len(rows) - 2)
        tight = free < 4 or free < 2 + -(-len(shown.lanes.running) // 4)
        lanes = requests.render_requests(shown.lanes, width, free - (not tight), g)
        lanes += [[]] * (free - len(lanes))
        return [[], *top, [], *lanes, *rows]
    chart_height = max(1, height - len(top) - len(rows) - 3)
    room = max(0, width - LABELS_WIDTH)
    return [
        [],
        *top,
        [],
        *_render_chart(shown, room, chart_height, g),
        _render_axis(shown, room, g),
        *rows,
    ]


def _render_flat(shown: HeroView, width: int, g: Glyphs) -> list[Row]:
    """Digits, facts and chart side by side, for a small terminal."""
    facts = render_hero_number(shown, SMALL_CHART_AT if not shown.reason else width, g, False)
    room = width - SMALL_CHART_AT - LABELS_WIDTH
    if shown.lanes is not None and not shown.reason and room >= 8:
        facts = render_hero_number(shown, SMALL_CHART_AT - 1, g, False)
        beside = [*facts, *(render_hero_metric(each, SMALL_CHART_AT - 2, g) for each in shown.rows)]
        lanes = requests.render_requests(shown.lanes, width - SMALL_CHART_AT, len(beside), g)
        lanes += [[]] * (len(beside) - len(lanes))
        sides = zip(beside, lanes, strict=True)
        under = render_latencies(replace(shown, rows=()), width, g)
        return [*([*crop(left, SMALL_CHART_AT), *right] for left, right in sides), *under]
    if shown.reason or room < 8:
        return [*facts, [], *render_latencies(shown, width, g)]
    chart = _render_chart(shown, room, big_digits.DIGIT_ROWS, g)
    top = [[*crop(left, SMALL_CHART_AT), *right] for left, right in zip(facts, chart, strict=True)]
    axis: Row = [(" " * SMALL_CHART_AT, "text"), *_render_axis(shown, room, g)]
    rows = render_latencies(shown, width, g)
    if len(rows) <= MAX_FLAT_ROWS:
        return [*top, axis, *rows]
    first = render_hero_metric(shown.rows[0], SMALL_CHART_AT - 2, g)
    return [*top, [*crop(first, SMALL_CHART_AT), *axis[1:]], *rows[1:]]


def format_hero_number(shown: HeroView) -> tuple[str, str]:
    """The big number and its unit; `…` while it is still to come."""
    text, prefix = formatting.format_scaled(shown.value)
    if shown.value is None and shown.waits:
        text = formatting.PENDING
    return text, f"{prefix} {shown.unit}".strip()


def render_hero_number(shown: HeroView, width: int, g: Glyphs, doubled: bool) -> list[Row]:
    """The digits with the facts beside them: what, how sure, against what."""
    text, unit = format_hero_number(shown)
    drawn = big_digits.draw_digits(text, g, doubled)
    role = f"{shown.number_role}.bold" if g.mode == "ascii" else shown.number_role
    field = (big_digits.DIGITS_WIDTH + 1) * (2 if doubled else 1) + 1
    facts = _render_facts(shown, unit, width - field, g)
    places = {i * 2 + 1 if doubled else i: fact for i, fact in enumerate(facts)}
    return [
        [(" ", "text"), (fit(line, field - 1), role), *places.get(y, [])]
        for y, line in enumerate(drawn)
    ]


def _render_facts(shown: HeroView, unit: str, width: int, g: Glyphs) -> list[Row]:
    word: Row = [(f"{g(shown.mark)} {g(shown.word)}", shown.role)]
    if shown.reason:
        lines = wrap(shown.reason, max(1, width), 2 if not shown.hint else 1, g("…"))
        rows: list[Row] = [word, *([(line, "text")] for line in lines)]
        if shown.hint:
            rows.append([(cut(clean(shown.hint), width, g("…")), "muted")])
        return rows
    first = [(fit(unit, FACT_WIDTH), "text"), *word]
    sure = (fit(g(shown.half), FACT_WIDTH), "text.bold")
    interval = shown.interval
    if measure_text(interval) > width - FACT_WIDTH:
        interval = interval.removesuffix(" 95 %")
    beside: Row = [sure, (shown.why or interval, _choose_reason_role(shown))]
    if not shown.half:
        beside = [(fit("", FACT_WIDTH), "text"), (g(shown.why), _choose_reason_role(shown))]
    against: Row = []
    if shown.ratio:
        forms = [f"{shown.ratio_of} · {badge}" for badge in shown.badges] + [*shown.badges]
        room = width - FACT_WIDTH
        said = next((form for form in forms if measure_text(form) <= room), forms[-1])
        against = [(fit(shown.ratio, FACT_WIDTH), "text.bold"), (g(said), "muted")]
    elif shown.notes:
        said = next((form for form in shown.notes if measure_text(form) <= width), shown.notes[-1])
        against = [(g(said), "muted")]
    elif shown.share is not None:
        against = [(" " * FACT_WIDTH, "text"), *charts.draw_bar(shown.share, 16, g)]
    return [first, beside, against]


def _choose_reason_role(shown: HeroView) -> str:
    if not shown.why:
        return "muted"
    return {"warn.bold": "warn", "bad.bold": "bad"}.get(shown.role, "muted")


def _render_chart(shown: HeroView, width: int, height: int, g: Glyphs) -> list[Row]:
    """The chart with its highest and lowest value at its right."""
    role = "accent-a" if shown.number_role != "bad" else "bad"
    rows = charts.draw_chart(shown.chart, width, height, g, role)
    empty = not any(point is not None for point in shown.chart.points)
    labels = {} if empty else {height - 1: shown.chart.low, 0: shown.chart.high}
    return [
        [
            *row,
            (
                fit(
                    formatting.format_number(labels[y]) if y in labels else "",
                    LABELS_WIDTH,
                    "right",
                ),
                "muted",
            ),
        ]
        for y, row in enumerate(rows)
    ]


def _render_axis(shown: HeroView, width: int, g: Glyphs) -> Row:
    return [
        *charts.draw_progress_axis(shown.chart, width, g),
        (fit(shown.chart.label, LABELS_WIDTH, "right"), "muted"),
    ]


def render_latencies(shown: HeroView, width: int, g: Glyphs) -> list[Row]:
    """One row a metric, then the gaps between tokens and the load with its phases."""
    rows = [render_hero_metric(each, width, g) for each in shown.rows]
    if shown.itl:
        rows.append(render_itl(shown, width, g))
    rows.append(_render_load(shown, width, g))
    return rows


def render_hero_metric(shown: HeroMetric, width: int, g: Glyphs) -> Row:
    """One row: value, interval, and the newest points."""
    room = width - SPARK_AT
    row = _render_value(shown.label, shown.value, shown.unit, g)
    row.append((fit(g(shown.half), 9, "right"), "text"))
    if shown.tail and room > TAIL_WIDTH + 8:
        row.append((fit(f"   {shown.tail}", TAIL_WIDTH), "muted"))
        room -= TAIL_WIDTH
    if room > 4:
        across = min(room, MAX_SPARK_WIDTH)
        row.append((" " * (5 + room - across + 1), "text"))
        row.append((charts.draw_dotted(shown.spark, across, g), "plot"))
    return row


def _render_value(label: str, value: str, unit: str, g: Glyphs) -> Row:
    return [
        (fit(label, 8), "muted"),
        (fit(g(value), 7, "right"), "text.bold"),
        (f" {fit(unit, 3)}", "muted"),
    ]


def render_itl(shown: HeroView, width: int, g: Glyphs) -> Row:
    """A percentile that is not known yet says what it needs; the rarer ones then say nothing."""
    first, *others = shown.itl
    if first[1].startswith("after") or first[1] == "withheld":
        row = _render_value(
            "ITL p50", formatting.PENDING if shown.waits else formatting.MISSING, "ms", g
        )
        return [*row, ("  ", "text"), *_render_needed("", first[1])]
    row = _render_value("ITL p50", first[1], "ms", g)
    row.append(("  ", "text"))
    for i, (name, value) in enumerate(others):
        if not value.startswith("after"):
            row += [(f"{name} ", "muted"), (fit(value, 9), "text.bold")]
        elif i < len(others) - 1 or width < 60:
            row.append((fit(f"{name} {value.partition(' runs')[0]}", 13), "muted"))
        else:
            row += _render_needed(f"{name} ", value)
    return row


def _render_needed(name: str, value: str) -> Row:
    """Render `p99 after 662 runs (136 so far)`, the number so far in plain text."""
    floor, bracket, rest = value.partition("(")
    count, _, ending = rest.partition(" ")
    if not bracket:
        return [(f"{name}{floor}", "muted")]
    return [(f"{name}{floor}{bracket}", "muted"), (count, "text"), (f" {ending}", "muted")]


def _render_load(shown: HeroView, width: int, g: Glyphs) -> Row:
    if not shown.load:
        return _render_value(
            "load", formatting.PENDING if shown.waits else formatting.MISSING, "s", g
        )
    (label, whole), *phases = shown.load
    row = _render_value(label, whole, "s", g)
    row.append(("  ", "text"))
    left = width - VALUES_AT
    for name, value in phases:
        left -= measure_text(clean(name)) + 1 + len(value) + 2
        if left < -2:
            break
        row += [(f"{name} ", "muted"), (f"{value}  ", "text")]
    return row


class HeroPanel(FramedPanel):
    """The big number."""

    def build(self, width: int, height: int) -> list[Row]:
        return render_hero(self.shown.hero, width, height, glyphs.get_glyphs(), boxed=self.boxed)
