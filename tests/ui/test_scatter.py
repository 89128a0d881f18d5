"""A scatter plot: where values stand, what is labelled, and what covers what."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from support.panels import MODES, G
from support.screen_text import lines as text
from txtop.stats import pareto
from txtop.ui.drawing.glyphs import GlyphMode, Glyphs
from txtop.ui.drawing.scale import (
    build_linear_scale,
    build_log_scale,
    compute_even_ticks,
    compute_log_ticks,
    format_tick,
)
from txtop.ui.drawing.scatter import ScatterData, ScatterPlot, ScatterPoint, get_series_sign
from txtop.ui.drawing.spans import to_ascii
from txtop.ui.models.round_numbers import round_up_step

pairs = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=12)
sizes = st.floats(1e-6, 1e9, allow_nan=False)


# The front


@given(pairs)
def test_nobody_on_the_front_is_dominated_and_everybody_else_is(
    points: list[tuple[float, float]],
) -> None:
    front = pareto.find_front(points)
    for point, is_on in zip(points, front, strict=True):
        assert is_on != any(
            other[0] <= point[0] and other[1] >= point[1] and other != point for other in points
        )
        if not is_on:
            by = [p for p, on in zip(points, front, strict=True) if on]
            assert any(pareto.dominates(rival, point) for rival in by)


def test_equal_points_share_the_front() -> None:
    assert pareto.find_front([(1, 5), (1, 5), (1, 4), (2, 5), (2, 6)]) == [
        True,
        True,
        False,
        False,
        True,
    ]


# The scale


def test_ticks_of_a_wide_span_are_one_two_five() -> None:
    assert compute_log_ticks(18, 1000) == (20, 50, 100, 200, 500, 1000)


def test_ticks_of_a_narrow_span_are_finer() -> None:
    assert compute_log_ticks(18, 90) == (20, 30, 40, 50, 70)


def test_where_few_round_numbers_lie_the_steps_are_even() -> None:
    assert compute_log_ticks(23, 24.5) == (23, 23.5, 24, 24.5)
    assert compute_even_ticks(0, 1) == (0, 0.2, 0.4, 0.6, 0.8, 1)


@given(sizes, st.floats(1.001, 1e6))
def test_ticks_lie_inside_in_order_and_are_neither_few_nor_many(low: float, span: float) -> None:
    ticks = compute_log_ticks(low, low * span)
    assert list(ticks) == sorted(set(ticks))
    assert all(low * (1 - 1e-9) <= tick <= low * span * (1 + 1e-9) for tick in ticks)
    assert 3 <= len(ticks) <= 3 * (math.log10(span) + 1) + 10


@given(st.floats(1e-9, 1e12))
def test_a_nice_step_is_one_two_or_five_and_the_next(value: float) -> None:
    step = round_up_step(value)
    head = float(f"{step:e}".partition("e")[0])
    assert head in (1.0, 2.0, 5.0) and value * (1 - 1e-6) <= step <= 2.6 * value


@given(st.lists(sizes, min_size=1, max_size=9))
def test_every_value_lies_inside_its_scale(values: list[float]) -> None:
    for scale in (build_log_scale(values), build_linear_scale(values)):
        assert scale.low < scale.high
        assert all(scale.low < value < scale.high for value in values)


def test_a_point_on_the_move_hardly_moves_the_scale() -> None:
    ends = {(s.low, s.high) for s in (build_log_scale([20, 60 + i / 100]) for i in range(100))}
    assert len(ends) <= 2


def test_a_decade_is_as_long_as_the_next() -> None:
    scale = build_log_scale([10, 1000])
    one, two, three = (scale.share(v) for v in (10, 100, 1000))
    assert two - one == pytest.approx(three - two)
    even = build_linear_scale([100])
    assert (even.share(0), even.share(50)) == (0, pytest.approx(50 / even.high))
    assert (scale.share(1e-9), scale.share(1e20)) == (0, 1)


def test_ticks_are_written_in_few_characters() -> None:
    ticks = [format_tick(v) for v in (0.5, 20.0, 1000.0, 5000.0, 20000.0, 1.5e6, 2e9)]
    assert ticks == ["0.5", "20", "1000", "5000", "20k", "1.5M", "2G"]


# The plot


def a_drawing(spots: Sequence[ScatterPoint], **facts: object) -> ScatterData:
    x = build_log_scale([spot.x for spot in spots])
    y = build_log_scale([spot.y for spot in spots])
    return ScatterData(x, y, "ms per token", "tok/s", tuple(spots), **facts)  # type: ignore[arg-type]


def test_a_point_stands_where_its_axes_say() -> None:
    plot = ScatterPlot(a_drawing([ScatterPoint(20, 50, 0), ScatterPoint(80, 700, 1)]), 80, 24, G)
    rows = text(plot.rows())
    for i, spot in enumerate([ScatterPoint(20, 50, 0), ScatterPoint(80, 700, 1)]):
        column, row = plot.place(spot.x, spot.y)
        assert rows[row][column] == "●■"[i]
    assert plot.place(20, 50)[1] > plot.place(80, 700)[1]
    assert plot.place(20, 50)[0] < plot.place(80, 700)[0]


def test_a_labelled_row_and_column_are_those_of_their_values() -> None:
    drawing = a_drawing([ScatterPoint(20, 100, 0), ScatterPoint(80, 1000, 0)])
    plot = ScatterPlot(drawing, 80, 24, G)
    rows = text(plot.rows())
    assert rows[plot.place(20, 500)[1]].startswith("   500 ")
    rule, labels, name = rows[-3:]
    at = plot.place(30, 100)[0]
    assert rule[at] == "┴" and labels[at - 1 : at + 1] == "30"
    assert rule.startswith(" tok/s ") and name.endswith("ms per token")


def test_a_short_name_of_the_lower_axis_leaves_room_for_its_last_label() -> None:
    lengths = (128.0, 512.0)
    drawing = ScatterData(
        build_linear_scale(lengths, lengths),
        build_linear_scale([100, 900]),
        "tokens",
        "ms",
        (ScatterPoint(512, 900, 0),),
    )
    last = text(ScatterPlot(drawing, 60, 12, G).rows())[-1]
    assert last.startswith("tokens ") and last.split() == ["tokens", "128", "512"]


spots = st.lists(
    st.builds(
        ScatterPoint,
        st.floats(1, 1e3),
        st.floats(1, 1e3),
        st.integers(0, 6),
        st.sampled_from(["", "8", "128", "a long label"]),
        st.booleans(),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@given(spots, st.sampled_from(MODES), st.data())
def test_signs_are_covered_by_nothing(
    placed: list[ScatterPoint], mode: GlyphMode, data: st.DataObject
) -> None:
    """By no line, label, ceiling or cursor; where two meet, the one selected is seen."""
    g = Glyphs(mode)
    cursor = data.draw(st.none() | st.integers(0, len(placed) - 1))
    line = (0, tuple((spot.x, spot.y) for spot in placed))
    drawing = a_drawing(placed, lines=(line,), ceilings=((placed[0].y, "a ceiling " * 9),))
    plot = ScatterPlot(drawing, 70, 20, g)
    rows = text(plot.rows(cursor))
    seen: dict[tuple[int, int], set[str]] = {}
    for spot in placed:
        signs = seen.setdefault(plot.place(spot.x, spot.y), set())
        signs.add(get_series_sign(spot.series, g, hollow=spot.hollow))
    for (column, row), signs in seen.items():
        assert rows[row][column] in signs
    if cursor is not None:
        spot = placed[cursor]
        column, row = plot.place(spot.x, spot.y)
        assert rows[row][column] == get_series_sign(spot.series, g, hollow=spot.hollow)


@given(spots, st.integers(20, 90), st.integers(6, 30))
def test_labels_stand_whole_or_not_at_all(
    placed: list[ScatterPoint], width: int, height: int
) -> None:
    named = [ScatterPoint(s.x, s.y, s.series, "12345" if s.label else "") for s in placed]
    plot = ScatterPlot(a_drawing(named), width, height, G)
    wanted = sum(bool(spot.label) for spot in named)
    body = [row[plot.gutter :] for row in text(plot.rows())[: plot.down]]
    whole = sum(row.count("12345") for row in body)
    digits = sum(character.isdigit() for row in body for character in row)
    assert digits == 5 * whole and whole <= wanted


@given(spots, st.none() | st.integers(0, 11), st.integers(30, 130), st.integers(8, 40))
def test_no_text_covers_a_line(
    placed: list[ScatterPoint], cursor: int | None, width: int, height: int
) -> None:
    """A cell with a piece of a line or of the guide keeps it, but for signs and the cursor."""
    path = tuple((spot.x, spot.y) for spot in placed)
    silent = [replace(spot, label="") for spot in placed]
    cursor = None if cursor is None or cursor >= len(placed) else cursor
    marks = {"ceilings": ((placed[0].y, "roof"),), "budgets": ((placed[0].x, "SLO 5 ms"),)}
    bare = ScatterPlot(a_drawing(silent, lines=((0, path),)), width, height, G)
    whole = a_drawing(placed, lines=((0, path),), guide=None, **marks)
    before, after = text(bare.rows(cursor)), text(ScatterPlot(whole, width, height, G).rows(cursor))
    for line, labelled in zip(before[: bare.down], after, strict=False):
        for old, new in zip(line, labelled, strict=True):
            assert not "⠁" <= old <= "⣿" or old == new, (line, labelled)


@given(spots, st.integers(24, 140), st.integers(5, 40))
def test_no_tick_is_without_its_label(placed: list[ScatterPoint], width: int, height: int) -> None:
    rows = text(ScatterPlot(a_drawing(placed), width, height, G).rows())
    rule = next(i for i, row in enumerate(rows) if "┴" in row or "──" in row)
    labels = [word for word in rows[rule + 1].split() if word[0].isdigit()]
    assert rows[rule].count("┴") == len(labels)


def test_a_budget_is_a_column_with_its_name() -> None:
    drawing = a_drawing([ScatterPoint(10, 10, 0), ScatterPoint(90, 50, 0)], budgets=((30, "SLO"),))
    for mode, sign in (("braille", "╎"), ("ascii", "|")):
        plot = ScatterPlot(drawing, 60, 20, Glyphs(mode))  # type: ignore[arg-type]
        rows = text(plot.rows())
        at = plot.place(30, 10)[0]
        assert {row[at] for row in rows[: plot.down]} == {sign}
        assert f"{sign} SLO" in rows[0] or f"SLO {sign}" in rows[0]


def test_a_label_does_not_lean_on_the_sign_of_another() -> None:
    for other in (10 + i / 10 for i in range(5, 100)):
        spots = [
            ScatterPoint(10, 10, 0, "32"),
            ScatterPoint(other, 10, 1),
            ScatterPoint(100, 100, 0),
        ]
        plot = ScatterPlot(a_drawing(spots), 60, 20, G)
        gap = plot.place(other, 10)[0] - plot.place(10, 10)[0]
        rows = text(plot.rows())
        assert any("●32" in row for row in rows) == (gap > 3)
        assert not any("32■" in row for row in rows)


def test_a_line_goes_from_point_to_point() -> None:
    ends = ((10.0, 10.0), (1000.0, 1000.0))
    drawing = a_drawing([ScatterPoint(*ends[0], 0), ScatterPoint(*ends[1], 0)], lines=((0, ends),))
    for mode, dots in (("braille", "⠀⣿"), ("ascii", "..")):
        plot = ScatterPlot(drawing, 60, 20, Glyphs(mode))  # type: ignore[arg-type]
        rows = text(plot.rows())
        at = [plot.place(10 * 10 ** (i / 20), 10 * 10 ** (i / 20)) for i in range(1, 40)]
        drawn = [rows[row][column] for column, row in at]
        assert sum(dots[0] <= character <= dots[1] for character in drawn) >= 37


def test_a_ceiling_has_its_name_in_its_row() -> None:
    spot = ScatterPoint(20, 50, 0)
    drawing = ScatterData(
        build_log_scale([20]),
        build_log_scale([50, 900]),
        "ms",
        "tok/s",
        (spot,),
        ceilings=((800, "roof"),),
    )
    plot = ScatterPlot(drawing, 60, 20, G)
    row = text(plot.rows())[plot.place(20, 800)[1]]
    assert "╌╌╌╌╌ roof ╌╌╌" in row


def test_a_ceiling_beyond_the_plane_says_how_high_it_is() -> None:
    drawing = a_drawing([ScatterPoint(20, 50, 0)], ceilings=((1e6, "roof"),))
    assert "╌ roof ↑ 1M ╌" in text(ScatterPlot(drawing, 60, 20, G).rows())[0]
    assert "- roof ^ 1M -" in text(ScatterPlot(drawing, 60, 20, Glyphs("ascii")).rows())[0]


def test_the_cursor_has_brackets_and_a_bold_label() -> None:
    drawing = a_drawing([ScatterPoint(10, 10, 0, "8"), ScatterPoint(100, 100, 1, "9")])
    rows = ScatterPlot(drawing, 60, 20, G).rows(0)
    assert any("[●]8" in row for row in text(rows))
    bold = [part.strip() for row in rows for part, role in row if role == "text.bold"]
    assert bold == ["8"]


def test_a_click_means_the_nearest_point() -> None:
    plot = ScatterPlot(a_drawing([ScatterPoint(10, 10, 0), ScatterPoint(100, 100, 1)]), 60, 20, G)
    column, row = plot.place(100, 100)
    assert plot.nearest(column, row) == plot.nearest(column - 2, row + 1) == 1
    assert plot.nearest(column - 3, row) is None
    assert plot.nearest(*plot.place(10, 10)) == 0


def test_each_of_sixteen_series_has_a_look_of_its_own() -> None:
    from txtop.ui.drawing.scatter import get_series_role

    for mode in MODES:
        looks = {(get_series_sign(i, Glyphs(mode)), get_series_role(i)) for i in range(16)}
        assert len(looks) == 16
        assert all(
            cell_len(get_series_sign(i, Glyphs(mode), hollow=h)) == 1
            for i in range(16)
            for h in (0, 1)
        )


@given(spots, st.sampled_from(MODES), st.integers(0, 130), st.integers(0, 40))
def test_a_plane_is_as_large_as_asked(
    placed: list[ScatterPoint], mode: GlyphMode, width: int, height: int
) -> None:
    line = (3, tuple((spot.x, spot.y) for spot in placed))
    drawing = a_drawing(placed, lines=(line,), guide=(line[1], "in proportion"))
    rows = text(ScatterPlot(drawing, width, height, Glyphs(mode)).rows(0))
    assert len(rows) == height and all(cell_len(row) == width for row in rows)
    if mode == "ascii":
        assert all(row.isascii() and row == to_ascii(row) for row in rows)
