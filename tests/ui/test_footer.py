"""The footer: what it says on each screen, that it can be clicked, and that its keys do things."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.pilot import home_screen, opened, text, until
from support.ui_sessions import session, write
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.keymap import COMMANDS, build_footer_keys, list_commands, resolve_key
from txtop.ui.modes import HomeMode, ReplayMode
from txtop.ui.panels.cells import CellsPanel
from txtop.ui.panels.footer import FooterPanel, find_footer_key, render_footer
from txtop.ui.panels.log import LogPanel
from txtop.ui.panels.machine import MachinePanel
from txtop.ui.screens.dialogs import HelpDialog


@pytest.mark.parametrize("mode", ["braille", "ascii"])
@pytest.mark.parametrize("width", [40, 80, 200])
def test_each_column_of_the_footer_is_the_key_that_stands_there(mode: str, width: int) -> None:
    g = Glyphs(mode)  # type: ignore[arg-type]
    keys = build_footer_keys("replay", back=True)
    drawn = "".join(part for part, _ in render_footer(keys, width, g)[0])
    words = {sign: g(word) for key, word in keys for sign in key.split(" ")}
    found = [find_footer_key(keys, width, g, x) for x in range(width)]
    for x, sign in enumerate(found):
        if sign and x and found[x - 1] != sign:
            assert drawn[x:].startswith((g(sign), words[sign]))
    assert found[0] == "" and "?" in found
    assert ("⇧→" in found) == ("cell" in drawn) and ("g" in found) == ("go to" in drawn)


def test_every_key_that_a_footer_names_is_one() -> None:
    shown = [
        build_footer_keys(where, back=back, over=over, arms=arms, panel=panel, resumable=True)
        for where in ("home", "matrix", "live", "replay")
        for back in (False, True)
        for over in (False, True)
        for arms in (0, 2, 3)
        for panel in ("", "cells", "log", "machine")
    ]
    signs = {sign for keys in [*shown, build_footer_keys("live", typing=True)] for key, _ in keys
             for sign in key.split(" ")}  # fmt: skip
    assert not {sign for sign in signs if not resolve_key(sign)}


def test_keys_are_named_once_on_a_screen() -> None:
    for where in ("home", "matrix", "live", "replay"):
        keys = [key for command in list_commands(where) for key in command.keys.split(",")]
        assert len(keys) == len(set(keys))
    assert len({c.sign for c in COMMANDS if c.keys == "space"}) == 1


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write(tmp_path / "rec", session(cells=3))


def column(keys: str, line: str) -> int:
    assert keys in line
    return line.index(keys)


async def test_a_click_on_a_key_is_that_key(recording: Path) -> None:
    show = ReplayMode(recording)
    async with opened(show, size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: "space pause" in text(app))
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
        for kind, said in (
            (LogPanel, "w severity"),
            (CellsPanel, "o order"),
            (MachinePanel, "esc back"),
        ):
            await pilot.click(kind, offset=(4, 2))
            await until(pilot, lambda said=said: said in text(app).splitlines()[-1])
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
