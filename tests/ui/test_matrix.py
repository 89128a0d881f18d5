"""The matrix builder on the screen, and the keys of the home screen that lead to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from support import ui_events
from support.panels import EVIL, MODES, check_rows
from support.pilot import FakeMachine, home_screen, opened, text, until
from support.tiling import tiled
from support.ui_sessions import session, write
from txtop.forecast.history import RunHistory
from txtop.forecast.memory_fit import FreeMemory
from txtop.forecast.preview import MatrixPreview, build_matrix_preview
from txtop.options.presets import find_preset
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import build_plan
from txtop.plan.plan import Plan
from txtop.runner import spawn
from txtop.session import catalog
from txtop.state.fold import fold
from txtop.system.gpus import Gpu
from txtop.ui.app import TxtopApp
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import GlyphMode, Glyphs
from txtop.ui.drawing.spans import Row, merge_spans
from txtop.ui.keymap import COMMANDS, build_footer_keys
from txtop.ui.models import layout
from txtop.ui.models.matrix_choices import MatrixChoices
from txtop.ui.modes import HomeMode, LiveMode, SideBySideMode
from txtop.ui.panels import matrix_choices as knobs
from txtop.ui.panels import matrix_preview
from txtop.ui.panels.command_line import render_command
from txtop.ui.screens.ab_dialog import ABDialog
from txtop.ui.screens.help import HelpDialog
from txtop.ui.screens.matrix import MatrixScreen

pytestmark = pytest.mark.usefixtures("quiet_machine")
GIB = 1 << 30
ROOM = FreeMemory(ram=8.0 * GIB)
GPUS = {Gpu("NVIDIA L4", "GPU-a"): None, Gpu("NVIDIA L4", "GPU-b"): 3.0}
MIXED = RunOptions(
    models=["gpt2", "bert-base-uncased", EVIL],
    precisions=["fp32", "int8:torch-dynamic"],
    batch_sizes=[1, 4096],
    sequence_lengths=[128, 2048],
    new_tokens=[8, 32],
)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Plan]:
    """The plans that were started; what is followed is a made-up run."""
    plans: list[Plan] = []

    def start(plan: Plan, **_how: Any) -> spawn.LaunchedRun:
        plans.append(plan)
        return spawn.LaunchedRun(write(tmp_path / "begun", session(ended=False)), None)  # type: ignore[arg-type]

    monkeypatch.setattr(spawn, "start_run", start)
    return plans


async def build(app: TxtopApp, pilot: Pilot[Path | None]) -> MatrixScreen:
    await until(pilot, lambda: "start" in text(app))
    await pilot.press("b")
    await until(pilot, lambda: "what to measure" in text(app))
    assert isinstance(app.screen, MatrixScreen) and app.mode_screen.kind == "matrix"
    return app.screen


def lines(rows: list[Row]) -> str:
    return "\n".join("".join(part for part, _ in row) for row in rows)


async def test_the_quick_preset_is_one_key_and_an_ab_four(started: list[Plan]) -> None:
    async with opened(HomeMode()) as (app, pilot):
        await until(pilot, lambda: "press r" in text(app))
        await pilot.press("r")
        await until(pilot, lambda: started == [build_plan(RunOptions(preset="quick"))])
        await pilot.press("escape")
        await until(pilot, lambda: app.mode_screen.kind == "home")
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, ABDialog))
        await pilot.press("enter", "1", "3")
        await until(pilot, lambda: len(started) == 2)
    assert [cell.precision for cell in started[1].cells] == ["fp32", "bf16"] and started[1].margin


async def test_a_matrix_is_chosen_told_and_started(started: list[Plan]) -> None:
    async with opened(HomeMode()) as (app, pilot):
        builder = await build(app, pilot)
        assert builder.forecast.command == "txtop run"
        # A model, a precision, a batch by its digits, a length as a range.
        await pilot.press("down", "right", "space", "tab", "right", "right", "space")
        await pilot.press("down", "down", "3", "enter")
        await pilot.press("down", "plus", *"8-64*2", "enter")
        await until(pilot, lambda: "for 40 cells" in text(app))
        assert builder.forecast.command == (
            "txtop run --models gpt2 gpt2-medium --precisions fp32 bf16 --batch-sizes 1 3 "
            "--sequence-lengths '8-128*2'"
        )
        assert "at most ~30:00" in text(app) and "txtop run --models gpt2 gpt2-medium" in text(app)
        await pilot.press("y")
        await until(pilot, lambda: app.clipboard == builder.forecast.command)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.mode, LiveMode) and bool(started))
        assert started == [builder.forecast.plan]
        assert started[0] == build_plan(builder.choices.to_run_options())
        # What was chosen is still there.
        await pilot.press("escape")
        await until(pilot, lambda: app.mode_screen.kind == "home")
        again = await build(app, pilot)
        assert again.forecast.command == builder.forecast.command


async def test_presets_come_first_and_fill_the_choices(started: list[Plan]) -> None:
    async with opened(HomeMode(session_dir=Path("/tmp/else where"))) as (app, pilot):
        builder = await build(app, pilot)
        await pilot.press("right", "right", "space")
        assert builder.forecast.command == (
            "txtop run --preset bert-seqlen --session-dir '/tmp/else where'"
        )
        await until(pilot, lambda: "what length costs" in text(app))
        await pilot.press("shift+tab", "up", "left", "space", "enter")
        await until(pilot, lambda: started == [build_plan(RunOptions(preset="quick"))])


async def test_what_cannot_be_is_said_in_a_line_and_not_started(started: list[Plan]) -> None:
    async with opened(HomeMode()) as (app, pilot):
        builder = await build(app, pilot)
        await pilot.press(*["down"] * 5, "end", "space")
        await until(pilot, lambda: "refused: context 1024" in text(app))
        assert "2048 + 32 new tokens are longer than the context of gpt2" in text(app)
        await pilot.press("enter", "space")
        await until(pilot, lambda: "1 to measure" in text(app))
        await pilot.press("up", "plus", *"0", "enter")
        await until(pilot, lambda: "batch 0 is not between 1" in text(app))
        assert builder.typed is not None
        await pilot.press("backspace", *"x!", "enter")
        await until(pilot, lambda: "is neither a number nor a range" in text(app))
        await pilot.press("escape")
        await until(pilot, lambda: builder.typed is None and app.mode_screen.kind == "matrix")
        await pilot.press("up", "plus")
        await until(pilot, lambda: "no other values" in str(list(app._notifications)))
        await pilot.press("escape")
        await until(pilot, lambda: app.mode_screen.kind == "home" and "sessions" in text(app))
    assert started == []


async def test_keys_are_text_while_a_model_is_typed(started: list[Plan]) -> None:
    async with opened(HomeMode()) as (app, pilot):
        builder = await build(app, pilot)
        await pilot.press("down", "plus", *"b y q t s", "question_mark", "enter")
        await until(pilot, lambda: builder.typed is None)
        assert builder.choices.to_run_options().models == ["gpt2", "b y q t s?"]
        assert app.mode_screen.kind == "matrix" and not started
        await until(pilot, lambda: "known when loaded" in text(app))
        assert "'b y q t s?'" in builder.forecast.command


async def test_the_cursor_stays_at_the_row_that_is_typed_in() -> None:
    async with opened(HomeMode()) as (app, pilot):
        builder = await build(app, pilot)
        await pilot.press("down", "plus", *"gp")
        builder.move(1, 0)
        assert builder.begin_typing("another line")
        await until(pilot, lambda: "models     > gp" in text(app))
        assert builder.choices.knob.typing == "names" and len(builder.query("TextInput")) == 1


async def test_keys_that_come_in_one_piece_are_done_in_their_order() -> None:
    async with opened(HomeMode()) as (app, pilot):
        builder = await build(app, pilot)
        screen: Any = app.screen
        from textual import events

        for key in ["down", "down", "right", "space", "right", "down", "down", "plus", "9"]:
            screen.post_message(events.Key(key, {"plus": "+", "9": "9"}.get(key)))
        screen.post_message(events.Key("enter", None))
        await until(pilot, lambda: builder.choices.to_run_options().batch_sizes == [1, 9])
        # What is left of the last key must not reach an app that has closed its screens.
        await pilot.pause()
        assert builder.choices.to_run_options().precisions == ["fp32", "fp16"]


async def test_the_mouse_chooses_and_scrolls(started: list[Plan]) -> None:
    async with opened(HomeMode(), size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: "your own matrix" in text(app))
        await pilot.click("#start", offset=(5, 10))
        await until(pilot, lambda: isinstance(app.screen, MatrixScreen))
        builder = app.screen
        assert isinstance(builder, MatrixScreen)
        row = next(y for y, line in enumerate(text(app).splitlines()) if " batch  " in line)
        column = text(app).splitlines()[row].index("[ ]32")
        await pilot.click(offset=(column + 1, row))
        # The row is one line up, above its hint, on which a click does nothing.
        await pilot.click(offset=(column + 1, row))
        assert builder.choices.to_run_options().batch_sizes == [1, 32]
        await pilot.click(offset=(column + 1, row - 1))
        await pilot.click(offset=(110, row - 1))
        await pilot.click(offset=(1, 1))
        assert builder.choices.to_run_options().batch_sizes == [1]
        await pilot.press("pagedown", "pageup", "home", "question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpDialog))
        assert "copy the command line" in text(app)


async def test_what_is_free_and_what_was_measured_comes_with_the_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "box")
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr("txtop.system.cpu.read_cpu_name", lambda: "An Invented CPU")
    folder = tmp_path / "TXTOP_SESSION_DIR"
    write(folder / "invented", session(cells=1))

    def samples(self: FakeMachine, interval_s: float) -> None:
        for event in ui_events.Story(ui_events.sweep()).samples():
            fold(self.state, event)

    monkeypatch.setattr(FakeMachine, "_start", samples)
    async with opened(HomeMode()) as (app, pilot):
        await until(pilot, lambda: "invented" in text(app))
        builder = await build(app, pilot)
        await until(pilot, lambda: "of 15.0 GiB free   RAM: the peak" in text(app))
        builder.choices.named("new_tokens").add_value(4)
        builder.choices.named("new_tokens").chosen = [4]
        await pilot.press("right", "left", "space")
        await until(pilot, lambda: "as it was measured here before" in text(app))


async def test_the_keys_of_the_session_list(tmp_path: Path) -> None:
    folder = tmp_path / "TXTOP_SESSION_DIR"
    write(folder / "one", session(model=EVIL.replace("/", "")))
    write(folder / "two", session(model="bert-base-uncased"))
    async with opened(HomeMode()) as (app, pilot):
        await until(
            pilot, lambda: len(home_screen(app).sessions.listed) == 2 + len(catalog.list_bundled())
        )
        await pilot.press("c")
        await until(pilot, lambda: "mark two" in str(list(app._notifications)))
        await pilot.press("space", "down", "space")
        await until(pilot, lambda: "c compare" in text(app))
        await pilot.press("escape")
        assert home_screen(app).sessions.list.marked == []
        await pilot.press("slash", *"bert q", "backspace", "backspace")
        await until(pilot, lambda: "apply" in text(app))
        await pilot.press("enter")
        await until(
            pilot,
            lambda: "esc shows all" in text(app) and len(home_screen(app).sessions.listed) == 2,
        )
        assert not app._exit
        await pilot.press("end", "home", "j", "k", "space", "slash", "escape")
        await until(
            pilot, lambda: len(home_screen(app).sessions.listed) == 2 + len(catalog.list_bundled())
        )
        await pilot.press("escape", "home", "space", "down", "space")
        await until(pilot, lambda: "c compare" in text(app))
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.mode, SideBySideMode))
        await until(pilot, lambda: "comparable" in text(app))
        await pilot.press("escape")
        await until(pilot, lambda: app.mode_screen.kind == "home")


def test_every_key_of_a_footer_stands_in_the_table() -> None:
    moves = {"← → ↑ ↓", "↑ ↓", "pgdn"}
    for where in ("home", "matrix"):
        signs = {c.sign for c in COMMANDS if where in c.where}
        for marked in (0, 2):
            keys = build_footer_keys(where, resumable=True, marked=marked)  # type: ignore[arg-type]
            assert {key for key, _ in keys} - moves <= signs


@pytest.mark.fault(33)
async def test_a_storm_of_resizes_on_both_screens() -> None:
    sizes = [(1, 1), (200, 60), (40, 10), (250, 80), (2, 90), (59, 15), (120, 40), (3, 4), (80, 24)]
    async with opened(HomeMode()) as (app, pilot):
        await until(pilot, lambda: "press r" in text(app))
        for size in sizes:
            await pilot.resize_terminal(*size)
        await until(pilot, lambda: "press r" in text(app) and "doctor" in text(app))
        builder = await build(app, pilot)
        for size in sizes:
            await pilot.resize_terminal(*size)
            builder.move(3, 1)
            builder.begin_typing("1")
            builder.back()
        await until(pilot, lambda: "estimate" in text(app) and "for 1 cell" in text(app))


async def test_a_value_is_typed_where_there_is_no_row_for_it() -> None:
    async with opened(HomeMode()) as (app, pilot):
        await until(pilot, lambda: "press r" in text(app))
        builder = await build(app, pilot)
        while not builder.begin_typing("4711"):
            builder.move(1, 0)
        for size in ((3, 4), (20, 1), (80, 24)):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda size=size: app.mode_screen.size == size)  # type: ignore[misc]
        await until(pilot, lambda: "4711" in text(app))


@pytest.mark.parametrize("size", [(80, 24), (99, 31), (100, 32), (120, 40), (200, 60), (60, 16)])
def test_panels_cover_the_screen_and_never_each_other(size: tuple[int, int]) -> None:
    for lines_of_all in (0, 20, 90):
        assert tiled(layout.arrange_matrix(*size, knobs=13, lines=lines_of_all), size)


@pytest.mark.fault(18)
@pytest.mark.fault(33)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "size", [(1, 1), (5, 3), (34, 5), (60, 16), (80, 13), (120, 40), (250, 80)]
)
def test_every_row_is_inert_and_as_wide_as_asked(mode: GlyphMode, size: tuple[int, int]) -> None:
    g = Glyphs(mode)
    choices = MatrixChoices()
    choices.named("models").add_value(EVIL)
    told = [
        build_matrix_preview(MIXED, RunHistory()),
        build_matrix_preview(RunOptions(models=[EVIL]), RunHistory()),
        MatrixPreview(),
    ]
    told.append(build_matrix_preview(RunOptions(batch_sizes=[]), RunHistory()))
    for boxed in (False, True):
        for at in range(len(choices.knobs)):
            choices.go(at, 7)
            for entry in (None, knobs.KnobInput(""), knobs.KnobInput(EVIL * 9, EVIL)):
                rows = knobs.render_matrix_choices(choices, entry, Area(*size, g, boxed=boxed))
                check_rows({"choices": [merge_spans(row, size[0]) for row in rows]}, *size)
        for preview in told:
            for room in (FreeMemory(), ROOM, FreeMemory(gpus=GPUS)):
                drawn = {
                    "cells": matrix_preview.render_matrix_cells(
                        preview, room, 3, Area(*size, g, boxed=boxed)
                    ),
                    "before": matrix_preview.render_matrix_summary(
                        preview, room, Area(*size, g, boxed=boxed)
                    ),
                }
                check_rows(
                    {n: [merge_spans(row, size[0]) for row in rows] for n, rows in drawn.items()},
                    *size,
                )


def test_what_will_not_run_is_marked_and_first() -> None:
    rows = matrix_preview.render_matrix_cells(
        build_matrix_preview(MIXED, RunHistory()), ROOM, 0, Area(120, 60, Glyphs(), boxed=True)
    )
    drawn = lines(rows).splitlines()
    assert "28 to measure   6 will not fit   12 refused   8 left out" in drawn[0]
    marks = [line[2] for line in drawn[2:50]]
    assert marks[:18] == ["✗"] * 18 and "✗" not in marks[18:]
    assert "refused: context 1024" in drawn[2]
    assert "will not fit in 8.0" in "\n".join(drawn)
    skipped = matrix_preview.render_matrix_cells(
        build_matrix_preview(MIXED, RunHistory()), ROOM, 18, Area(120, 20, Glyphs(), boxed=True)
    )
    assert "refused:" not in lines(skipped[1:])


@pytest.mark.parametrize("size", [(80, 13, False), (120, 16, True), (200, 16, True)])
def test_the_hint_of_the_row_under_the_cursor_stands_beside_it(
    size: tuple[int, int, bool],
) -> None:
    width, height, boxed = size
    choices = MatrixChoices()
    for row, knob in enumerate(choices.knobs):
        for column in range(len(knob.values) if knob.name == "preset" else 1):
            choices.go(row, column)
            area = Area(width, height, Glyphs(), boxed=boxed)
            drawn = knobs.render_matrix_choices(choices, None, area)
            assert len(drawn) <= height
            at = next(y for y, line in enumerate(drawn) if any("▸" in part for part, _ in line))
            name = knob.values[column]
            hint = find_preset(name).title if isinstance(name, str) and row == 0 else ""
            hint = hint or knobs.HINTS.get(knob.name, "or choose below")
            hint = f"not here: {knob.reason}" if knob.reason else hint
            assert lines(drawn[at + 1 : at + 2]).strip("│ ") == hint


def test_a_row_out_of_sight_is_named() -> None:
    choices = MatrixChoices()
    heading = lines(knobs.render_matrix_choices(choices, None, Area(80, 13, Glyphs()))[:1])
    assert "↓ budget, iterations" in heading
    choices.go(12, 0)
    heading = lines(knobs.render_matrix_choices(choices, None, Area(80, 13, Glyphs()))[:1])
    assert "↑ preset, models" in heading and "↓" not in heading


@pytest.mark.parametrize("mode", MODES)
def test_one_of_several_and_several_have_different_marks(mode: GlyphMode) -> None:
    choices = MatrixChoices()
    g = Glyphs(mode)
    drawn = lines(knobs.render_matrix_choices(choices, None, Area(120, 16, g, boxed=True)))
    assert g("(●)auto  ( )cpu") in drawn and "[x]1  [ ]2" in drawn
    rows = drawn.splitlines()[1:-1]
    assert sum(g("(●)") in row for row in rows) == 4 and sum("[x]" in row for row in rows) == 9
    assert not any(g("(●)") in row and "[x]" in row for row in rows)


@pytest.mark.parametrize("width", [30, 48, 80])
def test_the_command_line_is_cut_between_words_as_a_shell_reads_it(width: int) -> None:
    command = build_matrix_preview(
        RunOptions(models=["a b", "gpt2"], batch_sizes=[1, 8, 32]), RunHistory()
    ).command
    rows = render_command(command, width, Glyphs())
    assert all(sum(len(part) for part, _ in row) <= width for row in rows)
    assert " ".join(lines(rows).replace("\\\n", " ").split()) == command


def test_all_values_are_there_where_there_is_room_and_each_is_clicked_where_it_stands() -> None:
    choices = MatrixChoices()
    for row in range(len(choices.knobs)):
        choices.go(row, len(choices.knobs[row].values) - 1)
        area = Area(116, knobs.count_lines(choices, Area(116, 99, Glyphs())) + 1, Glyphs())
        framed = Area(120, area.height + 2, Glyphs(), boxed=True)
        rows = knobs.render_matrix_choices(choices, None, framed)
        drawn = lines(rows).splitlines()[1:-1]
        assert not any("…" in line for line in drawn)
        placed = {}
        for y, (knob, line) in enumerate(knobs.list_rows(choices, area)):
            if knob is not None:
                for place in knobs.place_line(choices, knob, line, area)[0]:
                    value = choices.knobs[knob].values[place.column]
                    there = drawn[y][2 + place.start : 2 + place.start + place.width]
                    assert choices.knobs[knob].text(value) in there
                    placed[knob, place.column] = y
        assert len(placed) == sum(len(knob.values) for knob in choices.knobs)


def test_the_cursor_and_what_is_chosen_stay_in_sight() -> None:
    choices = MatrixChoices()
    for row, knob in enumerate(choices.knobs):
        for column in range(len(knob.values)):
            choices.go(row, column)
            for width in (40, 78, 116):
                places, behind = knobs.place_values(knob, True, width, Glyphs())
                assert column in [place.column for place in places]
                assert places[-1].column + 1 + behind == len(knob.values)
    choices.go(1, 0)
    choices.named("models").chosen = ["gpt2", "Llama-3.2-1B"]
    assert "…1" in lines(knobs.render_matrix_choices(choices, None, Area(80, 13, Glyphs())))
