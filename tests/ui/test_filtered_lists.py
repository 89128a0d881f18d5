"""Cells and log: narrowed by words, ordered by a column, followed, chosen with keys and mouse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from support import ui_events
from support.live_screen import Bench, a_view
from support.pilot import opened, session_screen, text, until
from support.ui_sessions import session, write
from txtop.plan.knobs import KNOBS
from txtop.ui.app import TxtopApp
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.scrolling import scroll_to_row
from txtop.ui.models import cell_sorting
from txtop.ui.models.cells import CellRow
from txtop.ui.models.view import LogRow, View
from txtop.ui.modes import ReplayMode
from txtop.ui.panels.cells import CellsPanel, choose_columns, render_cells
from txtop.ui.panels.filtered_list import TextFilter
from txtop.ui.panels.log import LogPanel, filter_log

MORE = tuple(
    (knob.column, knob.default) for knob in KNOBS if knob.column not in CellRow.__dataclass_fields__
)


def row(name: str, **changed: object) -> CellRow:
    facts: dict[str, object] = {
        "id": name, "state": "done", "model": "gpt2", "precision": "fp32", "batch": 1,
        "attention": "sdpa", "length": 128, "tokens": 32, "threads": 2,
        "more": MORE,
    }  # fmt: skip
    return CellRow(**{**facts, **changed})  # type: ignore[arg-type]


ROWS = [
    row("a", ttft="35.7", tpot="3,420", rate="27.1", rate_value=27.1, gib="0.9"),
    row("b", batch=8, ttft="—", rate="—", gib="~12.0", state="failed", note="out of memory"),
    row("c", batch=32, ttft="9.5", tpot="120", rate="312", rate_value=312.4, gib="1.0"),
    row("d", precision="bf16", ttft="35.7", rate="…", gib="0.05", badges=("≈ minor 0.004",)),
]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("", "abcd"),
        ("rate", "cabd"),
        ("ttft", "cadb"),
        ("tpot", "cabd"),
        ("gib", "dacb"),
        ("batch", "adbc"),
        ("precision", "dabc"),
        ("model", "abcd"),
    ],
)
def test_rows_are_ordered_by_what_a_column_shows(column: str, expected: str) -> None:
    assert "".join(r.id for r in cell_sorting.sort_rows(ROWS, column)) == expected


def test_the_next_column_is_one_that_tells_rows_apart() -> None:
    visible = choose_columns(ROWS, 116).sortable
    assert visible == ("model", "precision", "batch", "ttft", "tpot", "rate", "gib")
    sortable = cell_sorting.find_sortable_columns(ROWS, visible)
    assert sortable == ["precision", "batch", "ttft", "tpot", "rate", "gib"]
    seen, column = [], ""
    while (column := cell_sorting.get_next_column(column, sortable)) and len(seen) < 9:
        seen.append(column)
    assert seen == sortable
    assert (
        cell_sorting.get_next_column("gone", sortable) == "precision"
        and cell_sorting.get_next_column("", []) == ""
    )


@pytest.mark.parametrize("width", [78, 116, 196])
@pytest.mark.parametrize("mode", ["braille", "ascii"])
def test_the_heading_marks_the_column_and_nothing_moves(width: int, mode: str) -> None:
    g = Glyphs(mode)  # type: ignore[arg-type]
    plain = render_cells(ROWS, None, Area(width, 9, g))
    for column in choose_columns(ROWS, width - 2).sortable:
        drawn = render_cells(ROWS, None, Area(width, 9, g), order=column)
        assert drawn[2:] == plain[2:]
        marked = [part for part, role in drawn[1] if role == "text.bold"]
        sign = g("▾") if column == "rate" else g("▴")
        assert len(marked) == 1 and marked[0].strip().endswith(sign)
        assert sum(len(part) for part, _ in drawn[1]) == width


@pytest.mark.parametrize(
    ("typed", "ids"),
    [
        ("", "abcd"), ("BF16", "d"), ("batch 8", "b"), ("memory out", "b"), ("minor", "d"),
        ("gpt2 zzz", ""), ("failed", "b"), ("length 12", "abcd"), ("28", ""), ("0.004", "d"),
    ],
)  # fmt: skip
def test_every_word_has_to_be_there(typed: str, ids: str) -> None:
    narrowing = TextFilter()
    narrowing.text = typed
    assert (
        "".join(r.id for r in ROWS if narrowing.matches(cell_sorting.build_filter_text(r))) == ids
    )


def test_a_filter_says_how_many_are_left_and_keeps_the_columns() -> None:
    every = [*ROWS, row("e", model="a-model-with-a-long-name")]
    drawn = render_cells(
        ROWS[:1], None, Area(116, 9, Glyphs(), boxed=True), every=every, title="cells  /x"
    )
    top = "".join(part for part, _ in drawn[0])
    assert "cells  /x" in top and "1 of 5 shown" in top and "1 failed" in top
    full = render_cells(every, None, Area(116, 9, Glyphs(), boxed=True))
    assert drawn[1] == full[1]
    nothing = render_cells([], None, Area(116, 9, Glyphs(), boxed=True), every=every)
    assert "no matching cell" in "".join(part for part, _ in nothing[2])


def test_a_list_moves_no_further_than_it_has_to() -> None:
    assert [scroll_to_row(0, at, 100, 10) for at in (0, 9, 10, 50)] == [0, 0, 1, 41]
    assert [scroll_to_row(41, at, 100, 10) for at in (50, 45, 41, 40, 0)] == [41, 41, 41, 40, 0]
    assert scroll_to_row(95, 99, 100, 10) == 90 and scroll_to_row(3, 0, 2, 10) == 0


LINES = [
    LogRow("00:03", "gpt2 bf16", "out of memory", "error"),
    LogRow("00:02", "gpt2 fp32", "warm-up went on", "warning"),
    LogRow("00:01", "gpt2 fp32", "started", "info"),
]


def test_the_log_is_narrowed_by_words_and_severity() -> None:
    text_filter = TextFilter()
    assert [len(filter_log(LINES, text_filter, least)) for least in ("", "warnings", "errors")] == [
        3,
        2,
        1,
    ]
    text_filter.text = "FP32 warm"
    assert [line.at for line in filter_log(LINES, text_filter)] == ["00:02"]
    assert filter_log(LINES, text_filter, "errors") == []


def logged(count: int, level: str = "info") -> View:
    """A view whose log has that many lines, newest first, the last 300 of them."""
    lines = [LogRow("00:00", "", f"line {i} end", level) for i in range(count)]
    return replace(a_view(), log=tuple(reversed(lines[-300:])), log_count=count)


async def test_a_log_that_is_read_stays_where_it_is_and_counts_what_came() -> None:
    app = Bench()
    async with app.run_test(size=(120, 40)) as pilot:
        log = app.live.query_one(LogPanel)
        app.live.show(logged(50))
        await pilot.pause()
        assert log.in_sight[0].text == "line 49 end"
        app.live.show(logged(51))
        assert log.in_sight[0].text == "line 50 end"
        app.live.panel(5)
        await pilot.press("down", "down", "down")
        before = log.in_sight
        app.live.show(logged(60))
        assert log.in_sight == before and before[0].text == "line 47 end"
        assert "12 newer" in "".join(part for part, _ in log._rows[0])
        await pilot.press("pageup", "pageup")
        assert log.in_sight[0].text == "line 59 end"
        await pilot.press("down")
        app.live.show(logged(20))
        assert log.in_sight[0].text == "line 19 end"


async def test_what_a_filter_leaves_out_counts_as_nothing_newer() -> None:
    app = Bench()
    async with app.run_test(size=(120, 40)) as pilot:
        log = app.live.query_one(LogPanel)
        app.live.show(logged(50, "warning"))
        await pilot.pause()
        app.live.next_severity()
        await pilot.pause()
        await pilot.press("down", "down")
        before = log.in_sight
        quiet = logged(50, "warning")
        more = tuple(LogRow("00:09", "", f"quiet {i}", "info") for i in range(5))
        app.live.show(replace(quiet, log=more + quiet.log, log_count=55))
        assert log.in_sight == before
        assert "2 newer" in "".join(part for part, _ in log._rows[0])


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write(tmp_path / "rec", session(cells=6, error="out of memory"))


async def at_the_end(pilot: Pilot[Path | None], app: TxtopApp) -> None:
    await until(pilot, lambda: "gpt2" in text(app))
    await pilot.press("end")
    await until(pilot, lambda: "5 done" in text(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_typing_narrows_the_cells_and_esc_shows_all(
    recording: Path, size: tuple[int, int]
) -> None:
    async with opened(ReplayMode(recording), size=size) as (app, pilot):
        await at_the_end(pilot, app)
        panel = session_screen(app).query_one(CellsPanel)
        await pilot.press("slash", *"bf16q")
        await until(pilot, lambda: "cells  /bf16q " in text(app))
        assert "no matching cell" in text(app) and not app._exit
        assert "esc clear filter" in text(app) and "q quit" not in text(app)
        await pilot.press("backspace", "enter")
        await until(pilot, lambda: "cells  /bf16 " in text(app))
        assert [r.precision for r in panel.rows] == ["bf16", "bf16"]
        assert "2 of 6 shown" in text(app)
        await until(pilot, lambda: "o order" in text(app))
        await pilot.press("down")
        assert panel.selected == "c004"
        await pilot.press("escape")
        await until(pilot, lambda: len(panel.rows) == 6)
        assert panel.selected == "c004"
        await pilot.press("escape")
        await until(
            pilot, lambda: session_screen(app).panel_now == "" and "o order" not in text(app)
        )


async def test_the_key_of_order_goes_through_the_columns(recording: Path) -> None:
    async with opened(ReplayMode(recording), size=(120, 40)) as (app, pilot):
        await at_the_end(pilot, app)
        panel = session_screen(app).query_one(CellsPanel)
        await pilot.press("o")
        await until(pilot, lambda: "prec▴" in text(app))
        assert [r.precision for r in panel.rows] == ["bf16"] * 2 + ["fp16"] * 2 + ["fp32"] * 2
        for _ in range(9):
            if "▾" in text(app):
                break
            await pilot.press("o")
            await pilot.pause(0.05)
        rates = [r.rate_value for r in panel.rows]
        assert rates == sorted(rates, reverse=True)
        for _ in range(9):
            if not {"▾", "▴"} & set(text(app)):
                break
            await pilot.press("o")
            await pilot.pause(0.05)
        assert not {"▾", "▴"} & set(text(app)) and panel.rows == list(panel.view.cells)


async def test_a_click_selects_the_row_and_the_wheel_moves_on(recording: Path) -> None:
    async with opened(ReplayMode(recording), size=(120, 40)) as (app, pilot):
        await at_the_end(pilot, app)
        panel = session_screen(app).query_one(CellsPanel)
        assert panel.selected is None
        await pilot.click(CellsPanel, offset=(10, 5))
        assert app.focused is panel and panel.selected == "c003"
        assert "▸ gpt2" in text(app)
        await pilot.click(CellsPanel, offset=(10, 1))
        await pilot.click(CellsPanel, offset=(10, 0))
        assert panel.selected == "c003"
        await pilot.press("up")
        assert panel.selected == "c002"


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_log_is_filtered_and_left_out_by_severity(
    recording: Path, size: tuple[int, int]
) -> None:
    async with opened(ReplayMode(recording), size=size) as (app, pilot):
        await at_the_end(pilot, app)
        log = session_screen(app).query_one(LogPanel)
        await pilot.press("w", "w")
        await until(pilot, lambda: "errors alone" in text(app) and "w severity" in text(app))
        assert {line.level for line in log.lines} == {"error"}
        await pilot.press("w")
        await until(pilot, lambda: "alone" not in text(app))
        await pilot.press("slash", *"loaded")
        await until(pilot, lambda: "log  /loaded " in text(app))
        assert len(log.lines) == 6 and all("loaded" in line.text for line in log.lines)
        await pilot.press("escape")
        await until(pilot, lambda: "log  /" not in text(app))


async def test_a_card_has_nothing_to_filter(recording: Path) -> None:
    async with opened(ReplayMode(recording), size=(50, 12)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        await pilot.press("slash", "o", "w")
        await until(pilot, lambda: "nothing to search" in str(list(app._notifications)))
        assert not session_screen(app).typing


def test_the_events_of_the_log_are_counted_beyond_what_is_kept() -> None:
    state = ui_events.folded(ui_events.Story(ui_events.sweep()).whole(), 61)
    assert a_view().log_count == len(state.log)


async def test_in_the_detail_of_a_cell_the_next_one_is_the_next_of_the_table(
    recording: Path,
) -> None:
    show = ReplayMode(recording)
    async with opened(show, size=(120, 40)) as (app, pilot):
        await at_the_end(pilot, app)
        await pilot.press("o", "slash", *"gpt2", "enter", "enter")
        names = [r.id for r in session_screen(app).query_one(CellsPanel).rows]
        await until(pilot, lambda: session_screen(app).view.detail is not None)
        assert session_screen(app).view.detail.id == names[0] and names != sorted(names)
        await pilot.press("tab")
        await until(pilot, lambda: session_screen(app).view.detail.id == names[1])
        await pilot.press("y")
        await until(pilot, lambda: app.clipboard.startswith("gpt2 bf16"))
        await pilot.press("slash", "w", "o")
        await until(pilot, lambda: "nothing to search" in str(list(app._notifications)))
        assert session_screen(app).view.detail.id == names[1] and not session_screen(app).typing
        await pilot.press("escape")
        await until(pilot, lambda: session_screen(app).view.detail is None)
        assert session_screen(app).query_one(CellsPanel).selected == names[1]
