"""Opening the detail of a cell, scrolling it, moving to the next and back, live and in replay."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.ab_sessions import script
from support.pilot import FakeRunner, footer_keys, opened, session_screen, text, until
from support.tiling import tiled
from support.ui_sessions import session, write
from txtop.protocol import events
from txtop.ui.app import TxtopApp
from txtop.ui.keymap import COMMANDS, build_footer_keys
from txtop.ui.models.layout import arrange_ab, arrange_session
from txtop.ui.modes import LiveMode, ReplayMode, SideBySideMode
from txtop.ui.panels.cell_detail.panel import CellDetailColumn
from txtop.ui.panels.cells import CellsPanel

SIZES = [(80, 24), (120, 40), (200, 60)]


def shown(app: TxtopApp) -> str:
    """The cell whose detail is on the screen."""
    detail = session_screen(app).view.detail
    return detail.id if detail is not None else ""


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write(tmp_path / "rec", session(cells=3, error="it broke"))


@pytest.mark.parametrize("size", SIZES)
async def test_enter_opens_the_cell_under_the_cursor_and_esc_goes_back(
    recording: Path, size: tuple[int, int]
) -> None:
    async with opened(ReplayMode(recording), size) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        await pilot.press("space", "end", "1")
        cells = session_screen(app).query_one(CellsPanel)
        await until(pilot, lambda: cells.has_focus)
        await pilot.press("down")
        assert cells.selected == "c001"
        await pilot.press("enter")
        await until(pilot, lambda: shown(app) == "c001")
        await until(pilot, lambda: "bf16 · batch 1" in text(app))
        assert session_screen(app).query_one(CellDetailColumn).has_focus
        assert ("esc", "back") in footer_keys(app) and ("enter", "open cell") not in footer_keys(
            app
        )
        await pilot.press("escape")
        await until(pilot, lambda: shown(app) == "")
        await until(pilot, lambda: cells.has_focus and cells.selected == "c001")
        await until(pilot, lambda: dict(footer_keys(app)).get("enter", "").startswith("open"))
        await pilot.press("escape")
        await until(pilot, lambda: not cells.has_focus)


async def test_without_a_cursor_enter_opens_the_cell_on_show(recording: Path) -> None:
    async with opened(ReplayMode(recording), (120, 40)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        await pilot.press("space", "end")
        await until(pilot, lambda: "it broke" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: shown(app) == "c002")
        await until(pilot, lambda: "failure" in text(app) and "it broke" in text(app))


async def test_tab_goes_on_to_the_next_cell_and_stays_there_for_the_cursor(
    recording: Path,
) -> None:
    async with opened(ReplayMode(recording)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        await pilot.press("space", "end", "1", "home", "enter")
        await until(pilot, lambda: shown(app) == "c000")
        for key, wanted in (("tab", "c001"), ("tab", "c002"), ("tab", "c002"),
                            ("shift+tab", "c001")):  # fmt: skip
            await pilot.press(key)
            await until(pilot, lambda wanted=wanted: shown(app) == wanted)
        await pilot.press("escape")
        cells = session_screen(app).query_one(CellsPanel)
        await until(pilot, lambda: cells.has_focus and cells.selected == "c001")


async def test_a_small_screen_scrolls_to_the_command_and_no_further(recording: Path) -> None:
    async with opened(ReplayMode(recording)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        await pilot.press("space", "end", "1", "up", "enter")
        await until(pilot, lambda: "more" in text(app))
        top = text(app)
        assert "txtop run --models gpt2" not in top
        await pilot.press("down")
        await until(pilot, lambda: text(app) != top)
        await pilot.press("up")
        await until(pilot, lambda: text(app) == top)
        await pilot.press(*["pagedown"] * 12)
        await until(pilot, lambda: "txtop run --models gpt2" in text(app))
        assert "more" not in text(app).splitlines()[-2]
        bottom = session_screen(app).query_one(CellDetailColumn)._skip
        await pilot.press("pageup")
        await until(
            pilot, lambda: session_screen(app).query_one(CellDetailColumn)._skip == bottom - 10
        )
        await pilot.press("tab", "shift+tab")
        await until(pilot, lambda: session_screen(app).query_one(CellDetailColumn)._skip == 0)


async def test_it_follows_the_replay_and_leaves_the_arrows_to_it(recording: Path) -> None:
    show = ReplayMode(recording)
    async with opened(show, (120, 40)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        await pilot.press("space", "end", "enter")
        await until(pilot, lambda: shown(app) == "c002")
        await pilot.press("shift+left", "shift+left", "shift+left")
        await until(pilot, lambda: "no iteration yet" in text(app))
        await pilot.press("right", "right")
        assert shown(app) == "c002"
        await pilot.press("tab", "shift+tab", "shift+tab")
        await until(pilot, lambda: shown(app) == "c000")
        made = len(session_screen(app).view.detail.iterations.values)
        await pilot.press("right")
        await until(
            pilot, lambda: len(session_screen(app).view.detail.iterations.values) == made + 1
        )


async def test_it_grows_while_the_cell_runs(tmp_path: Path) -> None:
    events_ = session(ended=False)
    last = [i for i, e in enumerate(events_) if isinstance(e, events.Iteration)][-3]
    path = write(tmp_path / "run", events_[:last])
    runner = FakeRunner()
    async with opened(LiveMode(path=path, runner=lambda _: runner), (120, 40)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: shown(app) == "c001")
        made = len(session_screen(app).view.detail.iterations.values)
        write(path, events_[last:])
        await until(
            pilot, lambda: len(session_screen(app).view.detail.iterations.values) == made + 3
        )
        await until(pilot, lambda: f"n {made + 3 - 3}" in text(app))
        await pilot.press("space")
        await until(pilot, lambda: runner.asked == ["pause"])
        await pilot.press("escape")
        await until(pilot, lambda: shown(app) == "" and "this machine" in text(app))


async def test_a_panel_of_the_screen_takes_its_place(recording: Path) -> None:
    async with opened(ReplayMode(recording)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: shown(app) != "")
        await pilot.press("5")
        await until(pilot, lambda: shown(app) == "")
        await until(pilot, lambda: "log" in text(app).splitlines()[2])


async def test_an_arm_of_an_ab_has_a_detail_with_the_command_of_the_ab(tmp_path: Path) -> None:
    folder = tmp_path / "ab"
    folder.mkdir()
    made = list(script().begin().blocks(12, 1.5).end())
    for number, event in enumerate(made, start=1):
        event.seq = number
    async with opened(ReplayMode(write(folder, made)), (120, 40)) as (app, pilot):
        await until(pilot, lambda: session_screen(app).view.ab is not None)
        await pilot.press("space", "end", "1", "down", "enter")
        await until(pilot, lambda: shown(app) == "B")
        await until(pilot, lambda: session_screen(app).view.detail.iterations.counted > 10)
        assert session_screen(app).view.detail.command.startswith("txtop ab gpt2 --a ")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: session_screen(app).query_one("#verdict").region.height == 13)


async def test_two_side_by_side_have_no_detail(recording: Path) -> None:
    async with opened(SideBySideMode(recording, recording), (120, 40)) as (app, pilot):
        await until(pilot, lambda: "B rec " in text(app))
        await pilot.press("enter", "tab")
        await pilot.pause()
        assert "B rec " in text(app)
        assert ("enter", "open cell") not in footer_keys(app)


async def test_a_terminal_too_small_for_panels_still_opens_it(recording: Path) -> None:
    async with opened(ReplayMode(recording), (40, 10)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        await pilot.press("space", "end", "enter")
        await until(pilot, lambda: "cell 3/3" in text(app))
        await pilot.press(*["pagedown"] * 12)
        await until(pilot, lambda: "txtop run --models gpt2" in text(app))
        await pilot.press("escape")
        await until(pilot, lambda: session_screen(app).query_one("#card").region.size == (40, 10))
        assert "txtop run" not in text(app)


@pytest.mark.fault(33)
async def test_a_storm_of_resizes_with_a_detail_open(recording: Path) -> None:
    async with opened(ReplayMode(recording)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        await pilot.press("space", "end", "enter")
        await until(pilot, lambda: shown(app) != "")
        for size in [(1, 1), (250, 80), (40, 10), (300, 3), (2, 90), (120, 40), (80, 24)]:
            await pilot.resize_terminal(*size)
            session_screen(app).show(session_screen(app).view)
        await until(pilot, lambda: "fp16 · batch 1" in text(app))
        assert session_screen(app).query_one(CellDetailColumn).size == (80, 21)


@pytest.mark.parametrize("size", [*SIZES, (100, 32), (99, 31), (60, 16), (40, 10), (1, 1)])
def test_its_panels_cover_the_screen_and_never_each_other(size: tuple[int, int]) -> None:
    for place in (arrange_session, arrange_ab):
        plan = place(*size, zoom="detail")
        assert tiled(plan, size)


def test_footer_and_help_say_how_to_open_a_cell() -> None:
    assert ("enter", "open cell") in build_footer_keys("live", cell="shut")
    assert ("enter", "open cell") in build_footer_keys("replay", cell="shut")
    assert ("enter", "open cell") not in build_footer_keys("replay")
    assert build_footer_keys("replay", back="home", cell="open")[:3] == (
        ("esc", "back"), ("tab", "next cell"), ("↑ ↓", "scroll"),
    )  # fmt: skip
    titles = {command.sign: command.title for command in COMMANDS if "replay" in command.where}
    assert "cell" in titles["enter"] and "cell" in titles["tab"]
