"""The footer: what it says on each screen, that it can be clicked, and that its keys do things."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Literal

import pytest

from support.pilot import FakeRunner, home_screen, opened, text, until
from support.ui_sessions import session, write
from txtop.ui import report
from txtop.ui.app import TxtopApp
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.keymap import (
    ALL_SCREENS,
    COMMANDS,
    PANEL_WORDS,
    SESSION_SCREENS,
    build_footer_keys,
    list_commands,
    list_groups,
    resolve_key,
)
from txtop.ui.modes import HomeMode, LiveMode, ReplayMode
from txtop.ui.panels import transport
from txtop.ui.panels.cells import CellsPanel
from txtop.ui.panels.footer import FooterPanel
from txtop.ui.panels.footer_keys import find_footer_key, render_footer
from txtop.ui.panels.log import LogPanel
from txtop.ui.panels.machine import MachinePanel
from txtop.ui.panels.progress_rail import find_rail_cell
from txtop.ui.screens.dialogs import MIN_LISTED, ROWS_AROUND_LIST
from txtop.ui.screens.help import HelpDialog

CELL_STATES: tuple[Literal["", "shut", "open"], ...] = ("", "shut", "open")


@pytest.mark.parametrize("mode", ["braille", "ascii"])
@pytest.mark.parametrize("width", [40, 80, 200])
def test_each_column_of_the_footer_is_the_key_that_stands_there(mode: str, width: int) -> None:
    g = Glyphs(mode)  # type: ignore[arg-type]
    keys = build_footer_keys("replay", back="home")
    drawn = "".join(part for part, _ in render_footer(keys, width, g)[0])
    labels = {sign: g(word) for key, word in keys for sign in key.split(" ")}
    key_at = [find_footer_key(keys, width, g, x) for x in range(width)]
    for x, sign in enumerate(key_at):
        if sign and x and key_at[x - 1] != sign:
            assert drawn[x:].startswith((g(sign), labels[sign], PANEL_WORDS.get(sign, sign)))
    assert key_at[0] == "" and "?" in key_at
    assert ("⇧→" in key_at) == ("cell" in drawn) and ("g" in key_at) == ("go to" in drawn)


def test_every_key_that_a_footer_names_is_one() -> None:
    footers = [
        build_footer_keys(where, back=back, over=over, arms=arms, panel=panel, resumable=True)
        for where in ALL_SCREENS
        for back in ("", "home", "fleet")
        for over in (False, True)
        for arms in (0, 2, 3)
        for panel in ("", "cells", "log", "machine")
    ]
    signs = {sign for keys in [*footers, build_footer_keys("live", typing=True)] for key, _ in keys
             for sign in key.split(" ")}  # fmt: skip
    assert not {sign for sign in signs if not resolve_key(sign)}


def test_keys_are_named_once_on_a_screen() -> None:
    for where in ALL_SCREENS:
        keys = [key for command in list_commands(where) for key in command.keys.split(",")]
        assert len(keys) == len(set(keys))
    assert len({c.sign for c in COMMANDS if c.keys == "space"}) == 1


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write(tmp_path / "rec", session(cells=3))


def column(keys: str, line: str) -> int:
    assert keys in line
    return line.index(keys)


@pytest.mark.parametrize("glyphs", ["braille", "ascii"])
@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_no_footer_loses_or_cuts_help_and_quit(width: int, glyphs: Literal["braille"]) -> None:
    g = Glyphs(glyphs)
    footers = [
        build_footer_keys(
            where,
            paused=True,
            back="home",
            over=over,
            ended=over,
            arms=arms,
            cell=cell,
            panel=panel,
        )
        for where in ("home", "matrix", *SESSION_SCREENS)
        for over in (False, True)
        for arms in (0, 2, 3)
        for cell in CELL_STATES
        for panel in ("", "cells", "log", "tradeoffs", "machine", "why")
    ]
    for keys in footers:
        line = "".join(part for part, _ in render_footer(keys, width, g)[0]).rstrip()
        assert line.endswith("? help   q quit") and len(line) < width, line


@pytest.mark.parametrize("width", [100, 120, 200])
def test_the_panels_stand_in_every_footer_of_a_session_where_they_stand_side_by_side(
    width: int,
) -> None:
    g = Glyphs()
    footers = [
        build_footer_keys(
            where, back="home", over=over, ended=over, arms=arms, cell=cell, panel=panel
        )
        for where in SESSION_SCREENS
        for over in (False, True)
        for arms in (0, 3)
        for cell in CELL_STATES
        for panel in ("", "cells", "log", "tradeoffs", "machine")
    ]
    footers.append(build_footer_keys("replay", side_by_side=True, back="home"))
    for keys in footers:
        at = [find_footer_key(keys, width, g, x) for x in range(width)]
        assert {"1", "?", "q"} <= set(at), keys
        assert keys[-3] == ("1", "cells") or {"3", "4", "5", "6"} <= set(at), keys
    live = build_footer_keys("live", cell="shut")
    wide = "".join(part for part, _ in render_footer(live, 200, g)[0])
    assert "3 trade-offs" in wide and "4 machine" in wide and "panels" not in wide


def test_r_means_one_thing() -> None:
    assert {c.action for c in COMMANDS if c.keys == "r"} == {"run_quick"}


async def test_a_click_on_a_key_is_that_key(recording: Path) -> None:
    show = ReplayMode(recording)
    async with opened(show, size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: "space pause" in text(app) and show.player is not None)
        player = show.player
        assert player is not None
        await pilot.click(FooterPanel, offset=(column("pause", text(app).splitlines()[-1]), 0))
        await until(pilot, lambda: "space play" in text(app))
        assert not player.playing
        await pilot.click(FooterPanel, offset=(column("⇧→", text(app).splitlines()[-1]), 0))
        await until(pilot, lambda: player.position_ns == player.boundaries[1][0])
        last = text(app).splitlines()[-1]
        await pilot.click(FooterPanel, offset=(column("? help", last), 0))
        await until(pilot, lambda: isinstance(app.screen, HelpDialog))
        await pilot.press("x")
        await pilot.click(FooterPanel, offset=(column("q quit", last) + 3, 0))
        await until(pilot, lambda: app._exit)


async def test_a_click_on_a_panel_is_its_focus_and_the_footer_follows(recording: Path) -> None:
    async with opened(ReplayMode(recording), size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        for kind, hint in (
            (LogPanel, "w severity"),
            (CellsPanel, "o order"),
            (MachinePanel, "esc back"),
        ):
            await pilot.click(kind, offset=(4, 2))
            await until(pilot, lambda hint=hint: hint in text(app).splitlines()[-1])
            assert isinstance(app.focused, kind)
        await pilot.click(FooterPanel, offset=(column("esc", text(app).splitlines()[-1]), 0))
        await until(pilot, lambda: app.focused is None and "esc back" not in text(app))
        await pilot.press("slash")
        await until(pilot, lambda: "esc clear filter" in text(app))
        await pilot.click(FooterPanel, offset=(column("esc", text(app).splitlines()[-1]), 0))
        await until(pilot, lambda: "o order" in text(app))


async def test_the_footer_of_home_can_be_clicked(quiet_machine: None, tmp_path: Path) -> None:
    folder = tmp_path / "TXTOP_SESSION_DIR"
    write(folder / "one", session())
    write(folder / "two", session())
    async with opened(HomeMode(), size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: len(home_screen(app).sessions.listed) > 1)
        last = text(app).splitlines()[-1]
        await pilot.click("#footer", offset=(column("↓", last), 0))
        await until(pilot, lambda: home_screen(app).sessions.list.at == 1)
        await pilot.click("#footer", offset=(column("enter", last), 0))
        await until(pilot, lambda: app.mode_screen.kind == "replay")


@pytest.mark.parametrize("size", [(80, 24), (120, 50), (40, 10)])
async def test_help_lists_all_that_the_table_has(recording: Path, size: tuple[int, int]) -> None:
    wanted = {c.title[:20] for c in list_commands("replay")}
    async with opened(ReplayMode(recording), size=size) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpDialog))
        seen: set[str] = set()
        for _ in range(12):
            await pilot.pause(0.02)
            seen |= {title for title in wanted if title in text(app)}
            if seen == wanted:
                break
            await pilot.press("pagedown")
        assert seen == wanted and isinstance(app.screen, HelpDialog)
        await pilot.press("x")
        await until(pilot, lambda: not isinstance(app.screen, HelpDialog))


async def test_what_a_screen_offers_can_be_found(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked: list[list[str]] = []

    def run(command: list[str], **_how: object) -> subprocess.CompletedProcess[bytes]:
        asked.append(command)
        return subprocess.CompletedProcess(command, len(asked) - 1, b"", b"txtop: no matplotlib")

    monkeypatch.setattr(report.subprocess, "run", run)
    show = ReplayMode(recording)
    async with opened(show, size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: "space pause" in text(app) and show.player is not None)
        player = show.player
        assert player is not None
        # A click on the timeline: a cell's beginning is exact, the last column is the end.
        width = 120 - transport.LEFT_WIDTH - transport.RIGHT_WIDTH
        start = player.boundaries[1][0]
        column = start * (width - 1) // player.duration_ns
        await pilot.press("space")
        await pilot.click("#transport", offset=(transport.LEFT_WIDTH + column, 0))
        await until(pilot, lambda: player.position_ns == start)
        await pilot.click("#transport", offset=(transport.LEFT_WIDTH + width - 1, 0))
        await until(pilot, lambda: player.position_ns == player.duration_ns)
        await pilot.click("#transport", offset=(2, 0))
        # The outcome, and its report: written, then refused with the reason.
        await until(pilot, lambda: "best fp32" in text(app) and "e report" in text(app))
        await pilot.press("e")
        await until(pilot, lambda: f"report written: {tmp_path / 'rec.html'}" in toasts(app))
        await pilot.press("e")
        await until(pilot, lambda: "no report: no matplotlib" in toasts(app))
        assert asked[0][-4:] == ["report", str(recording), "--output", str(tmp_path / "rec.html")]
        # Help in groups, side by side where there is room; from it the glossary, and back.
        await pilot.press("question_mark")
        groups = [name for name, _ in list_groups("replay")]
        await until(pilot, lambda: all(name in text(app) for name in groups))
        heads = [line for line in text(app).splitlines() if sum(n in line for n in groups) > 1]
        assert any("playback" in line for line in heads)
        await pilot.press("f1")
        await until(pilot, lambda: "time to first token" in text(app))
        await pilot.press("question_mark")
        await until(pilot, lambda: "F1 glossary" in text(app))
        await pilot.press("x")
        # The palette tells how many do not fit, of all and of those that match.
        await pilot.press("ctrl+p")
        listed = max(MIN_LISTED, app.size.height - ROWS_AROUND_LIST)
        more = len(list_commands("replay")) - listed
        await until(pilot, lambda: f"↓ {more} more" in text(app))
        await pilot.press(*"report")
        await until(pilot, lambda: not re.search(r"↓ \d+ more", text(app)))
        await pilot.press("enter")
        await until(pilot, lambda: len(asked) == 3)


def toasts(app: TxtopApp) -> str:
    return " ".join(notification.message for notification in app._notifications)


async def test_a_click_on_a_piece_of_the_rail_opens_its_cell(tmp_path: Path) -> None:
    path = write(tmp_path / "run", session(cells=3, ended=False))
    async with opened(LiveMode(path=path, runner=lambda _: FakeRunner()), size=(120, 40)) as (
        app,
        pilot,
    ):
        await until(pilot, lambda: "gpt2" in text(app))
        at = [find_rail_cell(3, 120, x) for x in range(120)]
        assert at[0] is at[-1] is None and at[1] == 0 and at[118] == 2
        assert [at.count(i) for i in range(3)] == [39, 40, 39]
        await pilot.click("#rail", offset=(at.index(1), 0))
        await until(pilot, lambda: app.mode.opened == "c001")
        # A report would disturb the measurement.
        await pilot.press("e")
        await until(pilot, lambda: "disturb" in toasts(app))
