"""The iterations of a cell, each at its place, and the machine under them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import ui_events
from support.cell_details import S, events_of, of, plan, recorded, story
from support.panels import G
from support.screen_text import lines as text
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState
from txtop.ui.drawing.area import Area
from txtop.ui.models.cell_detail.iterations import (
    IterationKind,
    IterationsView,
    classify_iterations,
    compute_scale,
)
from txtop.ui.models.cell_detail.telemetry import LEAD_BINS, compute_trace_bins
from txtop.ui.panels.cell_detail.iteration_axis import IterationAxis
from txtop.ui.panels.cell_detail.iterations import LEFT_WIDTH, RIGHT_WIDTH, render_iterations

# Iterations


def test_every_iteration_counts_as_something() -> None:
    view = of(story(plan(), slow=(10, 17), discarded=(6, 3))).iterations
    assert view.kinds[:4] == ("first", "warmup", "warmup", "warmup")
    assert [i for i, kind in enumerate(view.kinds) if kind == "outlier"] == [10, 17]
    assert [i for i, kind in enumerate(view.kinds) if kind == "discarded"] == [6, 7, 8]
    assert len(view.kinds) == len(view.values) == 24 and view.counted == 17


def test_what_a_changepoint_cuts_off_is_shown_as_that() -> None:
    state = recorded("gpt2-precisions").cells["c001"]
    kinds = classify_iterations(state, 9)
    assert kinds[:4] == ("first", "warmup", "warmup", "warmup")
    assert kinds[4:13] == ("dropped",) * 9
    assert set(kinds[13:]) <= {"measured", "outlier"}
    assert of(recorded("gpt2-precisions"), "c001").iterations.steady_from == 13


def test_another_warmup_cut_moves_what_counts() -> None:
    state = SessionState(warmup_cut=6)
    asked = plan()
    for event in [ui_events.header(asked), *ui_events.Story(asked).cell(asked.cells[0])]:
        fold(state, event)
    view = of(state).iterations
    assert view.kinds[:8] == ("first", *["warmup"] * 6, "measured")


def drawn(view: IterationsView, width: int = 80, height: int = 16) -> list[str]:
    return text(render_iterations(view, (), Area(width, height, G)))


def signs(rows: list[str], sign: str) -> list[tuple[int, int]]:
    """Columns of the plot, and rows, in which a sign stands."""
    return [
        (x - LEFT_WIDTH, y) for y, row in enumerate(rows) for x, c in enumerate(row) if c == sign
    ]


def test_marks_stand_over_their_iteration_at_their_height() -> None:
    view = of(story(plan(), slow=(10, 17), discarded=(6, 3))).iterations
    rows = drawn(view)
    axis = IterationAxis.of(view, 80 - LEFT_WIDTH - RIGHT_WIDTH)
    plot = rows[2:-2]
    assert "▲ 2 outliers" in rows[1] and "✗ 3 discarded" in rows[1]
    assert signs(plot, "▲") == [(axis.column(10), 0), (axis.column(17), 0)]
    assert [x for x, _ in signs(plot, "✗")] != [] and {x for x, _ in signs(plot, "✗")} == {
        axis.column(i) for i in (6, 7, 8)
    }
    assert [x for x, _ in signs(plot, "○")] == [axis.column(0)]
    shaded = {x for x, _ in signs(plot, "░")}
    assert shaded == set(range(axis.edge(0), axis.edge(4)))


def test_each_iteration_has_an_equal_part_of_the_axis() -> None:
    kinds_: tuple[IterationKind, ...] = (
        "first",
        "warmup",
        "discarded",
        "measured",
        "outlier",
        "measured",
    )
    view = IterationsView(values=(5.0,) * 6, kinds=kinds_, room=6, low=4.0, high=6.0)
    rows = drawn(view, LEFT_WIDTH + 60 + RIGHT_WIDTH)
    sign_at = {x: sign for sign in "○✗▲" for x, _ in signs(rows[1:-2], sign)}
    assert sign_at == {5: "○", 25: "✗", 45: "▲"}
    loaded = replace(view, lead_s=3.0)
    axis = IterationAxis.of(loaded, 64)
    assert (axis.lead, axis.body, axis.edge(0), axis.edge(6)) == (8, 56, 8, 64)


def test_a_point_stands_at_the_height_of_its_value() -> None:
    values = (100.0, 100.0, 100.0, 100.0, 98.0, 102.0)
    view = IterationsView(values=values, kinds=("measured",) * 6, room=6, low=98.0, high=102.0)
    rows = text(render_iterations(view, (), Area(40, 3 + 5, G)))[1:-2]
    heights = {}
    for y, row in enumerate(rows):
        for x, character in enumerate(row):
            if 0x2800 < ord(character) < 0x2900:
                heights[x] = y
    by_column = [heights[x] for x in sorted(heights)]
    assert by_column == [2, 2, 2, 2, 4, 0]


@pytest.mark.parametrize("height", [9, 12, 16, 30])
def test_the_mean_is_named_in_the_row_of_its_line(height: int) -> None:
    view = of(recorded("gpt2-precisions"), "c001").iterations
    rows = drawn(view, 80, height)
    (named,) = [row for row in rows if row.endswith("mean")] or [
        row for row in rows if "mean" in row
    ]
    assert "╌" in named and "├ mean" in named


def test_axis_is_shared_and_counts_iterations() -> None:
    detail = of(story(plan(), gpus=1))
    rows = text(render_iterations(detail.iterations, detail.traces, Area(100, 24, G)))
    ticks = next(row for row in rows if "1.50 s" in row)[LEFT_WIDTH:]
    axis = IterationAxis.of(detail.iterations, 100 - LEFT_WIDTH - RIGHT_WIDTH)
    assert ticks[axis.column(0)] == "1" and ticks.split()[2:] == ["1", "5", "10", "15", "20"]
    for number in (5, 10, 15, 20):
        assert ticks[axis.column(number - 1) :].startswith(str(number))
    assert [trace.label for trace in detail.traces] == ["GPU", "power", "temp", "clock", "CPU"]


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=50))
def test_the_scale_holds_what_is_usual(values: list[float]) -> None:
    low, high = compute_scale(values, None)
    assert low <= min(values) and max(values) <= high and low < high


# The machine


def test_what_was_read_stands_under_the_iteration_it_was_read_in() -> None:
    """The processor is busy in the fifth iteration alone."""
    asked = plan(iterations=6)
    made: list[AnyEvent] = [ui_events.header(asked)]
    busy: list[tuple[int, int]] = []
    for event in ui_events.Story(asked).cell(asked.cells[0]):
        if isinstance(event, events.Iteration) and event.index == 4:
            busy.append((event.t_ns - event.e2e_ns, event.t_ns))
        made.append(event)
    (low, high) = busy[0]
    for event in made:
        if isinstance(event, events.Telemetry):
            event.values["cpu_percent"] = 90.0 if low <= event.t_ns <= high else 10.0
    detail = of(fold_all(made))
    (cpu,) = [trace for trace in detail.traces if trace.label == "CPU"]
    parts = cpu.room // detail.iterations.room
    means = [[v for v in cpu.body[i * parts : (i + 1) * parts] if v is not None] for i in range(10)]
    assert [max(part) for part in means] == [10.0] * 4 + [90.0] + [90.0] + [10.0] * 4
    assert min(means[5]) == 10.0, "what was read last is held until the next reading"
    assert len(cpu.lead) == LEAD_BINS and set(cpu.lead) == {10.0}


def test_nothing_is_invented_where_nothing_was_read() -> None:
    made = [e for e in events_of(plan()) if not isinstance(e, events.Telemetry)]
    assert of(fold_all(made)).traces == ()
    silent = [e for e in events_of(plan()) if not isinstance(e, events.Telemetry) or e.t_ns < 4 * S]
    (cpu,) = of(fold_all(silent)).traces
    assert cpu.body[0] is not None and cpu.body[-1] is None


def test_bins_of_very_many_iterations_cover_them_all() -> None:
    state = story(plan(iterations=700))
    shape = compute_trace_bins(state, state.cells["c1"], 704)
    assert shape.room == 352 and len(shape.body) == 352
    assert shape.body[-1][1] == state.cells["c1"].samples.at_ns[-1]


def test_a_throttled_stretch_is_flagged() -> None:
    made = events_of(plan())
    for event in ui_events.Story(plan(), gpus=1).samples():
        if event.device != "host":  # type: ignore[union-attr]
            event.t_ns = 3 * S
            event.values["throttle_reasons"] = float(0x20)  # type: ignore[union-attr]
            made.insert(next(i for i, e in enumerate(made) if e.t_ns >= 3 * S), event)
    for event in made:
        if isinstance(event, events.ModelLoaded):
            event.device_id, event.device = ui_events.GPU, "cuda:0"
    detail = of(fold_all(made))
    slowed = [trace for trace in detail.traces if trace.flags]
    assert [trace.value for trace in slowed] == ["thermal"]
    assert "▲" in "".join(
        text(render_iterations(detail.iterations, detail.traces, Area(100, 24, G)))[-6:]
    )
