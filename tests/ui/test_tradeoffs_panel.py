"""The panel of the trade-offs: its parts at every size, its words, and every key that moves it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from support import ab_sessions, load_sweep
from support.live_screen import Bench, text_of
from support.panels import MODES, G
from support.pilot import footer_keys, opened, session_screen, text, until
from support.screen_text import lines
from support.tiling import tiled
from support.tradeoff_views import a_plan, at_work, sweep, tried, whole
from support.ui_sessions import write
from txtop.protocol import events
from txtop.state.fidelity import shorten_badge
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import GlyphMode, Glyphs
from txtop.ui.drawing.spans import clean, to_ascii
from txtop.ui.models import layout
from txtop.ui.models.tradeoffs.plot import TradeoffPlot
from txtop.ui.models.view import View
from txtop.ui.modes import ReplayMode
from txtop.ui.panels.tradeoffs.panel import TradeoffsPanel
from txtop.ui.panels.tradeoffs.plot import build_scatter, choose_scales
from txtop.ui.panels.tradeoffs.point_bars import render_point_bars
from txtop.ui.panels.tradeoffs.precision_bars import render_precision_bars
from txtop.ui.panels.tradeoffs.render import (
    TradeoffsSelection,
    arrange_tradeoffs,
    find_point,
    render_tradeoffs,
)
from txtop.ui.panels.tradeoffs.table import render_point_line, render_point_table

LENGTHS = tried(whole(a_plan(sequence_lengths=[64, 128, 256, 1024], precisions=["fp32", "bf16"])))
VIEWS = {
    "nothing": View(),
    "not yet": at_work(batches=2, iterations=1),
    "sweep": sweep(),
    "at work": at_work(),
    "lengths": LENGTHS,
    "load": tried(load_sweep.Sweep(load_sweep.plan()).events()),
}


def a_plot(kind: str, view: View | None = None) -> TradeoffPlot:
    plots = (view or sweep()).tradeoffs.plots
    return next(plot for plot in plots if plot.kind == kind)


# The parts


@pytest.mark.fault(33)
@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(sorted(VIEWS)),
    st.sampled_from(MODES),
    st.integers(1, 250),
    st.integers(1, 80),
    st.booleans(),
    st.booleans(),
    st.integers(0, 3),
    st.none() | st.integers(0, 12),
)
def test_the_panel_is_as_large_as_asked(
    name: str, mode: GlyphMode, width: int, height: int, boxed: bool, all_of_it: bool, at: int,
    cursor: int | None,
) -> None:  # fmt: skip
    selection = TradeoffsSelection(VIEWS[name].tradeoffs, at, cursor, zoomed=all_of_it)
    if selection.plot is None or (cursor or 0) >= len(selection.plot.points):
        selection = replace(selection, cursor=None)
    rows = lines(
        render_tradeoffs(selection, Area(width, height, Glyphs(mode), boxed=boxed, focused=True))
    )
    assert len(rows) == height
    for row in rows:
        assert cell_len(row) == width and row == clean(row)
        # A badge that was not compared has the sign '?' itself.
        assert mode != "ascii" or to_ascii(row).count("?") == row.count("?")
    point = find_point(
        selection, Area(width, height, Glyphs(mode), boxed=boxed), x=width // 2, y=height // 2
    )
    assert point is None or (selection.plot and point < len(selection.plot.points))


@pytest.mark.parametrize("size", [(120, 36), (100, 20), (80, 21), (60, 13), (40, 9), (250, 80)])
@pytest.mark.parametrize("kind", ["rates", "precisions"])
def test_parts_cover_the_panel_and_never_each_other(size: tuple[int, int], kind: str) -> None:
    plots = sweep().tradeoffs
    selection = TradeoffsSelection(plots, [plot.kind for plot in plots.plots].index(kind))
    for boxed in (False, True):
        covered = [
            (x, y)
            for at in arrange_tradeoffs(selection, Area(*size, G, boxed=boxed)).values()
            for x in range(at.x, at.x + at.width)
            for y in range(at.y, at.y + at.height)
        ]
        assert len(covered) == len(set(covered)) == size[0] * size[1]


def test_the_table_stands_beside_the_plot_where_there_is_room_else_under_it() -> None:
    selection = TradeoffsSelection(sweep().tradeoffs)
    large = arrange_tradeoffs(selection, Area(120, 36, G, boxed=True))
    assert large["table"] == (74, 0, 46, 33) and large["point"] == (0, 33, 120, 3)
    small = arrange_tradeoffs(selection, Area(80, 21, G))
    assert small["plot"].height == 12 and small["table"] == (0, 12, 80, 7)
    assert list(
        arrange_tradeoffs(replace(selection, zoomed=False), Area(86, 37, G, boxed=True))
    ) == ["plot"]


def test_the_table_says_what_the_points_are() -> None:
    plot = a_plot("rates")
    rows = lines(render_point_table(plot, Area(44, 20, G), 2).rows)
    assert rows[0].split() == ["prec", "batch", "ms/token", "tok/s", "Pareto"]
    for row, point in zip(rows[1:], plot.points, strict=True):
        columns = row.removeprefix("▸ ").split()
        assert columns[1:5] == [point.name, point.label, point.row.tpot, point.row.rate]
        assert columns[5:] == (["optimal"] if point.front else [])
    assert [row[0] for row in rows[1:]].index("▸") == 2


def test_a_long_table_keeps_the_cursor_in_sight() -> None:
    plot = a_plot("rates")
    table = render_point_table(plot, Area(40, 5, G), 9)
    assert table.points == [None, 6, 7, 8, 9] and table.at(0) is None and table.at(9) is None
    assert table.at(4) == 9 and lines(table.rows)[4].startswith("▸ ")


def test_bars_of_one_scale_and_a_badge_beside_every_ratio() -> None:
    plot = a_plot("precisions")
    bars = render_precision_bars(plot, Area(100, 30, G), None)
    longest = 0
    for row, i in zip(lines(bars.rows), bars.points, strict=True):
        if i is None:
            assert not row.strip() or row.startswith("batch ")
            continue
        point = plot.points[i]
        assert (point.row.ratio in row.split()) == bool(point.x)
        worth = "reference" if point.is_reference else point.row.badges[0] if point.x else ""
        assert worth in row and ("only 4 samples" in row) == bool(point.x)
        longest = max(longest, row.count("━") + row.count("─"))
        best = max(p.x for p in plot.points)
        if point.x:
            assert row.count("━") == round(longest * point.x / best)


@given(st.integers(1, 140))
def test_no_ratio_is_left_without_a_badge_where_there_is_little_room(width: int) -> None:
    plot = a_plot("precisions")
    for cursor, point in enumerate(plot.points):
        beside = ("reference", *point.row.badges, *map(shorten_badge, point.row.badges))
        row = lines(render_precision_bars(plot, Area(width, 60, G), cursor).rows)[
            render_precision_bars(plot, Area(width, 60, G), cursor).points.index(cursor)
        ]
        line = lines([render_point_line(point, plot, width, G)])[0]
        for drawn in (row, line):
            if point.row.ratio and point.row.ratio in drawn:
                assert any(word in drawn for word in beside), drawn


def test_every_batch_stands_beside_its_point_and_the_labels_are_explained() -> None:
    plot = a_plot("rates")
    labels = [spot.label for spot in build_scatter(plot, None).spots]
    assert labels == [f"b{point.label}" for point in plot.points]
    for size, boxed in (((120, 36), True), ((80, 20), False)):
        area = Area(*size, G, boxed=boxed)
        rows = lines(render_tradeoffs(TradeoffsSelection(sweep().tradeoffs), area))
        batch = sweep().tradeoffs.plots[0].points[0].label
        assert any(f"b{batch}: batch {batch}" in row for row in rows), size


def test_few_points_have_bars_under_them_and_many_have_none() -> None:
    for view, few in ((VIEWS["at work"], True), (sweep(), False)):
        plot = a_plot("rates", view)
        area = Area(120, 36, G, boxed=True)
        rows = lines(render_tradeoffs(TradeoffsSelection(view.tradeoffs), area))
        bars = [row for row in rows if row.count("━━") > 1]
        assert len(bars) == (len(plot.points) if few else 0)
    best = max(VIEWS["at work"].tradeoffs.plots[0].points, key=lambda point: point.row.rate_value)
    plot = replace(a_plot("rates", VIEWS["at work"]), ceilings=((2 * best.row.rate_value, "roof"),))
    head, *bars = lines(render_point_bars(plot, Area(72, 9, G), None))[1:]
    assert "tok/s to the roof" in head
    top = next(bar for bar in bars if best.row.rate in bar).partition(best.time)[0]
    assert top.count("━") == pytest.approx(top.count("─"), abs=1)


def test_a_line_goes_from_batch_to_batch() -> None:
    plot = a_plot("rates")
    for line, path in build_scatter(plot, None).lines:
        own = sorted((p for p in plot.points if p.line == line), key=lambda p: p.row.batch)
        assert path == tuple((p.x, p.y) for p in own)


def test_lengths_are_logarithmic_from_a_span_of_eight_on() -> None:
    plot = a_plot("lengths", LENGTHS)
    assert all(scale.log for scale in choose_scales(plot))
    assert choose_scales(plot)[0].ticks == (64, 128, 256, 1024)
    near = replace(plot, points=tuple(p for p in plot.points if p.x < 512))
    assert [(scale.log, scale.low) for scale in choose_scales(near)] == [(False, 0), (False, 0)]
    assert build_scatter(plot, None).x_name == "tokens, log-log"
    assert build_scatter(near, None).x_name == "tokens"


def test_the_guide_is_what_would_be_in_proportion_to_the_line_under_the_cursor() -> None:
    plot = a_plot("lengths", LENGTHS)
    for cursor, point in enumerate(plot.points):
        guide = build_scatter(plot, cursor).guide
        first = next(p for p in plot.points if p.line == point.line)
        assert guide is not None and guide[0][0] == (first.x, first.y)
        assert all(y / x == pytest.approx(first.y / first.x) for x, y in guide[0])


def test_a_ceiling_that_is_near_is_in_the_picture() -> None:
    plot = replace(a_plot("rates"), ceilings=((2000.0, "memory"), (1e6, "far")))
    top = choose_scales(plot)[1].high
    assert 2000 < top < 1e4
    rows = lines(
        render_tradeoffs(
            TradeoffsSelection(replace(sweep().tradeoffs, plots=(plot,))),
            Area(120, 36, G, boxed=True),
        )
    )
    assert any(" memory ╌╌" in row for row in rows) and any("far ↑ 1M" in row for row in rows)


def test_the_point_under_the_cursor_is_named_and_explained() -> None:
    plot = a_plot("rates")
    at = next(i for i, p in enumerate(plot.points) if p.row.precision == "int8" and p.front)
    rows = lines(
        render_tradeoffs(TradeoffsSelection(sweep().tradeoffs, 0, at), Area(120, 36, G, boxed=True))
    )[-3:]
    point = plot.points[at]
    assert f"gpt2 · int8 · batch {point.label} · 128 tokens" in rows[0]
    assert f"{point.row.rate} tok/s   {point.time} ms per token" in rows[1]
    assert f"{point.row.ratio} fp32  ≈ minor 0.004" in rows[1] and "Pareto-optimal" in rows[1]


def test_the_panel_says_why_it_is_empty_and_what_would_fill_it() -> None:
    view = tried(whole(a_plan()))
    for width, boxed in ((80, False), (120, True), (60, False)):
        drawn = "\n".join(
            lines(
                render_tradeoffs(
                    TradeoffsSelection(view.tradeoffs), Area(width, 20, G, boxed=boxed)
                )
            )
        )
        assert "no trade-off to plot yet" in drawn
        assert "one batch size: nothing to trade off" in drawn
        assert "txtop run --batch-sizes 1 8 32" in drawn and "only one length was measured" in drawn
    soon = "\n".join(
        lines(render_tradeoffs(TradeoffsSelection(VIEWS["not yet"].tradeoffs), Area(80, 20, G)))
    )
    assert "needs two measured cells" in soon and "--batch-sizes" not in soon


def test_the_panel_says_what_it_leaves_out_and_which_plots_there_are() -> None:
    drawn = "\n".join(
        lines(render_tradeoffs(TradeoffsSelection(sweep().tradeoffs), Area(120, 36, G, boxed=True)))
    )
    assert "left out: 1 INVALID, 1 oom" in drawn and "only one length was measured" in drawn
    assert "v 1 of 2" in drawn and "● fp32  ■ bf16  ▲ int8" in drawn and "10 by latency" in drawn
    drawn = "\n".join(
        lines(
            render_tradeoffs(TradeoffsSelection(sweep().tradeoffs, 1), Area(120, 36, G, boxed=True))
        )
    )
    assert "12 cells   v 2 of 2" in drawn


# On the screen


@pytest.mark.parametrize("size", [(150, 40), (160, 45), (200, 60), (250, 80)])
@pytest.mark.parametrize("replay", [False, True])
def test_a_wide_screen_has_them_in_its_corner(size: tuple[int, int], replay: bool) -> None:
    for cells in (2, 12, 1000):
        plan = layout.arrange_session(*size, replay=replay, cells=cells, tradeoffs=True)
        assert tiled(plan, size)
        corner, hero = plan.places["tradeoffs"], plan.places["hero"]
        assert corner.x == hero.width == plan.places["cells"].width == plan.places["log"].width
        assert corner.y + corner.height == size[1] - 1
    assert "tradeoffs" not in layout.arrange_session(*size, replay=replay, cells=12).places
    assert "tradeoffs" not in layout.arrange_session(149, 60, cells=12, tradeoffs=True).places


async def test_the_corner_comes_with_the_first_points() -> None:
    app = Bench()
    async with app.run_test(size=(160, 45)) as pilot:
        app.live.show(VIEWS["not yet"])
        await pilot.pause()
        assert app.live.query_one("#cells").size.width == 160
        app.live.show(sweep())
        await pilot.pause()
        assert app.live.query_one("#cells").size.width == 91
        assert "throughput against latency" in text_of(app, "tradeoffs")
        app.live.panel(3)
        await pilot.pause()
        panel = app.live.query_one(TradeoffsPanel)
        first = sweep().tradeoffs.plots[0].points[0]
        assert panel.has_focus and panel.size.width == 69 and panel.selected == first.row.id
        assert f"{first.name} batch {first.label}" in text_of(app, "tradeoffs")
        app.live.panel(3)
        await pilot.pause()
        assert panel.size.width == 160
        app.live.back()
        await pilot.pause()
        assert panel.size.width == 69 and panel.selected is None
        app.live.panel(3)
        await pilot.pause()
        assert panel.has_focus
        app.live.show(VIEWS["not yet"])
        await pilot.pause()
        assert app.live.focused is None and app.live.query_one("#cells").size.width == 160


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_hidden_panel_takes_all_the_room_and_gives_it_back(size: tuple[int, int]) -> None:
    app = Bench()
    async with app.run_test(size=size) as pilot:
        app.live.show(sweep())
        app.live.panel(1)
        app.live.panel(3)
        await pilot.pause()
        panel = app.live.query_one(TradeoffsPanel)
        assert panel.has_focus and panel.size == (size[0], size[1] - 3)
        app.live.panel(3)
        await pilot.pause()
        assert app.live.focused is None and app.live.query_one("#results").size.height > 0
        assert "tradeoffs" not in app.live.arrange_panels(app.live.size).places


async def test_a_panel_with_the_focus_shows_it_at_once() -> None:
    app = Bench()
    async with app.run_test(size=(200, 60)) as pilot:
        app.live.show(sweep())
        await pilot.pause()
        assert "[" not in text_of(app, "tradeoffs")
        app.live.panel(3)
        await pilot.pause()
        assert "[" in text_of(app, "tradeoffs")


async def test_the_cursor_follows_its_cell_and_the_plot_the_cell_at_work() -> None:
    app = Bench(keys=())
    async with app.run_test(size=(120, 40)) as pilot:
        app.live.show(at_work(batches=4))
        app.live.panel(3)
        await pilot.pause()
        panel = app.live.query_one(TradeoffsPanel)
        assert panel.selected == "c004"
        await pilot.press("up", "up", "down")
        assert panel.selected == "c003"
        app.live.show(at_work(batches=5))
        assert panel.selected == "c003"
        await pilot.press("pagedown", "down")
        assert panel.selected == "c005"
        app.live.show(at_work(batches=2))
        assert panel.selected == "c002"


async def test_a_click_chooses_a_point_and_a_row() -> None:
    app = Bench()
    async with app.run_test(size=(120, 40)) as pilot:
        app.live.show(sweep())
        app.live.panel(3)
        await pilot.pause()
        panel = app.live.query_one(TradeoffsPanel)
        points = sweep().tradeoffs.plots[0].points
        await pilot.click("#tradeoffs", offset=(80, 2 + 4))
        assert panel.selected == points[4].row.id
        rows = text_of(app, "tradeoffs").splitlines()
        y = next(i for i, row in enumerate(rows) if "□" in row[1:70] and i)
        x = rows[y].index("□")
        await pilot.click("#tradeoffs", offset=(x, y))
        chosen = next(p for p in points if p.row.id == panel.selected)
        assert chosen.row.precision == "bf16" and f"▸ □ {chosen.name}" in text_of(app, "tradeoffs")
        await pilot.click("#tradeoffs", offset=(100, 36))
        assert panel.selected == chosen.row.id


def recorded(folder: Path, stream: list[events.AnyEvent]) -> Path:
    for number, event in enumerate(stream, start=1):
        event.seq = number
    return write(folder, stream)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_keys_of_the_tradeoffs(tmp_path: Path, size: tuple[int, int]) -> None:
    plan = a_plan(precisions=["fp32", "bf16"], batch_sizes=[1, 8])
    show = ReplayMode(recorded(tmp_path / "rec", list(whole(plan))))
    async with opened(show, size=size) as (app, pilot):
        await until(pilot, lambda: show.player is not None and "gpt2" in text(app))
        await pilot.press("end")
        await until(pilot, lambda: bool(session_screen(app).view.tradeoffs.plots))
        await pilot.press("3")
        panel = session_screen(app).query_one(TradeoffsPanel)
        await until(pilot, lambda: "throughput against latency" in text(app) and panel.has_focus)
        first = panel.selected
        await pilot.press("down")
        await until(pilot, lambda: panel.selected not in (None, first))
        await pilot.press("up")
        await until(pilot, lambda: panel.selected == first)
        await pilot.press("v")
        await until(pilot, lambda: "precisions" in text(app) and "1.00x" in text(app))
        await pilot.press("v")
        await until(pilot, lambda: "throughput against latency" in text(app))
        await pilot.press("escape")
        await until(pilot, lambda: panel.selected is None and session_screen(app).focused is None)
        assert ("1 3 4 5 6", "panels") in footer_keys(app)
        await pilot.press("v")
        if size[0] < 200:
            await until(pilot, lambda: panel.has_focus and "ms per token" in text(app))


async def test_v_says_why_there_is_no_other_plot(tmp_path: Path) -> None:
    show = ReplayMode(recorded(tmp_path / "rec", list(whole(a_plan(batch_sizes=[1, 8])))))
    async with opened(show, size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: show.player is not None and "gpt2" in text(app))
        await pilot.press("end", "3")
        await until(pilot, lambda: "ms per token" in text(app))
        await pilot.press("v")
        await until(
            pilot,
            lambda: "precisions: only one precision was measured" in str(list(app._notifications)),
        )


async def test_an_ab_without_points_says_so(tmp_path: Path) -> None:
    script = ab_sessions.script().begin()
    script.blocks(11, 1.5)
    show = ReplayMode(recorded(tmp_path / "ab", script.end()))
    async with opened(show, size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: show.player is not None and "A/B" in text(app))
        await pilot.press("3")
        await until(pilot, lambda: "no trade-off to plot yet" in text(app))
        assert "see the A/B verdict (2)" in text(app)
        await pilot.press("3")
        await until(pilot, lambda: "no trade-off to plot yet" not in text(app))
