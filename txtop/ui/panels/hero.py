"""The panel of the cell being measured: its rate in big digits, its interval, iterations,
latencies."""

from __future__ import annotations

from dataclasses import replace

from txtop import formatting
from txtop.ui.drawing import big_digits, charts
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame, fits_heading
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.scale import format_tick
from txtop.ui.drawing.spans import (
    MIN_ENDS_GAP,
    Row,
    clean,
    crop,
    cut,
    fit,
    join_blocks,
    join_ends,
    measure_row,
    measure_text,
    wrap,
)
from txtop.ui.models.glossary import BIG_NUMBERS
from txtop.ui.models.hero import HeroView
from txtop.ui.models.hero_metrics import HeroMetric
from txtop.ui.panels import requests
from txtop.ui.panels.base import FramedPanel
from txtop.ui.panels.hero_loading import render_loading

FACTS_AT = 19
FACT_WIDTH = 10
SMALL_CHART_AT = 47
LABELS_WIDTH = 6
MAX_FLAT_ROWS = 4
SPARK_AT = 34
MAX_SPARK_WIDTH = 48
# The ends of a spark's scale, and the columns from which on there is room for them.
SCALE_WIDTH, SCALE_FROM = 15, 25
TAIL_WIDTH = 16
# Rows from which on there is room for a word under the big number.
CAPTION_FROM = 14
VALUES_AT = 21


def render_hero(view: HeroView, area: Area) -> list[Row]:
    """Render the panel with its frame."""
    g = area.glyphs
    inside = area.inside
    doubled = inside.height >= 18 and inside.width > 96
    if view.reason and not view.chart.points:
        body = _render_failure(view, inside.width, g, doubled, airy=area.boxed)
    elif not area.boxed and inside.height < 12:
        body = _render_flat(view, inside.width, g)
    else:
        body = _render_tall(view, inside, doubled)
    subtitle = list(view.subtitle)
    return draw_frame(choose_title(view, subtitle, area), subtitle, body, area)


def choose_title(view: HeroView, subtitle: Row, area: Area) -> str:
    """Return the title of a cell, or what tells it from the others if that has no room."""
    whole = fits_heading(view.title, subtitle, area) or not view.short_title
    return view.title if whole else area.glyphs(view.short_title)


def _render_failure(view: HeroView, width: int, g: Glyphs, doubled: bool, airy: bool) -> list[Row]:
    """Render a cell without a number: the reason and the remedy, in full."""
    reason = wrap(view.reason, width - 1, 3, g("…"))
    hint = wrap(view.hint, width - 1, 3, g("…")) if view.hint else []
    return [
        *([[]] if airy else []),
        *render_hero_number(replace(view, reason=""), width, g, doubled),
        [],
        *([(f" {line}", "text")] for line in reason),
        *([(f" {line}", "muted")] for line in hint),
        *([[], _render_load(view, width, g)] if view.load and airy else []),
    ]


