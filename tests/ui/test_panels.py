"""Every panel at every size, in every way of drawing: rows as wide as asked, never an error."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from support import ui_events
from support.panels import EVIL, MODES, check_rows
from support.screen_text import lines
from txtop.plan.cell import Cell
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.state.fidelity import shorten_badge
from txtop.ui.drawing import big_digits, charts, glyphs
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame
from txtop.ui.drawing.glyphs import GlyphMode, Glyphs
from txtop.ui.drawing.line_widget import find_changed_columns
from txtop.ui.drawing.scrolling import compute_first_row
from txtop.ui.drawing.spans import (
    Row,
    clean,
    crop,
    cut,
    cut_parts,
    fit,
    merge_cells,
    merge_spans,
    to_ascii,
    wrap,
)
from txtop.ui.models.view import Banner, Playback, View, build_view
from txtop.ui.panels import (
    cells,
    compact,
    footer_keys,
    header,
    hero,
    log,
    machine,
    progress_rail,
    transport,
)
from txtop.ui.panels.tradeoffs import render

KEYS = (("space", "pause"), ("t", "theme"), ("?", "help"), ("q", "quit"))


def _sweep(until_s: float, gpus: int = 1, iterations: int | None = 40) -> View:
    story = ui_events.Story(ui_events.sweep(iterations), gpus=gpus)
    return build_view(ui_events.folded(story.whole(), until_s))


def _mixed() -> View:
    plan = Plan(
        cells=expand_matrix(
            models=["bert-base-uncased", "gpt2", "t5-small"],
            precisions=["fp32"],
            attention=["eager", "sdpa"],
            batch_sizes=[1, 4],
            sequence_lengths=[32, 128],
            new_tokens=[16],
        ),
        iterations=10,
    )
    return build_view(ui_events.folded(ui_events.Story(plan).whole(), 60.0))


def _many() -> View:
    plan = Plan(cells=tuple(Cell(id=f"c{i}", model=f"model-{i}") for i in range(1000)))
    story = ui_events.Story(plan, gpus=8)
    stream = [ui_events.header(plan), *story.samples(), *story.cell(plan.cells[500])]
    return build_view(ui_events.folded(iter(stream)))


def _evil() -> View:
    cell = Cell(id="c1", model=EVIL)
    plan = Plan(cells=(cell,))
    story = ui_events.Story(plan)
    failed = events.CellFinished(
        t_ns=9, cell="c1", status="failed", phase=EVIL, reason=EVIL, hint=EVIL
    )
    line = events.Log(t_ns=9, text=EVIL, level="error")
    stream = [ui_events.header(plan), *story.started(cell), line, failed]
    return build_view(ui_events.folded(iter(stream)), banner=Banner(EVIL))


@cache
def views() -> dict[str, View]:
    """States that look different."""
    done = _sweep(1e9)
    ends = tuple((i * 50_000_000_000, f"cell {i}", "oom" if i == 3 else "ok") for i in range(12))
    playback = Playback(
        position_ns=3,
        duration_ns=626_000_000_000,
        speed=4.0,
        playing=False,
        backwards=True,
        shortened=True,
        cells=ends,
        markers=(5, 99_000_000_000),
    )
    state = ui_events.folded(ui_events.Story(ui_events.sweep()).whole(), 70.0)
    return {
        "nothing": View(),
        "loading": _sweep(1.2),
        "warming": _sweep(58.0),
        "measuring": _sweep(61.0, gpus=0),
        "open end": _sweep(80.0, gpus=8, iterations=None),
        "done": done,
        "mixed": _mixed(),
        "many": _many(),
        "evil": _evil(),
        "replay": build_view(state, playback=playback),
        "no recording": build_view(state, banner=Banner("disk full")),
    }


NAMES = (
    "nothing", "loading", "warming", "measuring", "open end", "done", "mixed", "many", "evil",
    "replay", "no recording",
)  # fmt: skip


def panels(view: View, width: int, height: int, g: Glyphs, *, boxed: bool) -> dict[str, list[Row]]:
    """Return the rows of every panel, as the widget would draw them."""
    area = Area(width, height, g, boxed=boxed)
    focused = replace(area, focused=height % 2 == 1)
    playback = view.playback or Playback(0, 0)
    drawn = {
        "header": header.render_header(view, width, g),
        "rail": progress_rail.render_rail(view.rail, view.banner, width, g),
        "footer": footer_keys.render_footer(KEYS, width, g),
        "transport": transport.render_transport(playback, Area(width, min(2, height), g)),
        "hero": hero.render_hero(view.hero, area),
        "machine": machine.render_machine(view.machine, focused),
        "cells": cells.render_cells(view.cells, view.running, focused, cursor=height % 7),
        "tradeoffs": render.render_tradeoffs(
            render.TradeoffsSelection(
                view.tradeoffs, height % 3, height % 2, zoomed=width % 2 == 0
            ),
            area,
        ),
        "log": log.render_log(view.log, focused, skip=height % 3),
        "card": compact.render_compact(view, KEYS, Area(width, height, g)),
    }
    return {name: [merge_spans(row, width) for row in rows] for name, rows in drawn.items()}


@pytest.mark.fault(33)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "size", [(80, 24), (120, 40), (160, 45), (200, 60), (40, 10), (8, 3), (1, 1)]
)
def test_every_panel_fills_its_rows(name: str, mode: GlyphMode, size: tuple[int, int]) -> None:
    for boxed in (False, True):
        check_rows(panels(views()[name], *size, Glyphs(mode), boxed=boxed), *size)


@pytest.mark.fault(33)
@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(NAMES),
    st.sampled_from(MODES),
    st.integers(1, 230),
    st.integers(1, 70),
    st.booleans(),
)
def test_every_panel_at_any_size(
    name: str, mode: GlyphMode, width: int, height: int, boxed: bool
) -> None:
    check_rows(panels(views()[name], width, height, Glyphs(mode), boxed=boxed), width, height)


@pytest.mark.fault(18)
@pytest.mark.fault(19)
@given(st.text(max_size=60))
def test_foreign_text_is_inert_and_keeps_its_columns(text: str) -> None:
    cleaned = clean(text)
    assert all(c.isprintable() for c in cleaned)
    assert clean(cleaned) == cleaned
    assert cell_len(fit(text, 20)) == 20
    assert cell_len("".join(t for t, _ in crop([(text, "text"), (text, "bad")], 30))) == 30


FIELDS = st.one_of(
    st.text("ab 0123456789.,%x±⣿━…", max_size=12),
    st.sampled_from(["p99 after 662", "[9.99, 69.1] 95 %", "✓ done", "±8.1 %", "~0.4 GiB", "3:34"]),
)


@example(["00.0b", "00"], 6)
@given(st.lists(FIELDS, max_size=5), st.integers(1, 40))
def test_a_row_that_loses_text_ends_in_a_mark_and_not_in_half_a_number(
    fields: list[str], width: int
) -> None:
    whole = "".join(fields)
    kept = "".join(text for text, _ in crop([(field, "text") for field in fields], width))
    assert cell_len(kept) == width
    lost = whole[width:].strip(" ⣿━")
    if not lost:
        assert kept.rstrip() == whole[:width].rstrip()
        return
    kept = kept.rstrip()
    assert kept.endswith("…") and whole.startswith(kept[:-1])
    number = re.search(r"[0-9][0-9.,]*$", kept[:-1])
    if number is not None:
        assert re.match(re.escape(number[0]) + r"(?![0-9]|[.,][0-9]|%)", whole[number.start() :])


@pytest.mark.parametrize("mode", MODES)
def test_a_mark_is_drawn_in_the_glyphs_of_the_terminal(
    mode: GlyphMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glyphs, "_current", Glyphs(mode))
    row = crop([("p99 after ", "text"), ("662", "muted")], 12)
    assert "".join(text for text, _ in row).rstrip() == "p99 after" + Glyphs(mode)("…")


@pytest.mark.parametrize("width", range(6, 40))
def test_the_needs_of_percentiles_are_whole_or_marked(width: int) -> None:
    wanted = {"11", "64", "662"}
    for name in ("measuring", "warming", "open end"):
        view = views()[name].hero
        rows = [merge_spans(row, width) for row in [hero.render_itl(view, width, Glyphs())]]
        text = "".join(part for row in rows for part, _ in row)
        assert set(re.findall(r"after (\d+)", text)) <= wanted, text


@pytest.mark.fault(18)
@pytest.mark.fault(19)
def test_escapes_and_markup_stand_on_the_screen_as_text() -> None:
    drawn = panels(views()["evil"], 200, 60, Glyphs(), boxed=True)
    text = "\n".join(t for rows in drawn.values() for row in rows for t, _ in row)
    assert "\x1b" not in text and "\x9b" not in text and "‮" not in text
    assert "\\x1b]52" in text
    assert "[/][@click=app.quit]x[/]" in text


@pytest.mark.fault(34)
@pytest.mark.parametrize("name", NAMES)
def test_ascii_glyphs_are_ascii(name: str) -> None:
    drawn = panels(views()[name], 120, 40, Glyphs("ascii"), boxed=True)
    for panel, rows in drawn.items():
        for row in rows:
            for text, _ in row:
                plain = to_ascii(text)
                assert plain.isascii() and len(plain) == cell_len(text), (panel, text)
                assert "?" not in plain or name == "evil" or panel in ("footer", "card"), plain


def test_the_running_row_stays_third_from_the_top() -> None:
    assert compute_first_row(0, 12, 6) == 0
    assert compute_first_row(5, 12, 6) == 3
    assert compute_first_row(11, 12, 6) == 6
    assert compute_first_row(2, 3, 6) == 0


def test_columns_for_knobs_that_vary() -> None:
    rows = views()["mixed"].cells
    assert ("length", 5) in cells.choose_columns(rows, 116).extra
    assert cells.choose_columns(views()["measuring"].cells, 78).extra == ()


def test_digits_keep_to_their_field() -> None:
    for text in ("0.52", "9.99", "27.1", "88.8", "312", "—", "…"):
        for row in big_digits.draw_digits(text, Glyphs()):
            assert len(row) <= big_digits.DIGITS_WIDTH, text
        assert len(big_digits.draw_digits(text, Glyphs(), doubled=True)) == 6
    assert big_digits.draw_digits("312", Glyphs("ascii"))[1] == "312"
    assert big_digits.draw_digits("…", Glyphs()) == ["…", "", ""]


@pytest.mark.parametrize("doubled", [False, True])
@pytest.mark.parametrize("text", ["0.736", "0.0624", "0.00133"])
def test_digits_of_a_number_below_one_are_whole_or_plain(text: str, doubled: bool) -> None:
    g = Glyphs()
    rows, field = big_digits.draw_field(text, g, 110, doubled)
    assert rows == big_digits.draw_digits(text, g, doubled)
    assert all(len(row) < field - 1 for row in rows)
    plain, usual = big_digits.draw_field(text, g, 40, doubled)
    assert "".join(plain) == text and len(plain) == len(rows)
    assert usual == big_digits.draw_field("312", g, 40, doubled)[1]


def test_a_line_is_full_before_the_next_one_begins() -> None:
    assert wrap("aaa bbb ccc", 7, 3) == ["aaa bbb", "ccc"]
    assert wrap("aaa bbbbb ccc", 7, 3) == ["aaa", "bbbbb", "ccc"]
    assert wrap("aaaaaaaaa bbb", 7, 3) == ["aaaaaaa", "aa bbb"]
    assert wrap("aaa bbb ccc", 3, 2) == ["aaa", "bb…"]


def test_neighbours_of_one_role_are_one_span() -> None:
    cells = [("a", "text"), ("b", "text"), (" ", "muted"), ("c", "muted"), ("d", "text")]
    assert merge_cells(cells) == [("ab ", "text"), ("c", "muted"), ("d", "text")]


def test_a_filled_spark_starts_at_zero_and_leaves_holes() -> None:
    g = Glyphs()
    assert charts.draw_area([0.0, 100.0], 1, 1, 100.0, g) == ["⣸"]
    assert charts.draw_area([None, None], 1, 1, 100.0, g) == [" "]
    assert charts.draw_area([100.0, 100.0], 2, 1, 100.0, g) == [" ⣿"]


def test_a_dotted_spark_is_zoomed() -> None:
    near = charts.draw_dotted([100.0, 101.0, 99.0, 100.5], 4, Glyphs())
    assert len(near) == 4
    assert charts.compute_zoom_range([100.0, 101.0, 99.0]) == pytest.approx((90.0, 110.0))
    assert charts.compute_zoom_range([10.0, 100.0, 1000.0]) == (0.0, 1000.0)


@pytest.mark.parametrize("width", [1, 2, 9, 40, 80])
def test_the_rail_shows_every_number_of_cells(width: int) -> None:
    many = views()["many"]
    row = merge_spans(progress_rail.render_rail(many.rail, None, width, Glyphs())[0], width)
    assert cell_len("".join(t for t, _ in row)) == width


def test_a_column_that_says_nothing_gives_way_to_a_knob_that_varies() -> None:
    same = views()["measuring"].cells[0]
    kernels = ("eager", "sdpa:math", "flash_attention_2")
    rows = [replace(same, attention=k, length=n) for k in kernels for n in (16, 64)]
    shape = cells.choose_columns(rows, 78)
    assert shape.extra == (("length", 5), ("attention", 7))
    assert (shape.model, shape.precision, shape.batch) == (0, 5, 6)
    wide = cells.choose_columns(rows, 116)
    assert (wide.precision, wide.batch) == (5, 6)
    lines = cells.render_cells(rows, None, Area(80, 12, Glyphs()))
    columns = ["".join(text for text, _ in line).split() for line in lines]
    assert columns[1][:4] == ["prec", "batch", "len", "attn"]
    assert [line[4] for line in columns[2:8]] == ["eager", "eager", "math", "math", "fa2", "fa2"]


def test_columns_are_as_wide_as_their_content_while_there_is_room() -> None:
    row = replace(views()["measuring"].cells[0], badges=("not checked",))
    small, large = "bert_uncased_L-2_H-128", "bert_uncased_L-12_H-768"
    rows = [replace(row, model=m, precision="int8:torch-dynamic") for m in (small, large)]
    for width, boxed in ((80, False), (120, True), (200, True)):
        area = Area(width, 6, Glyphs(), boxed)
        lines = ["".join(text for text, _ in line) for line in cells.render_cells(rows, 0, area)]
        assert "…L-2_H-128 " in lines[2] and "…L-12_H-768 " in lines[3], width
        assert ("int8:torch-dynamic" in lines[2]) == ("batch" in lines[1]) == boxed


def test_a_name_is_not_cut_for_a_note_that_will_not_come() -> None:
    row = replace(views()["measuring"].cells[0], precision="gptq:int4-g64", note="", state="done")
    rows = [replace(row, badges=(), ratio=""), replace(row, batch=64, badges=(), ratio="")]
    area = Area(72, 6, Glyphs())
    assert all("gptq:int4-g64" in line for line in lines(cells.render_cells(rows, 0, area))[2:4])
    waits = [replace(row, state="waiting") for row in rows]
    shape = cells.choose_columns(waits, 72)
    assert shape.note >= cells.MIN_NOTE_WIDTH


def test_half_an_interval_has_one_form() -> None:
    row = replace(views()["measuring"].cells[0], half="±123 %")
    for mode, half in (("braille", "±123 %"), ("ascii", "+-123 %")):
        area = Area(80, 4, Glyphs(mode))  # type: ignore[arg-type]
        line = "".join(text for text, _ in cells.render_cells([row], 0, area)[2])
        assert f" {half} " in line
    assert all(
        cell.half == "" or re.fullmatch(r"±\d+(\.\d)? %", cell.half)
        for view in views().values()
        for cell in view.cells
    )


@pytest.mark.parametrize(
    ("text", "width", "left"),
    [
        ("bert-base-uncased", 12, "bert-base…"),
        ("SmolLM2-135M-Instruct", 18, "SmolLM2-135M…"),
        ("int8:torch-dynamic", 8, "int8…"),
        ("done, 11 iterations measured", 12, "done…"),
        ("limit 2500 ms, 1.07x", 13, "limit…"),
        ("p99 after 662 (27 so far)", 21, "p99 after 662…"),
        ("x [a name of many words]", 20, "x [a name of many…"),
        ("9.71x today's default [9.608, 9.812]", 32, "9.71x today's default…"),
        ("batch 32", 7, "batch…"),
        ("27.1 tok/s", 3, "…"),
        ("a/b (rest of it)", 7, "a/b…"),
        ("unbreakable", 8, "unbreak…"),
        ("…Instruct", 8, "…Instru…"),
        ("模型名模型名", 5, "模型…"),
    ],
)
def test_a_cut_ends_with_a_word_or_a_part_of_a_name(text: str, width: int, left: str) -> None:
    assert cut(text, width, "…") == left


@pytest.mark.parametrize(
    ("text", "width", "left"),
    [
        ("10 slower, 2 over the limit, 2 does not fit", 34, "10 slower, 2 over the limit…"),
        (
            "needs 4.6 GiB, 4.0 GiB asked for · 1 other reason",
            40,
            "needs 4.6 GiB, 4.0 GiB asked for…",
        ),
        ("E2E p90 2,570 ms, limit 2500 ms", 25, "E2E p90 2,570 ms…"),
        ("p90 after 64, p99 after 662 (27 so far)", 32, "p90 after 64, p99 after 662…"),
        ("a reason of one part", 12, "a reason of…"),
    ],
)
def test_a_text_of_several_parts_ends_with_a_whole_one(text: str, width: int, left: str) -> None:
    assert cut_parts(text, width, "…") == left


def test_a_short_subtitle_is_kept_whole_and_the_title_gives_way() -> None:
    title = "SmolLM2-135M-Instruct · fp32 · batch 1 · dynamic cache"
    for boxed in (True, False):
        area = Area(67, 3, Glyphs(), boxed)
        heading = lines(draw_frame(title, [("cell 1", "text"), ("/12", "muted")], [], area))[0]
        assert "cell 1/12" in heading and "SmolLM2-135M-Instruct · fp32 · batch 1" in heading


@pytest.mark.parametrize("width", [78, 116])
def test_a_reference_in_doubt_is_still_called_that_and_not_compared(width: int) -> None:
    row = replace(views()["measuring"].cells[0], state="done", note="only 5 samples", ratio="1.00x")
    row = replace(row, badges=("reference",), is_reference=True)
    line = lines(cells.render_cells([row], None, Area(width, 4, Glyphs())))[2]
    assert "5 samples" in line and "1.00x" not in line
    assert (" · ref" in line) == (width > 100)


def test_only_changed_columns_are_named() -> None:
    before: Row = [("TTFT ", "muted"), ("41.0", "bold"), (" ms", "muted")]
    after: Row = [("TTFT ", "muted"), ("41.7", "bold"), (" ms", "muted")]
    assert find_changed_columns(before, after) == (8, 9)
    assert find_changed_columns(before, before) is None
    assert find_changed_columns([("模a", "text")], [("模b", "text")]) == (2, 3)


def test_the_footer_keeps_help_and_quit() -> None:
    row = footer_keys.render_footer(
        [("x", "a long thing to do"), ("?", "help"), ("q", "quit")], 20, Glyphs()
    )[0]
    assert "".join(t for t, _ in row).split() == ["?", "help", "q", "quit"]


def test_a_trouble_with_the_recording_takes_the_rail() -> None:
    view = views()["no recording"]
    row = progress_rail.render_rail(view.rail, view.banner, 80, Glyphs())[0]
    assert row[1] == ("▲ disk full", "bad.bold")


@pytest.mark.parametrize(
    ("badge", "shortest"),
    [("✓ lossless-like", "✓"), ("≈ minor", "≈"), ("not checked", "?"), ("random weights", "?"),
     ("weights missing", "?"), ("INVALID", "INVALID")],
)  # fmt: skip
def test_the_shortest_form_of_a_badge_says_nothing_else(badge: str, shortest: str) -> None:
    assert shorten_badge(badge) == shortest
