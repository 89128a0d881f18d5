"""Every key of the screen, against a made-up session and a made-up runner."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support.paths import SHIM
from support.pilot import FakeRunner, home_screen, opened, text, until
from support.screen_text import plain
from support.ui_sessions import session, write
from txtop import settings
from txtop.errors import SessionError, UsageError
from txtop.plan.plan import Plan
from txtop.quantities import parse_position
from txtop.session.reader import read_all
from txtop.state.fold import fold_all
from txtop.ui.app import AppOptions, TxtopApp
from txtop.ui.keymap import find_commands, list_commands
from txtop.ui.models.view import View
from txtop.ui.modes import HomeMode, LiveMode, ReplayMode, ReplayStart, SideBySideMode
from txtop.ui.screens.dialogs import ChoiceDialog, GoToDialog, QuitDialog
from txtop.ui.screens.help import HelpDialog
from txtop.ui.screens.home import HomeScreen
from txtop.ui.screens.live import LiveScreen
from txtop.ui.screens.matrix import MatrixScreen
from txtop.ui.screens.mode_screen import ModeScreen
from txtop.ui.screens.replay import ReplayScreen


@pytest.fixture
def running(tmp_path: Path) -> Path:
    return write(tmp_path / "run", session(ended=False))


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write(tmp_path / "rec", session(cells=3))


async def test_keys_of_a_run_reach_the_runner(running: Path) -> None:
    runner = FakeRunner()
    async with opened(LiveMode(path=running, runner=lambda _: runner)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        for key, action in [("space", "pause"), ("n", "skip"), ("m", "marker")]:
            await pilot.press(key)
            await until(pilot, lambda action=action: runner.asked[-1:] == [action])
        write(running, [])
        await pilot.press("left", "g", "r")
        assert app.screen is app.screen_stack[0] and runner.asked == ["pause", "skip", "marker"]
        assert app.screen_stack[0].view.running is not None and runner.cells[0] == ""
        assert runner.cells[1] == "c001"


async def test_a_runner_that_refuses_is_told_in_a_toast(running: Path) -> None:
    runner = FakeRunner()
    runner.willing = False
    async with opened(LiveMode(path=running, runner=lambda _: runner)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        await pilot.press("n")
        await until(pilot, lambda: "runner not responding" in str(list(app._notifications)))


async def test_leaving_asks_while_a_run_goes(running: Path) -> None:
    runner = FakeRunner()
    async with opened(LiveMode(path=running, runner=lambda _: runner)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, QuitDialog))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, QuitDialog))
        # The cursor begins at the answer that ends nothing.
        for keys in (("down", "down", "enter"), ("enter",)):
            await pilot.press("q")
            await until(pilot, lambda: isinstance(app.screen, QuitDialog))
            await pilot.press(*keys)
            await until(pilot, lambda: not isinstance(app.screen, QuitDialog))
        await until(pilot, lambda: app._exit)
    assert app.return_value == running and runner.asked == []


@pytest.mark.fault(36)
@pytest.mark.parametrize("keys", [["q", "s"], ["q", "down", "enter"], ["ctrl+c"]])
async def test_stopping_leaves_when_the_run_has_ended(running: Path, keys: list[str]) -> None:
    runner = FakeRunner()
    async with opened(LiveMode(Plan(cells=()), running, runner=lambda _: runner)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.1)
        await until(pilot, lambda: runner.asked == ["stop"])
        assert not app._exit
        write(running, session(ended=True)[-1:])
        await until(pilot, lambda: app._exit)


@pytest.mark.fault(36)
async def test_ctrl_c_leaves_a_run_that_others_started(running: Path) -> None:
    runner = FakeRunner()
    async with opened(LiveMode(path=running, runner=lambda _: runner)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app._exit)
    assert app.return_value == running and runner.asked == []


async def test_a_finished_run_stays_until_it_is_left_without_a_question(tmp_path: Path) -> None:
    path = write(tmp_path / "done", session())
    runner = FakeRunner()
    async with opened(LiveMode(path=path, runner=lambda _: runner)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        await pilot.pause(0.3)
        assert not app._exit
        await pilot.press("q")
        await until(pilot, lambda: app._exit)
    assert app.return_value == path


@pytest.mark.fault(7)
async def test_a_log_that_cannot_be_written_raises_a_banner(running: Path) -> None:
    runner = FakeRunner()
    runner.write_error = "No space left on device"
    async with opened(LiveMode(path=running, runner=lambda _: runner)) as (app, pilot):
        await until(pilot, lambda: "No space left" in text(app))


async def test_the_transport(recording: Path) -> None:
    show = ReplayMode(recording)
    async with opened(show) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        player = show.player
        assert player is not None
        await pilot.press("space")
        await until(pilot, lambda: not player.playing)
        for key, expected in [
            ("end", player.duration_ns),
            ("home", 0),
            ("shift+right", player.boundaries[0][0]),
            ("shift+right", player.boundaries[1][0]),
            ("shift+left", player.boundaries[0][0]),
        ]:
            await pilot.press(key)
            await until(pilot, lambda expected=expected: player.position_ns == expected)
        await pilot.press("right")
        await until(pilot, lambda: player.position_ns > player.boundaries[0][0])
        await pilot.press("right_square_bracket", "right_square_bracket", "left_square_bracket")
        await until(pilot, lambda: player.speed == 2.0)
        await pilot.press("g")
        await until(pilot, lambda: isinstance(app.screen, GoToDialog))
        await pilot.press(*"x", "enter")
        await until(pilot, lambda: "no such time" in text(app))
        await pilot.press("backspace", *"0m2s", "enter")
        await until(pilot, lambda: player.position_ns == 2_000_000_000)
        await pilot.press("g", *player.cell_name(player.boundaries[2][1]), "enter")
        await until(pilot, lambda: player.position_ns == player.boundaries[2][0])
        await pilot.press("i", "minus")
        await until(pilot, lambda: player.backwards and player.playing and not player.shortened)
        await until(
            pilot, lambda: player.position_ns < player.boundaries[2][0] and "◂" in text(app)
        )
        await pilot.press("q")
        await until(pilot, lambda: app._exit)
    assert app.return_value is None


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (50, 12)])
async def test_two_recordings_play_side_by_side(
    recording: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    show = SideBySideMode(recording, write(tmp_path / "other", session(model="bert", cells=3)))
    async with opened(show, size=size) as (app, pilot):
        await until(pilot, lambda: show.player is not None and "gpt2" in text(app))
        player = show.player
        assert player is not None
        await pilot.press("end")
        await until(pilot, lambda: player.right.state.ended is not None)
        assert player.left.state.ended is not None
        if size[0] > 60:
            await until(pilot, lambda: "B  bert" in text(app) and "A  gpt2" in text(app))
        if size[0] > 60:
            keys = "1 cells" if size[0] > 80 else "? help"
            await until(pilot, lambda: keys in text(app) and "1 3 4 5 6" not in text(app))
            await pilot.press("1")
            await until(pilot, lambda: "esc back" in text(app))
            assert "o order" not in text(app) and "enter open" not in text(app)
            await pilot.press("1")
            await until(pilot, lambda: "esc back" not in text(app))
        await pilot.press("1", "1", "escape", "q")
        await until(pilot, lambda: app._exit)


async def test_a_place_that_is_nowhere_ends_the_screen(recording: Path) -> None:
    show = ReplayMode(recording, ReplayStart(at="no such cell"))
    async with opened(show) as (app, pilot):
        await until(pilot, lambda: app._exit)
    assert isinstance(app.error, UsageError) and "no such cell" in str(app.error)


async def test_a_recording_that_cannot_be_read_ends_the_screen(tmp_path: Path) -> None:
    path = tmp_path / "junk.jsonl"
    path.write_text("junk\n")
    async with opened(ReplayMode(path)) as (app, pilot):
        await until(pilot, lambda: app._exit)
    assert isinstance(app.error, SessionError)


async def test_help_palette_theme_and_screenshot(recording: Path, tmp_path: Path) -> None:
    async with opened(ReplayMode(recording), size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpDialog))
        await until(pilot, lambda: "go to a time" in text(app))
        await pilot.press("x")
        await until(pilot, lambda: not isinstance(app.screen, HelpDialog))
        before = app.theme
        await pilot.press("t")
        await until(pilot, lambda: settings.load_settings().theme == app.theme != before)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        await pilot.press(*"screens", "enter")
        await until(pilot, lambda: bool(list(tmp_path.glob("txtop-*.svg"))))
        await pilot.press("T")
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        chosen = app.theme
        await pilot.press("down")
        await until(pilot, lambda: app.theme != chosen)
        await pilot.press("escape")
        await until(pilot, lambda: app.theme == chosen)


async def test_keys_that_are_typed_ahead_close_one_dialog_alone(recording: Path) -> None:
    async with opened(ReplayMode(recording)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpDialog))
        await asyncio.gather(pilot.press("x"), pilot.press("y"), pilot.press("escape"))
        await pilot.pause(0.2)
        assert len(app.screen_stack) == 1 and not app._exit


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [
        ("1:23", 83.0),
        ("83", 83.0),
        ("1m23s", 83.0),
        ("83.5", 83.5),
        ("1:02:03", 3723.0),
        ("1h2m", 3720.0),
        (" 5s ", 5.0),
        ("", None),
        ("x", None),
        ("1:2:3:4", None),
        ("-5", None),
        ("9" * 400, None),
    ],
)
def test_times_as_people_write_them(typed: str, seconds: float | None) -> None:
    assert parse_position(typed) == (None if seconds is None else round(seconds * 1e9))


def test_the_palette_finds_by_word_and_by_letters() -> None:
    assert find_commands("live", "skip")[0].action == "skip_cell"
    assert find_commands("live", "svg")[0].action == "app.save_screenshot"
    titles = [command.title for command in find_commands("live", "th")]
    assert titles.index("next theme") < titles.index("the next plot of the trade-offs")
    assert find_commands("replay", "cell") and not find_commands("home", "zzz")


@pytest.mark.parametrize("screen", [HomeScreen, MatrixScreen, LiveScreen, ReplayScreen])
def test_every_command_of_a_screen_is_an_action(screen: type[ModeScreen[Any]]) -> None:
    for command in list_commands(screen.kind):
        owner, _, action = command.action.partition("(")[0].rpartition(".")
        assert hasattr(TxtopApp if owner == "app" else screen, f"action_{action}"), command


async def test_home_without_a_session_says_what_to_press(quiet_machine: None) -> None:
    async with opened(HomeMode()) as (app, pilot):
        await until(pilot, lambda: "no session yet: press r" in text(app))
        await pilot.press("q")
        await until(pilot, lambda: app._exit)


@pytest.mark.fault(18)
@pytest.mark.fault(19)
async def test_home_opens_a_session_and_comes_back(quiet_machine: None, tmp_path: Path) -> None:
    folder = tmp_path / "TXTOP_SESSION_DIR"
    write(folder / "one", session(model="[b]bold[|]\x1b[31m"))
    write(folder / "two", session(ended=False))
    async with opened(HomeMode(), size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: "[b]bold[" in text(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.mode_screen.kind == "replay")
        await pilot.press("escape")
        await until(pilot, lambda: app.mode_screen.kind == "home" and "sessions" in text(app))


async def test_a_click_selects_a_session_and_another_opens_it(
    quiet_machine: None, tmp_path: Path
) -> None:
    folder = tmp_path / "TXTOP_SESSION_DIR"
    write(folder / "one", session())
    write(folder / "two", session())
    async with opened(HomeMode(), size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: len(home_screen(app).sessions.listed) > 1)
        await pilot.click("#sessions", offset=(20, 2))
        await until(pilot, lambda: home_screen(app).sessions.at == 1)
        assert app.mode_screen.kind == "home"
        await pilot.click("#sessions", offset=(20, 2))
        await until(pilot, lambda: app.mode_screen.kind == "replay")


async def test_home_finishes_a_session_that_was_cut_off(
    quiet_machine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(SHIM))
    folder = tmp_path / "TXTOP_SESSION_DIR"
    write(folder / "two", session(ended=False))
    async with opened(HomeMode(), size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: "R finish" in text(app))
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.mode, LiveMode) and app.mode.over, 20)
        state = fold_all(read_all(folder / "two")[0])
        assert state.ended is not None and state.ended.reason == "done"
        assert {cell.status for cell in state.cells.values()} == {"ok"}
        assert len(state.boot_ids) == 2


async def test_a_frame_that_comes_as_the_last_screen_goes_is_not_drawn(recording: Path) -> None:
    async with opened(ReplayMode(recording)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        await pilot.press("q")
        await until(pilot, lambda: app._exit)
    assert not app.screen_stack
    app.on_txtop_app_frame_ready()


async def test_no_frame_is_drawn_on_a_screen_that_is_being_taken_down(
    recording: Path, quiet_machine: None
) -> None:
    for mode in (HomeMode(), ReplayMode(recording)):
        async with opened(mode) as (app, pilot):
            await until(pilot, lambda: app.mode_screen.is_mounted)
            screen, frame = app.mode_screen, app.mode.build(app.mode.open())
            clean_up = screen._message_loop_exit

            async def clean_up_first(screen: ModeScreen[Any], clean_up: Any, frame: Any) -> None:
                await clean_up()
                assert app.screen_stack and not screen.children
                app.frames._slot = frame  # type: ignore[union-attr]
                app.on_txtop_app_frame_ready()

            screen._message_loop_exit = partial(clean_up_first, screen, clean_up, frame)  # type: ignore[method-assign]


async def test_a_frame_waits_for_a_screen_that_has_no_panels_yet(running: Path) -> None:
    async with opened(LiveMode(path=running, runner=lambda _: FakeRunner())) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        screen = app._build_screen(app.mode)
        drawn: list[View] = []
        screen.show = drawn.append
        app.push_screen(screen)
        app.frames._slot = View()  # type: ignore[union-attr]
        app.on_txtop_app_frame_ready()
        assert not drawn
        await until(pilot, lambda: bool(drawn))
        assert screen.is_mounted


async def test_a_process_that_is_held_up_loses_no_picture_and_no_size(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: Counter[object] = Counter()

    # A timer that starts looks twice, and in between the process has stood still.
    def read_clock() -> float:
        looks[task := asyncio.current_task()] += 1
        return time.monotonic() + (0.02 if looks[task] > 1 else 0.0)

    monkeypatch.setattr("textual.timer._time", SimpleNamespace(get_time=read_clock))
    async with opened(ReplayMode(recording)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        for width in (120, 100):
            await pilot.resize_terminal(width, 30)
            await until(pilot, lambda width=width: len(plain(app)[0]) == width)  # type: ignore[misc]


async def test_a_screen_that_is_view_only_changes_nothing(running: Path) -> None:
    runner = FakeRunner()
    mode = LiveMode(path=running, runner=lambda _path: runner)
    app = TxtopApp(mode, AppOptions(fps=20, view_only=True))
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "gpt2" in text(app))
        for key in ("space", "n", "m", "e", "s", "ctrl+z"):
            await pilot.press(key)
            await until(pilot, lambda: "view only" in str(list(app._notifications)))
            app.clear_notifications()
        await pilot.press("t", "q")
        await until(pilot, lambda: not app.is_running)
    assert runner.asked == []
    assert not settings.get_settings_path().exists()


async def test_stopping_at_the_question_stops_a_run_that_others_started(running: Path) -> None:
    runner = FakeRunner()
    async with opened(LiveMode(path=running, runner=lambda _path: runner)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, QuitDialog))
        await pilot.press("s")
        await until(pilot, lambda: not app.is_running)
    assert "stop" in runner.asked