def _render_tall(view: HeroView, area: Area, doubled: bool) -> list[Row]:
    """Render digits and facts, then the chart over the whole width, then the latencies."""
    g = area.glyphs
    rows = render_latencies(view, area.width, g)
    top = render_hero_number(view, area.width, g, doubled)
    if view.loading is not None:
        free = max(1, area.height - len(top) - len(rows) - 2)
        return [[], *top, [], *render_loading(view.loading, Area(area.width, free, g)), *rows]
    if view.requests is not None:
        # Requests need no axis under them: their row of counts shows the progress.
        free = max(1, area.height - len(top) - len(rows) - 2)
        tight = free < 4 or free < 2 + -(-len(view.requests.running) // 4)
        request_rows = requests.render_requests(
            view.requests, Area(area.width, free - (not tight), g)
        )
        request_rows += [[]] * (free - len(request_rows))
        return [[], *top, [], *request_rows, *rows]
    caption = [] if area.height < CAPTION_FROM else [_render_caption(view, area.width)]
    chart_height = max(1, area.height - len(top) - len(caption) - len(rows) - 3)
    room = max(0, area.width - LABELS_WIDTH)
    return [
        [],
        *top,
        *caption,
        _render_chart_title(view, area.width, chart_height, g),
        *_render_chart(view, room, chart_height, g),
        _render_axis(view, room, g),
        *rows,
    ]


def _render_flat(view: HeroView, width: int, g: Glyphs) -> list[Row]:
    """Render digits, facts and chart side by side, for a small terminal."""
    facts = render_hero_number(view, width if view.reason else SMALL_CHART_AT - 1, g, False)
    room = width - SMALL_CHART_AT - LABELS_WIDTH
    loads = view.loading is not None
    if view.requests is not None and not loads and not view.reason and room >= 8:
        facts = render_hero_number(view, SMALL_CHART_AT - 1, g, False)
        beside = [
            *facts,
            *(render_hero_metric(metric, SMALL_CHART_AT - 2, g) for metric in view.rows),
        ]
        request_rows = requests.render_requests(
            view.requests, Area(width - SMALL_CHART_AT, len(beside), g)
        )
        under = render_latencies(replace(view, rows=()), width, g)
        return [*join_blocks(beside, request_rows, SMALL_CHART_AT), *under]
    if view.reason or room < 8:
        return [*facts, [], *render_latencies(view, width, g)]
    chart = _render_chart(view, room, big_digits.DIGIT_ROWS, g)
    below = _render_axis(view, room, g)
    if view.loading is not None:
        bars = Area(width - SMALL_CHART_AT, big_digits.DIGIT_ROWS + 1, g)
        *chart, below = render_loading(view.loading, bars)
    top = join_blocks(facts, chart, SMALL_CHART_AT)
    axis: Row = [(" " * SMALL_CHART_AT, "text"), *below]
    rows = render_latencies(view, width, g)
    if len(rows) <= MAX_FLAT_ROWS:
        return [*top, axis, *rows]
    first = render_hero_metric(view.rows[0], SMALL_CHART_AT - 2, g)
    return [*top, [*crop(first, SMALL_CHART_AT), *axis[1:]], *rows[1:]]


def format_hero_number(view: HeroView) -> tuple[str, str]:
    """Return the number and its unit; `…` while it is pending."""
    text, prefix = formatting.format_scaled(view.value)
    if view.value is None and view.waits:
        text = formatting.PENDING
    return text, f"{prefix} {view.unit}".strip()


def render_hero_number(view: HeroView, width: int, g: Glyphs, doubled: bool) -> list[Row]:
    """Render the digits with the facts beside them: unit, certainty and reference."""
    text, unit = format_hero_number(view)
    drawn, field = big_digits.draw_field(text, g, width, doubled)
    role = f"{view.number_role}.bold" if g.mode == "ascii" else view.number_role
    facts = _render_facts(view, unit, width - field, g)
    places = {i * 2 + 1 if doubled else i: fact for i, fact in enumerate(facts)}
    return [
        [(" ", "text"), (fit(line, field - 1), role), *places.get(y, [])]
        for y, line in enumerate(drawn)
    ]


def _render_facts(view: HeroView, unit: str, width: int, g: Glyphs) -> list[Row]:
    word: Row = [(f"{g(view.mark)} {g(view.word)}", view.role)]
    if view.reason:
        lines = wrap(view.reason, max(1, width), 2 if not view.hint else 1, g("…"))
        rows: list[Row] = [word, *([(line, "text")] for line in lines)]
        if view.hint:
            rows.append([(cut(clean(view.hint), width, g("…")), "muted")])
        return rows
    first = [(fit(unit, FACT_WIDTH), "text"), *word]
    sure = (fit(g(view.half), FACT_WIDTH), "text.bold")
    intervals = (view.interval, view.interval.removesuffix(" 95 %"), "")
    interval = next((form for form in intervals if measure_text(form) <= width - FACT_WIDTH), "")
    why = _shorten_reason(clean(g(view.why)), width - FACT_WIDTH, g)
    beside: Row = [sure, (why or interval, _choose_reason_role(view))]
    if not view.half:
        beside = [(fit("", FACT_WIDTH), "text"), (why, _choose_reason_role(view))]
    against: Row = []
    if view.ratio:
        forms = [f"{view.ratio_of} · {badge}" for badge in view.badges] + [*view.badges]
        forms = forms or [view.ratio_of]
        room = width - FACT_WIDTH
        remark = next((form for form in forms if measure_text(form) <= room), forms[-1])
        against = [(fit(view.ratio, FACT_WIDTH), "text.bold"), (g(remark), "muted")]
    elif view.notes:
        remark = next((form for form in view.notes if measure_text(form) <= width), view.notes[-1])
        against = [(g(remark), "muted")]
    if view.loading is not None and view.loading.so_far:
        so_far, last = view.loading.so_far, view.loading.last
        beside = [(fit("", FACT_WIDTH), "text"), (so_far, "text.bold"), (" so far", "muted")]
        against = [(f"the last load of it took {last}" if last else g(view.why), "muted")]
        if view.role == "warn.bold":
            against = [(g(view.why), "warn")]
    return [first, beside, against]


def _shorten_reason(text: str, room: int, g: Glyphs) -> str:
    """Shorten `waited 33 % for a processor: make 7` by who it was, then to its size."""
    cause = text.partition(": ")[0]
    forms = (text, cause, cause.partition(" for ")[0])
    return next((form for form in forms if measure_text(form) <= room), cut(text, room, g("…")))


def _choose_reason_role(view: HeroView) -> str:
    if not view.why:
        return "muted"
    return {"warn.bold": "warn", "bad.bold": "bad"}.get(view.role, "muted")


def _render_chart(view: HeroView, width: int, height: int, g: Glyphs) -> list[Row]:
    """Render the chart with its highest and lowest value at the right."""
    role = "accent-a" if view.number_role != "bad" else "bad"
    rows = charts.draw_chart(view.chart, width, height, g, role)
    chart, labels = view.chart, dict[int, tuple[str, str]]()
    if any(point is not None for point in chart.points):
        rows = rows if chart.filled else charts.shade_chart(rows, chart, width, g)
        if (mean := charts.find_mean_row(chart, height, g)) is not None and chart.mean is not None:
            labels[mean] = formatting.format_number(chart.mean), "text.bold"
        labels |= {height - 1: (format_tick(chart.low), "muted")}
        labels |= {0: (format_tick(chart.high), "muted")}
    rows_labels = [labels.get(y, ("", "muted")) for y in range(height)]
    return [
        [*row, (fit(label, LABELS_WIDTH, "right"), label_role)]
        for row, (label, label_role) in zip(rows, rows_labels, strict=True)
    ]


def _render_chart_title(view: HeroView, width: int, height: int, g: Glyphs) -> Row:
    """Render what the chart shows, its unit, and what its marks mean."""
    chart = view.chart
    if not any(point is not None for point in chart.points):
        return []
    over = "over time" if chart.filled else "of each iteration"
    title: Row = [(f"{view.unit} ", "text"), (over, "muted")]
    if chart.record:
        title.append((f" {g('·')} best so far", "text.bold"))
    warm_up = f"{g('·')} warm-up" if chart.measured_from and not chart.filled else ""
    mean = f"{g('╌')} mean" if charts.find_mean_row(chart, height, g) is not None else ""
    if mean and len(charts.find_band_rows(chart, height, g)) > 1:
        mean += f", {g('░')} its interval"
    room = width - measure_row(title) - MIN_ENDS_GAP - LABELS_WIDTH
    forms = (warm_up, mean), (mean,), (mean.partition(",")[0],), (warm_up,), ()
    texts = ("   ".join(filter(None, form)) for form in forms)
    marks = next(text for text in texts if measure_text(text) <= max(0, room))
    return join_ends(title, [(f"{marks}{' ' * LABELS_WIDTH}", "muted")], width)


def _render_caption(view: HeroView, width: int) -> Row:
    """Render what the big number counts, under it."""
    return crop([(f" {BIG_NUMBERS.get(view.unit, '')}", "muted")], width)


def _render_axis(view: HeroView, width: int, g: Glyphs) -> Row:
    return [
        *charts.draw_progress_axis(view.chart, width, g),
        (fit(view.chart.label, LABELS_WIDTH, "right"), "muted"),
    ]


def render_latencies(view: HeroView, width: int, g: Glyphs) -> list[Row]:
    """Render one row a metric, then the gaps between tokens, then the load with its phases."""
    rows = [render_hero_metric(metric, width, g) for metric in view.rows]
    if view.itl:
        rows.append(render_itl(view, width, g))
    rows.append(_render_load(view, width, g))
    return rows


def render_hero_metric(metric: HeroMetric, width: int, g: Glyphs) -> Row:
    """Render one metric: value, interval, and the newest points."""
    room = width - SPARK_AT
    row = _render_value(metric.label, metric.value, metric.unit, g)
    row.append((fit(g(metric.half), 9, "right"), "text"))
    if metric.tail and room > TAIL_WIDTH + 8:
        row.append((fit(f"   {metric.tail}", TAIL_WIDTH), "muted"))
        room -= TAIL_WIDTH
    if room > 4:
        end = SCALE_WIDTH if room >= SCALE_FROM else 0
        across = min(room - end, MAX_SPARK_WIDTH)
        row.append((" " * (5 + room - end - across + 1), "text"))
        row.append((charts.draw_dotted(metric.spark, across, g), "plot"))
        newest = charts.select_newest(metric.spark, across, g)
        if end and any(point is not None for point in newest):
            ends = map(format_tick, charts.compute_zoom_range(newest))
            row.append((fit(f"{g('–').join(ends)} {metric.unit}", end, "right"), "muted"))
    return row


def _render_value(label: str, value: str, unit: str, g: Glyphs) -> Row:
    return [
        (fit(label, 8), "muted"),
        (fit(g(value), 7, "right"), "text.bold"),
        (f" {fit(unit, 3)}", "muted"),
    ]


def render_itl(view: HeroView, width: int, g: Glyphs) -> Row:
    """Render the percentiles of the gaps between tokens; the first that lacks samples shows its
    need."""
    first, *others = view.itl
    if first[1].startswith("after") or first[1] == "withheld":
        row = _render_value(
            "ITL p50", formatting.PENDING if view.waits else formatting.MISSING, "ms", g
        )
        row.append(("  ", "text"))
        return [*row, *_render_needed("", first[1], width - measure_row(row))]
    row = _render_value("ITL p50", first[1], "ms", g)
    row.append(("  ", "text"))
    for i, (name, value) in enumerate(others):
        if not value.startswith("after"):
            row += [(f"{name} ", "muted"), (fit(value, 9), "text.bold")]
        elif i < len(others) - 1:
            row.append((fit(f"{name} {value.partition(' (')[0]}", 13) + " ", "muted"))
        else:
            row += _render_needed(f"{name} ", value, width - measure_row(row))
    return row


def _render_needed(name: str, value: str, room: int) -> Row:
    """Render `p99 after 662 (136 so far)`; the count so far, in plain text, if there is room."""
    floor, bracket, rest = value.partition(" (")
    count, _, ending = rest.partition(" ")
    if not bracket or len(name) + len(value) > room:
        return [(f"{name}{floor}", "muted")]
    return [(f"{name}{floor}{bracket}", "muted"), (count, "text"), (f" {ending}", "muted")]


def _render_load(view: HeroView, width: int, g: Glyphs) -> Row:
    if not view.load:
        return _render_value(
            "load", formatting.PENDING if view.waits else formatting.MISSING, "s", g
        )
    (label, whole), *phases = view.load
    row = _render_value(label, whole, "s", g)
    row.append(("  ", "text"))
    left = width - VALUES_AT
    for name, value in phases:
        left -= measure_text(clean(name)) + 1 + len(value) + 4
        if left < -2:
            break
        row += [(f"{name} ", "muted"), (value, "text"), (" s  ", "muted")]
    return row


class HeroPanel(FramedPanel):
    """The panel of the cell being measured."""

    def build(self, width: int, height: int) -> list[Row]:
        return render_hero(self.view.hero, self.area(width, height))
