"""A fleet on the screen: a row for each place, and a column for each kind of machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from support.fleets import FakeCopies, FakeCopy, write_fleet
from support.pilot import footer_keys, opened, text, until
from txtop.fleet.folder import FLEET_NAME
from txtop.fleet.followed import FleetFollower, PlaceLine
from txtop.protocol.events import SessionHeader
from txtop.session.reader import read_all
from txtop.state.session import SessionState
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.fleet_mode import FleetMode, PlaceMode
from txtop.ui.models.fleet import FleetView, FleetViewBuilder, format_lag, judge_place
from txtop.ui.models.layout import arrange_fleet
from txtop.ui.modes import LiveMode, ReplayMode
from txtop.ui.panels import fleet as panels
from txtop.ui.screens.fleet import FleetScreen

GPT2 = "gpt2-precisions"


def build(folder: Path, copies: dict[str, FakeCopy] | None = None) -> FleetView:
    made = FakeCopies(copies).cast() if copies else None
    follower = FleetFollower(folder, made)
    follower.update()
    return FleetViewBuilder().build(folder.name, follower.places, copied=copies is not None)


def test_a_row_says_what_a_place_does(tmp_path: Path) -> None:
    folder = write_fleet(tmp_path, "f", {"a": 1.0, "b": 0.7, "c": 0, "d": 0.5}, GPT2)
    lost = FakeCopy("given up", 900.0, problem="lost, exit code 255")
    late = FakeCopy("copying", 12.4, is_lagging=True)
    view = build(folder, {"a": FakeCopy("complete"), "b": late, "c": FakeCopy(), "d": lost})
    a, b, c, d = view.places
    assert (a.stage, a.sign[1], a.lag, a.rate) == ("done", "done", "", "")
    assert a.over == a.total > b.over > 0
    assert (b.stage, b.sign[1], b.lag, b.is_silent) == ("trouble", "no data", "12 s", True)
    assert (c.stage, c.sign[1], c.total) == ("waiting", "connecting", 0)
    assert (d.stage, d.sign[1], d.cell) == ("trouble", "lost", "lost, exit code 255")
    assert [view.count(stage) for stage in ("running", "done", "trouble")] == [0, 1, 2]


def test_a_place_at_work_has_its_cell_rate_and_power(tmp_path: Path) -> None:
    folder = write_fleet(tmp_path, "f", {"a": 0.3}, GPT2)
    (row,) = build(folder, {"a": FakeCopy()}).places
    assert row.stage == "running" and row.unit == "tok/s" and row.cell and row.lag == "<1 s"
    assert float(row.rate.replace(",", "")) > 0 and row.power and "core" in row.device


def test_cells_of_equal_machines_share_a_column(tmp_path: Path) -> None:
    folder = write_fleet(tmp_path, "f", {"a": 1.0, "b": 1.0}, GPT2)
    view = build(folder)
    assert len(view.kinds) == 1 and view.kinds[0].startswith("2 x ")
    assert len(view.cells) == view.places[0].total
    assert all(row.figures[0].value > 0 for row in view.cells if row.unit)


def test_another_kind_of_machine_has_a_column_of_its_own(tmp_path: Path) -> None:
    folder = write_fleet(tmp_path, "f", {"a": 1.0, "b": 1.0, "c": 0.3}, GPT2)
    log = folder / "f-b" / "events.jsonl"
    header = next(event for event in read_all(log)[0] if isinstance(event, SessionHeader))
    name = header.machine.cpu.encode()
    log.write_bytes(log.read_bytes().replace(b'"cpu":"' + name, b'"cpu":"Other' + name))
    view = build(folder, {"a": FakeCopy("complete"), "b": FakeCopy("complete"), "c": FakeCopy()})
    assert len(view.kinds) == 2
    rows = panels.render_fleet_cells(view, 0, Area(100, 20, Glyphs("braille"), True))
    heading = "".join(part for part, _ in rows[1])
    assert "Other" in heading and "2 x" in heading


def test_what_is_left_out_for_want_of_room_is_counted() -> None:
    kinds = tuple(f"machine {number}" for number in range(30))
    rows = panels.render_fleet_cells(FleetView(kinds=kinds), 0, Area(80, 10, Glyphs("braille")))
    assert "more kinds of machine" in "".join(part for part, _ in rows[0])


def test_a_fleet_that_is_only_read_says_what_has_not_ended() -> None:
    state = SessionState()
    assert judge_place(state, None, "")[1][1] == "no log yet"
    assert judge_place(state, PlaceLine("connecting", 1, False), "")[1][1] == "connecting"
    assert judge_place(state, None, "no header")[0] == "trouble"


@pytest.mark.parametrize(
    ("silent_s", "expected"),
    [(0.99, "<1 s"), (1, "1 s"), (99.9, "99 s"), (150, "02:30"), (7200, "2:00:00")],
)
def test_a_lag_is_short(silent_s: float, expected: str) -> None:
    assert format_lag(PlaceLine("copying", silent_s, silent_s > 3)) == expected


@pytest.mark.parametrize("height", range(1, 61, 3))
@pytest.mark.parametrize("places", [1, 4, 64])
def test_the_panels_of_a_fleet_tile_the_screen(height: int, places: int) -> None:
    for width, cells in ((30, 3), (80, 3), (120, 200)):
        regions = arrange_fleet(width, height, places=places, cells=cells).places
        assert sum(region.height for region in regions.values()) == height
        assert {region.width for region in regions.values()} == {width}
        assert all(region.height > 0 for region in regions.values())


@pytest.mark.parametrize("width", [12, 40, 80, 120, 200])
def test_no_row_is_wider_than_its_panel(width: int, tmp_path: Path) -> None:
    folder = write_fleet(tmp_path, "f", {"a" * 40: 1.0, "b": 0.3, "c": 0}, GPT2)
    view = build(folder, {"a" * 40: FakeCopy("complete"), "b": FakeCopy(), "c": FakeCopy()})
    area = Area(width, 12, Glyphs("ascii"), True)
    for rows in (panels.render_places(view, 1, 0, area), panels.render_fleet_cells(view, 0, area)):
        assert {sum(len(part) for part, _ in row) for row in rows} == {width}


def read_heads(view: FleetView, width: int = 120) -> list[str]:
    rows = panels.render_places(view, 0, 0, Area(width, 12, Glyphs("braille")))
    return "".join(part for part, _ in rows[1]).split()


def test_a_column_that_says_nothing_is_left_out(tmp_path: Path) -> None:
    folder = write_fleet(tmp_path, "f", {"a": 1.0, "b": 0.3}, GPT2)
    at_rest = ["place", "state", "cells", "device"]
    assert read_heads(build(folder)) == at_rest
    over = build(folder, {"a": FakeCopy("complete"), "b": FakeCopy("complete")})
    assert "lag" not in read_heads(over)
    view = build(folder, {"a": FakeCopy("complete"), "b": FakeCopy()})
    at_work = ["place", "state", "cells", "cell", "rate", "device", "lag"]
    assert read_heads(view) == at_work
    powered = replace(view, places=tuple(replace(row, power="250 W") for row in view.places))
    assert read_heads(powered) == [*at_work[:-1], "power", "lag"]


def test_the_last_column_is_whole_where_there_is_little_room(tmp_path: Path) -> None:
    folder = write_fleet(tmp_path, "f", {"a100-west": 0.3}, GPT2)
    view = build(folder, {"a100-west": FakeCopy()})
    row = replace(view.places[0], cell="b2 · 512 tokens", rate="12,800", power="1,250 W")
    rows = panels.render_places(replace(view, places=(row,)), 0, 0, Area(80, 12, Glyphs("braille")))
    heads, first = ("".join(part for part, _ in line).rstrip() for line in rows[1:3])
    assert heads.endswith("power   lag") and first.endswith("1,250 W  <1 s")


def fleet(copies: bool) -> Callable[[Path], FleetMode]:
    def opens(folder: Path) -> FleetMode:
        written = write_fleet(folder, "sweep", {"gpu1": 1.0, "gpu2": 0.3}, GPT2)
        made = {"gpu1": FakeCopy("complete"), "gpu2": FakeCopy()}
        return FleetMode(written, FakeCopies(made).cast() if copies else None)

    return opens


async def test_enter_opens_a_place_and_escape_returns(tmp_path: Path) -> None:
    mode = fleet(True)(tmp_path)
    async with opened(mode) as (app, pilot):
        await until(pilot, lambda: "gpu2" in text(app))
        assert "COPYING" in text(app) and "12/12" not in text(app)
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.mode, PlaceMode))
        await until(pilot, lambda: "cells" in text(app) and "gpt2" in text(app))
        assert ("esc", "fleet") in footer_keys(app)
        assert "pause" not in str(footer_keys(app))
        await pilot.press("space")
        await until(pilot, lambda: "controlled there" in str(list(app._notifications)))
        await pilot.press("escape")
        await until(pilot, lambda: app.mode is mode and "COPYING" in text(app))
        await pilot.press("up", "enter")
        await until(pilot, lambda: isinstance(app.mode, ReplayMode))


async def test_a_fleet_that_is_only_read_opens_replays(tmp_path: Path) -> None:
    async with opened(fleet(False)(tmp_path)) as (app, pilot):
        await until(pilot, lambda: "not ended" in text(app))
        assert "COPYING" not in text(app)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.mode, ReplayMode))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.mode_screen, FleetScreen))


async def test_a_place_from_which_nothing_came_does_not_open(tmp_path: Path) -> None:
    written = write_fleet(tmp_path, "sweep", {"a": 0}, GPT2)
    async with opened(FleetMode(written)) as (app, pilot):
        await until(pilot, lambda: "no log yet" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "nothing came from a" in str(list(app._notifications)))


async def test_an_interrupt_stops_every_place(tmp_path: Path) -> None:
    written = write_fleet(tmp_path, "sweep", {"a": 0.3}, GPT2)
    copies = FakeCopies({"a": FakeCopy()})
    async with opened(FleetMode(written, copies.cast())) as (app, pilot):
        await until(pilot, lambda: "COPYING" in text(app))
        await pilot.press("ctrl+c")
        await until(pilot, lambda: bool(copies.stopped))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.mode, PlaceMode))
        await until(pilot, lambda: "cells" in text(app) and "gpt2" in text(app))
        assert app.is_running


def test_a_silent_place_says_so_above_its_panels(tmp_path: Path) -> None:
    written = write_fleet(tmp_path, "sweep", {"a": 0.3}, GPT2)
    copy = FakeCopy(silent_s=20.0, is_lagging=True, problem="exit code 255")
    follower = FleetFollower(written, FakeCopies({"a": copy}).cast())
    mode = PlaceMode(follower.places[0])
    assert isinstance(mode, LiveMode) and (written / FLEET_NAME).exists()
    source = mode.open()
    source.update()
    banner = mode.build(source).banner
    mode.close()
    assert banner is not None and "no data from a for 20 s (exit code 255)" in banner.text
