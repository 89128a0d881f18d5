"""The live screen in a running application: what it sends, how it is laid out, what themes do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.geometry import Region

from support.live_screen import Bench, a_view, text_of
from support.tiling import tiled
from txtop.ui.drawing import glyphs, themes
from txtop.ui.drawing.line_widget import LineWidget
from txtop.ui.models import layout
from txtop.ui.models.machine import RooflineView
from txtop.ui.models.view import Playback
from txtop.ui.modes import ReplayMode
from txtop.ui.panels.cells import CellsPanel
from txtop.ui.panels.log import LogPanel
from txtop.ui.screens.replay import ReplayScreen
from txtop.ui.text_input import TextInput

SIZES = [(80, 24), (100, 32), (120, 40), (160, 45), (200, 60), (99, 31), (60, 16)]


@pytest.fixture
def refreshed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, tuple[Region, ...]]]:
    """Every refresh that a panel asked for."""
    seen: list[tuple[str | None, tuple[Region, ...]]] = []
    usual = LineWidget.refresh

    def spy(self: LineWidget, *regions: Region, **how: Any) -> LineWidget:
        seen.append((self.id, regions))
        return usual(self, *regions, **how)

    monkeypatch.setattr(LineWidget, "refresh", spy)
    return seen


async def test_what_did_not_change_is_not_sent(refreshed: list[Any]) -> None:
    app = Bench()
    async with app.run_test(size=(80, 24)) as pilot:
        app.live.show(a_view())
        await pilot.pause()
        refreshed.clear()
        app.live.show(a_view())
        assert refreshed == []


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_one_changed_number_sends_its_columns_alone(
    size: tuple[int, int], refreshed: list[Any]
) -> None:
    view = a_view()
    app = Bench()
    async with app.run_test(size=size) as pilot:
        app.live.show(view)
        await pilot.pause()
        refreshed.clear()
        metrics = (replace(view.hero.rows[0], value="99.9"), *view.hero.rows[1:])
        app.live.show(replace(view, hero=replace(view.hero, rows=metrics)))
        assert [name for name, _ in refreshed] == ["hero"]
        (region,) = refreshed[0][1]
        assert region.height == 1 and region.width <= 4


async def test_an_open_line_costs_a_frame_nothing(refreshed: list[Any]) -> None:
    view = a_view()
    app = Bench()
    async with app.run_test(size=(120, 40)) as pilot:
        app.live.show(view)
        await pilot.press("slash", *"bf16")
        await pilot.pause()
        assert app.live.typing and app.live.query_one(CellsPanel).words.text == "bf16"
        refreshed.clear()
        app.live.show(view)
        assert refreshed == []
        metrics = (replace(view.hero.rows[0], value="99.9"), *view.hero.rows[1:])
        app.live.show(replace(view, hero=replace(view.hero, rows=metrics)))
        assert [name for name, _ in refreshed] == ["hero"]
        await pilot.press("enter")
        await pilot.pause()
        assert not app.live.query(TextInput) and app.live.panel_now == "cells"


async def test_the_machine_is_drawn_once_a_second(refreshed: list[Any]) -> None:
    view = replace(a_view(), clock_ns=5_000_000_000)
    later = a_view(75.0).machine
    app = Bench()
    async with app.run_test(size=(120, 40)) as pilot:
        app.live.show(view)
        await pilot.pause()
        refreshed.clear()
        app.live.show(replace(view, machine=later, clock_ns=5_900_000_000))
        assert "machine" not in [name for name, _ in refreshed]
        app.live.show(replace(view, machine=later, clock_ns=6_000_000_000))
        assert "machine" in [name for name, _ in refreshed]
        refreshed.clear()
        # What bounded a cell is gone with it, within the second too.
        bound = replace(later, roof=RooflineView(bound="arithmetic", share="40", source="measured"))
        app.live.show(replace(view, machine=bound, clock_ns=6_100_000_000))
        assert "machine" in [name for name, _ in refreshed]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("replay", [False, True])
def test_panels_cover_the_screen_and_never_each_other(size: tuple[int, int], replay: bool) -> None:
    for zoom in ("", *layout.ZOOMABLE_PANELS):
        for cells in (0, 2, 12, 1000):
            plan = layout.arrange_session(*size, replay=replay, cells=cells, zoom=zoom)
            assert tiled(plan, size)


@pytest.mark.fault(33)
async def test_a_storm_of_resizes_ends_in_the_last_size() -> None:
    app = Bench()
    async with app.run_test(size=(80, 24)) as pilot:
        app.live.show(a_view(gpus=8))
        for size in [(1, 1), (200, 60), (40, 10), (300, 3), (2, 90), (120, 40), (59, 15), (80, 24)]:
            await pilot.resize_terminal(*size)
            app.live.show(a_view(62.0, gpus=8))
        await pilot.pause()
        assert app.live.query_one("#cells").size.width == 80
        assert text_of(app, "header").startswith(" txtop")


async def test_a_small_terminal_zooms_into_a_panel_and_back() -> None:
    app = Bench()
    async with app.run_test(size=(80, 24)) as pilot:
        app.live.show(a_view())
        app.live.panel(5)
        await pilot.pause()
        assert "started (model already loaded)" in text_of(app, "log")
        assert app.live.query_one("#log").size.height == 21
        assert app.live.back() and not app.live.back()
        await pilot.pause()
        assert app.live.query_one("#hero").size.height == 9
        app.live.panel(2)
        assert app.live.focused is None


async def test_the_cursor_moves_through_the_cells() -> None:
    app = Bench()
    async with app.run_test(size=(120, 40)) as pilot:
        app.live.show(a_view())
        app.live.panel(1)
        await pilot.pause()
        table = app.live.query_one(CellsPanel)
        assert table.selected == "c002"
        await pilot.press("down", "down", "up")
        assert table.selected == "c003"
        await pilot.press("pagedown", "pagedown")
        assert table.selected == "c012"
        app.live.back()
        await pilot.pause()
        assert table.selected is None


async def test_the_log_goes_back_in_time() -> None:
    app = Bench()
    async with app.run_test(size=(80, 24)) as pilot:
        app.live.show(a_view(1e9))
        app.live.panel(5)
        await pilot.pause()
        first = text_of(app, "log")
        await pilot.press("down", "pagedown")
        assert text_of(app, "log") != first
        await pilot.press("pageup", "pageup")
        assert text_of(app, "log") == first
        assert app.live.query_one(LogPanel).has_focus


async def test_a_replay_has_its_transport_where_the_rail_was() -> None:
    view = replace(a_view(), playback=Playback(60_000_000_000, 626_000_000_000, 4.0))
    app = Bench(ReplayScreen(ReplayMode(Path("none"))))
    async with app.run_test(size=(120, 40)) as pilot:
        app.live.show(view)
        await pilot.pause()
        assert " ▸ 4x    01:00" in text_of(app, "transport")
        assert "replay  gpt2-cpu-demo" in text_of(app, "header")


@pytest.mark.parametrize("name", themes.list_themes())
async def test_every_theme_draws_its_own_colours(name: str) -> None:
    app = Bench()
    async with app.run_test(size=(80, 24)) as pilot:
        app.live.show(a_view())
        await pilot.pause()
        table = app.live.query_one("#cells", LineWidget)
        before = [table.render_line(y) for y in range(table.size.height)]
        themes.use_theme(app, name)
        await pilot.pause()
        after = [table.render_line(y) for y in range(table.size.height)]
        assert (after != before) == (name != themes.DEFAULT_THEME)
        assert [strip.text for strip in after] == [strip.text for strip in before]


@pytest.mark.fault(34)
async def test_without_colours_every_theme_is_the_one_that_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = Bench(theme="txtop-light")
    async with app.run_test(size=(80, 24)) as pilot:
        app.live.show(a_view())
        await pilot.pause()
        assert app.theme == themes.MONO_THEME
        styles = [
            segment.style
            for panel in app.live.query(LineWidget)
            for y in range(panel.size.height)
            for segment in panel.render_line(y)
        ]
        assert styles and all(
            s.color is None and s.bgcolor is None for s in styles if s is not None
        )


@pytest.mark.fault(34)
async def test_ascii_reaches_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glyphs, "_current", glyphs.Glyphs("ascii"))
    app = Bench()
    async with app.run_test(size=(120, 40)) as pilot:
        app.live.show(a_view())
        await pilot.pause()
        for panel in app.live.query(LineWidget):
            for y in range(panel.size.height):
                assert panel.render_line(y).text.isascii()
