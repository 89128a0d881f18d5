"""The chart of the cell at work: its title, its scale, the mean with its interval, the warm-up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.panels import MODES, G
from support.ui_events import Story, folded, sweep
from txtop.ui.drawing import charts
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import GlyphMode, Glyphs
from txtop.ui.drawing.spans import Row, measure_row
from txtop.ui.models.hero import HeroView
from txtop.ui.models.hero_metrics import Chart, compute_chart_range
from txtop.ui.models.round_numbers import round_outwards
from txtop.ui.models.view import build_view
from txtop.ui.panels.hero import render_hero, render_hero_metric

CHART = Chart((20.0, *[22.0] * 9), 2, 20, 19.0, 25.0, "n 8", mean=22.0, band=(20.5, 23.5))


def measuring() -> HeroView:
    return build_view(folded(Story(sweep()).whole(), until_s=30.0)).hero


def lines(rows: list[Row]) -> list[str]:
    return ["".join(text for text, _ in row) for row in rows]


@given(st.floats(0, 1e9), st.floats(1e-3, 1e9))
def test_ends_are_round_and_outside_and_not_far(low: float, span: float) -> None:
    high = low + span
    if high - low < 1e-6 * high:
        return
    first, last = round_outwards(low, high)
    slack = 1e-6 * (high - low)
    assert first <= low + slack and last >= high - slack
    assert last - first <= 1.7 * (high - low)
    assert first >= 0


@pytest.mark.parametrize("middle", [0.0123, 22.4, 987.0, 31_400.0])
def test_the_labels_of_the_axis_are_round(middle: float) -> None:
    low, high = compute_chart_range([middle] * 20, [])
    assert low < middle < high
    assert all(len(f"{end:.12g}".replace(".", "").strip("0")) <= 3 for end in (low, high))
    assert round_outwards(low, high) == (low, high)


def test_the_mean_is_a_rule_and_its_interval_a_band() -> None:
    rows = charts.shade_chart(charts.draw_chart(CHART, 40, 7, G, "accent-a"), CHART, 40, G)
    assert all(measure_row(row) == 40 for row in rows)
    mean = charts.find_mean_row(CHART, 7, G)
    band = charts.find_band_rows(CHART, 7, G)
    assert mean in band and len(band) > 2
    drawn = lines(rows)
    for y, line in enumerate(drawn):
        assert ("░" in line) == (y in band and y != mean)
        assert "╌" not in line or y == mean
        assert line[24:].strip() == "", "nothing is said of what was not measured"
        assert not set(line[:4]) & set("░╌"), "warm-up has no mean"
    assert {role for row in rows for text, role in row if "·" in text} == {"border"}


def test_without_an_interval_there_is_no_band() -> None:
    alone = replace(CHART, band=None)
    drawn = "".join(
        lines(charts.shade_chart(charts.draw_chart(alone, 40, 7, G, "x"), alone, 40, G))
    )
    assert "░" not in drawn
    far = replace(CHART, mean=99.0)
    assert charts.find_mean_row(far, 7, G) is None and not charts.find_band_rows(far, 7, G)


@pytest.mark.parametrize("mode", MODES)
def test_the_chart_has_a_title_with_its_unit_and_the_mean_a_label(mode: GlyphMode) -> None:
    hero = measuring()
    g = Glyphs(mode)
    drawn = lines(render_hero(hero, Area(68, 15, g, boxed=True)))
    title = next(line for line in drawn if "of each iteration" in line)
    assert f"{hero.unit} of each iteration" in title and "warm-up" in title
    assert f"{g('╌')} mean" in title
    assert hero.chart.mean is not None
    ends = [f"{end:.4g}" for end in (hero.chart.high, hero.chart.low)]
    assert all(any(line.rstrip(" │|").endswith(end) for line in drawn) for end in ends)
    waiting = replace(hero, chart=Chart())
    assert not any(
        "of each iteration" in line for line in lines(render_hero(waiting, Area(68, 15, g)))
    )


def test_a_spark_has_its_scale_where_there_is_room() -> None:
    metric = next(row for row in measuring().rows if row.label == "TPOT")
    across = 64 - 34 - 15
    low, high = charts.compute_zoom_range(charts.select_newest(metric.spark, across, G))
    line = "".join(text for text, _ in render_hero_metric(metric, 64, G))
    assert line.endswith(f" {low:.4g}–{high:.4g} ms") and measure_row([(line, "")]) == 64
    assert "–" not in "".join(text for text, _ in render_hero_metric(metric, 50, G))
