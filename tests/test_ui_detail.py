"""The detail of a cell: its figures are the export's, its marks stand where they belong."""

from __future__ import annotations

import shlex
from dataclasses import replace
from functools import cache

import pytest
import ui_events
from drawn import lines as text
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from txtop.analysis.metrics import FinalMetrics
from txtop.export.json import build_export
from txtop.export.schema import CellExport
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.resources import find_directory
from txtop.session.reader import read_all
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState
from txtop.ui.drawing.glyphs import GlyphMode, Glyphs
from txtop.ui.drawing.line_widget import merge_spans
from txtop.ui.drawing.spans import Row, clean, measure_row, to_ascii
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.cell_detail.detail import CellDetailView, LoadPhasesView, build_cell_detail
from txtop.ui.models.cell_detail.histogram import Bin, compute_bins, find_bin
from txtop.ui.models.cell_detail.iterations import (
    IterationKind,
    IterationsView,
    classify_iterations,
    compute_scale,
)
from txtop.ui.models.cell_detail.metrics import METRIC_LABELS
from txtop.ui.models.cell_detail.telemetry import LEAD_BINS, compute_trace_bins
from txtop.ui.models.view import build_view
from txtop.ui.panels.cell_detail import facts, histogram, load_phases
from txtop.ui.panels.cell_detail import iterations as strip
from txtop.ui.panels.cell_detail import render as panels
from txtop.ui.panels.cell_detail.iteration_axis import IterationAxis

G = Glyphs()
MODES: tuple[GlyphMode, ...] = ("braille", "blocks", "ascii")
BUNDLED = ("gpt2-precisions", "bert-lengths")
EVIL = "\x1b]52;c;aGk=\x07\x9b31m[/][@click=app.quit]x[/]‮abc​ 模型名 👩‍💻"
MS, S = ui_events.MS, ui_events.S


@cache
def recorded(name: str) -> SessionState:
    return fold_all(read_all(find_directory("sessions") / f"{name}.jsonl")[0])


@cache
def exported(name: str) -> list[CellExport]:
    return build_export(recorded(name), FinalMetrics()).cells


def plan(iterations: int = 20, **cell: object) -> Plan:
    made = Cell(id="c1", **{"model": "gpt2", **cell})  # type: ignore[arg-type]
    return Plan(cells=(made,), iterations=iterations, warmup=3)


def story(
    asked: Plan,
    *,
    slow: tuple[int, ...] = (),
    discarded: tuple[int, int] | None = None,
    gpus: int = 0,
    until: int | None = None,
) -> SessionState:
    """One cell, whose `slow` iterations take twice as long; up to iteration `until`."""
    made: list[AnyEvent] = [ui_events.header(asked)]
    for event in ui_events.Story(asked, gpus=gpus).cell(asked.cells[0]):
        if isinstance(event, events.Iteration):
            if event.index == until:
                break
            if event.index in slow:
                event.e2e_ns *= 2
        if isinstance(event, events.Memory) and discarded:
            first, count = discarded
            made.append(
                events.DisturbedBlock(
                    t_ns=event.t_ns, cell="c1", first=first, count=count, kept=False,
                    reasons=["thermal"],
                )
            )  # fmt: skip
        made.append(event)
    return fold_all(made)


def of(state: SessionState, name: str = "c1") -> CellDetailView:
    found = build_cell_detail(state, name, FrameCache())
    assert found is not None
    return found


# Figures


@pytest.mark.parametrize("name", BUNDLED)
def test_figures_are_those_of_the_export(name: str) -> None:
    for cell in exported(name):
        shown = of(recorded(name), cell.id)
        named = {"E2E" if f.label == "forward" else f.label: f for f in shown.figures}
        for metric, label in METRIC_LABELS.items():
            wanted = cell.metrics.get(metric)
            if wanted is None:
                continue
            got = named.pop(label)
            assert (got.n, got.mean, got.ci95, got.unit) == (
                wanted.n, wanted.mean, wanted.ci95, wanted.unit,
            ), (cell.id, metric)  # fmt: skip
            stated = dict(got.percentiles)
            assert [stated[p] for p in (50, 90, 99)] == [wanted.p50, wanted.p90, wanted.p99]
        assert not named


@pytest.mark.parametrize("name", BUNDLED)
def test_strip_and_histogram_are_of_the_same_iterations_as_the_export(name: str) -> None:
    for cell in exported(name):
        shown = of(recorded(name), cell.id)
        e2e = cell.metrics["e2e_ms"]
        assert (shown.strip.counted, shown.strip.mean, shown.strip.ci95) == (
            e2e.n, e2e.mean, e2e.ci95,
        )  # fmt: skip
        counted = shown.strip.count("measured") + shown.strip.count("outlier")
        assert counted == e2e.n
        noted = [note for note in e2e.notes if "outlier" in note]
        assert shown.strip.count("outlier") == (int(noted[0].split()[0]) if noted else 0)
        spread = cell.metrics.get("itl_ms", e2e)
        assert shown.spread.n == spread.n
        assert [mark.value for mark in shown.spread.marks] == [spread.p50, spread.p90, spread.p99]


def test_a_percentile_is_stated_from_as_many_iterations_as_it_needs() -> None:
    state = story(plan(iterations=80))
    wanted = build_export(state, FinalMetrics()).cells[0].metrics
    for figure in of(state).figures:
        name = next(name for name, label in METRIC_LABELS.items() if label == figure.label)
        found = wanted[name]
        assert dict(figure.percentiles) == {50: found.p50, 90: found.p90, 99: None}
        assert found.p90 is not None and found.p99 is None
    shown = text(facts.render_metrics(of(state).figures, 76, G))
    assert all("need 662" in row for row in shown[1:])


def test_figures_of_a_cell_that_runs() -> None:
    shown = of(story(plan(), until=12))
    tokens = shown.figures[0]
    assert (tokens.label, tokens.n, shown.strip.counted) == ("tok/s", 8, 8)
    assert tokens.mean is not None and tokens.ci95 is not None
    assert dict(tokens.percentiles) == {50: None, 90: None, 99: None}
    assert "need 11" in "\n".join(text(facts.render_metrics(shown.figures, 76, G)))


# Iterations


def test_every_iteration_counts_as_something() -> None:
    shown = of(story(plan(), slow=(10, 17), discarded=(6, 3))).strip
    assert shown.kinds[:4] == ("first", "warmup", "warmup", "warmup")
    assert [i for i, kind in enumerate(shown.kinds) if kind == "outlier"] == [10, 17]
    assert [i for i, kind in enumerate(shown.kinds) if kind == "discarded"] == [6, 7, 8]
    assert len(shown.kinds) == len(shown.values) == 24 and shown.counted == 17


def test_what_a_changepoint_cuts_off_is_shown_as_that() -> None:
    state = recorded("gpt2-precisions").cells["c001"]
    found = classify_iterations(state, 9)
    assert found[:4] == ("first", "warmup", "warmup", "warmup")
    assert found[4:13] == ("dropped",) * 9
    assert set(found[13:]) <= {"measured", "outlier"}
    assert of(recorded("gpt2-precisions"), "c001").strip.steady_from == 13


def test_another_warmup_cut_moves_what_counts() -> None:
    state = SessionState(warmup_cut=6)
    asked = plan()
    for event in [ui_events.header(asked), *ui_events.Story(asked).cell(asked.cells[0])]:
        fold(state, event)
    shown = of(state).strip
    assert shown.kinds[:8] == ("first", *["warmup"] * 6, "measured")


def drawn(shown: IterationsView, width: int = 80, height: int = 16) -> list[str]:
    return text(strip.render_iterations(shown, (), width, height, G))


def signs(rows: list[str], sign: str) -> list[tuple[int, int]]:
    """Columns of the plot, and rows, in which a sign stands."""
    return [
        (x - strip.LEFT_WIDTH, y)
        for y, row in enumerate(rows)
        for x, c in enumerate(row)
        if c == sign
    ]


def test_marks_stand_over_their_iteration_at_their_height() -> None:
    shown = of(story(plan(), slow=(10, 17), discarded=(6, 3))).strip
    rows = drawn(shown)
    axis = IterationAxis.of(shown, 80 - strip.LEFT_WIDTH - strip.RIGHT_WIDTH)
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
    shown = IterationsView(values=(5.0,) * 6, kinds=kinds_, room=6, low=4.0, high=6.0)
    rows = drawn(shown, strip.LEFT_WIDTH + 60 + strip.RIGHT_WIDTH)
    found = {x: sign for sign in "○✗▲" for x, _ in signs(rows[1:-2], sign)}
    assert found == {5: "○", 25: "✗", 45: "▲"}
    loaded = replace(shown, lead_s=3.0)
    axis = IterationAxis.of(loaded, 64)
    assert (axis.lead, axis.body, axis.edge(0), axis.edge(6)) == (8, 56, 8, 64)


def test_a_point_stands_at_the_height_of_its_value() -> None:
    values = (100.0, 100.0, 100.0, 100.0, 98.0, 102.0)
    shown = IterationsView(values=values, kinds=("measured",) * 6, room=6, low=98.0, high=102.0)
    rows = text(strip.render_iterations(shown, (), 40, 3 + 5, G))[1:-2]
    heights = {}
    for y, row in enumerate(rows):
        for x, character in enumerate(row):
            if 0x2800 < ord(character) < 0x2900:
                heights[x] = y
    by_column = [heights[x] for x in sorted(heights)]
    assert by_column == [2, 2, 2, 2, 4, 0]


@pytest.mark.parametrize("height", [9, 12, 16, 30])
def test_the_mean_is_named_in_the_row_of_its_line(height: int) -> None:
    shown = of(recorded("gpt2-precisions"), "c001").strip
    rows = drawn(shown, 80, height)
    (named,) = [row for row in rows if row.endswith("mean")] or [
        row for row in rows if "mean" in row
    ]
    assert "╌" in named and "├ mean" in named


def test_axis_is_shared_and_counts_iterations() -> None:
    shown = of(story(plan(), gpus=1))
    rows = text(strip.render_iterations(shown.strip, shown.traces, 100, 24, G))
    ticks = next(row for row in rows if "1.50 s" in row)[strip.LEFT_WIDTH :]
    axis = IterationAxis.of(shown.strip, 100 - strip.LEFT_WIDTH - strip.RIGHT_WIDTH)
    assert ticks[axis.column(0)] == "1" and ticks.split()[2:] == ["1", "5", "10", "15", "20"]
    for number in (5, 10, 15, 20):
        assert ticks[axis.column(number - 1) :].startswith(str(number))
    assert [trace.label for trace in shown.traces] == ["GPU", "power", "temp", "clock", "CPU"]


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
    shown = of(fold_all(made))
    (cpu,) = [trace for trace in shown.traces if trace.label == "CPU"]
    parts = cpu.room // shown.strip.room
    means = [[v for v in cpu.body[i * parts : (i + 1) * parts] if v is not None] for i in range(10)]
    assert [max(part) for part in means] == [10.0] * 4 + [90.0] + [90.0] + [10.0] * 4
    assert min(means[5]) == 10.0, "what was read last is held until the next reading"
    assert len(cpu.lead) == LEAD_BINS and set(cpu.lead) == {10.0}


def test_nothing_is_invented_where_nothing_was_read() -> None:
    made = [e for e in _events(plan()) if not isinstance(e, events.Telemetry)]
    assert of(fold_all(made)).traces == ()
    silent = [e for e in _events(plan()) if not isinstance(e, events.Telemetry) or e.t_ns < 4 * S]
    (cpu,) = of(fold_all(silent)).traces
    assert cpu.body[0] is not None and cpu.body[-1] is None


def _events(asked: Plan) -> list[AnyEvent]:
    return [ui_events.header(asked), *ui_events.Story(asked).cell(asked.cells[0])]


def test_bins_of_very_many_iterations_cover_them_all() -> None:
    state = story(plan(iterations=700))
    shape = compute_trace_bins(state, state.cells["c1"], 704)
    assert shape.room == 352 and len(shape.body) == 352
    assert shape.body[-1][1] == state.cells["c1"].samples.at_ns[-1]


def test_a_throttled_stretch_is_flagged() -> None:
    made = _events(plan())
    for event in ui_events.Story(plan(), gpus=1).samples():
        if event.device != "host":  # type: ignore[union-attr]
            event.t_ns = 3 * S
            event.values["throttle_reasons"] = float(0x20)  # type: ignore[union-attr]
            made.insert(next(i for i, e in enumerate(made) if e.t_ns >= 3 * S), event)
    for event in made:
        if isinstance(event, events.ModelLoaded):
            event.device_id, event.device = ui_events.GPU, "cuda:0"
    shown = of(fold_all(made))
    slowed = [trace for trace in shown.traces if trace.flags]
    assert [trace.value for trace in slowed] == ["thermal"]
    assert "▲" in "".join(text(strip.render_iterations(shown.strip, shown.traces, 100, 24, G))[-6:])


# The spread


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=200), st.integers(1, 30))
def test_a_histogram_holds_every_value_once(values: list[float], most: int) -> None:
    values.sort()
    rows = compute_bins(values, most)
    assert sum(row.count for row in rows) == len(values) and len(rows) <= most
    for row in rows:
        low, high = -1.0 if row.low is None else row.low, row.high or 1e99
        near = 1e-6 * (rows[0].high or 1.0) / len(rows)
        surely = sum(low + near <= v < high - near for v in values)
        assert surely <= row.count <= sum(low - near <= v < high + near for v in values)
    assert 0 <= find_bin(values[-1], rows) < len(rows)


def test_counts_of_the_drawn_histogram_add_up_to_the_gaps() -> None:
    shown = of(recorded("gpt2-precisions"), "c001").spread
    rows = text(histogram.render_histogram(shown, 64, 10, G))
    bars = str.maketrans("", "", "━·")
    counts = [row[9:].split("◂")[0].translate(bars).strip() for row in rows]
    assert sum(int(count or 0) for count in counts) == len(shown.values) == 15 * shown.n


def test_a_far_tail_does_not_flatten_the_rest() -> None:
    values = sorted([40.0 + i % 7 for i in range(200)] + [900.0])
    rows = compute_bins(values, 10)
    assert rows[-1].high is None and rows[-1].count == 1
    assert sum(row.count > 0 for row in rows) >= 7


def test_ranges_are_said_as_far_as_they_differ() -> None:
    for width in (0.001, 0.02, 0.25, 1.0, 2.5, 50.0):
        rows = [Bin(i * width, (i + 1) * width, 1) for i in range(4)]
        said = [histogram.format_bin_start(row, histogram.count_decimals(rows)) for row in rows]
        assert [float(each) for each in said] == pytest.approx([i * width for i in range(4)])


def test_percentiles_are_marked_in_their_row_or_say_what_they_need() -> None:
    shown = of(story(plan(iterations=80))).spread
    rows = text(histogram.render_histogram(shown, 64, 12, G))
    marked = [row for row in rows if "p50" in row]
    (p50, p90, p99) = (mark.value for mark in shown.marks)
    assert len(marked) == 1 and p50 is not None and p90 is not None and p99 is None
    assert float(marked[0].split()[0]) <= p50
    assert text([histogram.render_needed_samples(shown)]) == ["p99 need 662, have 80"]


def test_why_there_is_no_histogram() -> None:
    assert of(story(plan(new_tokens=1))).spread.why == "one new token has no gap"
    assert of(story(plan(), until=0)).spread.why == "nothing measured yet"
    encoder = of(recorded("bert-lengths"), "c001").spread
    assert encoder.title == "forward time" and encoder.why == ""


# The load


@given(st.lists(st.floats(0, 1000), max_size=9), st.integers(0, 200))
def test_the_pieces_of_a_load_fill_its_bar(shares: list[float], width: int) -> None:
    found = load_phases.apportion_width(shares, width)
    whole = sum(shares)
    assert sum(found) == (width if whole > 0 else 0)
    for columns, share in zip(found, shares, strict=True):
        assert whole <= 0 or abs(columns - share / whole * width) < 1


def test_a_load_has_its_phases_and_says_whose_it_was() -> None:
    shown = of(recorded("gpt2-precisions"), "c001").loading
    rows = load_phases.render_load_phases(shown, 60, G)
    assert measure_row(rows[0]) == 60
    assert "import 6.16" in text(rows)[1] and "weights 0.79" in text(rows)[1]
    assert not shown.shared and of(recorded("bert-lengths"), "c002").loading.shared
    kept = LoadPhasesView(2.0, (("import", 1.0), ("weights", 0.5)), shared=True)
    assert text([load_phases.render_load_time(kept, G)]) == ["shared 2.00 s"]
    assert "other 0.50" in text(load_phases.render_load_phases(kept, 60, G))[1]


def test_a_cell_that_loads_says_what_it_does() -> None:
    asked = plan()
    made: list[AnyEvent] = [
        ui_events.header(asked),
        events.CellStarted(t_ns=0, cell="c1", worker="w"),
        events.Phase(t_ns=S, cell="c1", name="weights"),
        events.Progress(t_ns=2 * S, cell="c1", what="load", done=3 << 20, total=9 << 20),
    ]
    shown = of(fold_all(made))
    assert text(load_phases.render_load_phases(shown.loading, 60, G)) == ["load 3.0 MiB of 9.0 MiB"]
    assert shown.strip.lead_s == 2.0 and shown.strip.values == ()


# Words


def words(shown: CellDetailView) -> dict[str, str]:
    return {said.label: said.text for group in shown.groups for said in group.said}


def test_the_configuration_in_full() -> None:
    said = words(of(recorded("gpt2-precisions"), "c001"))
    assert said["weights"].startswith(
        "random: built-in configuration gpt2, 124 M parameters, 474.7"
    )
    assert said["lengths"] == "32 tokens in, 16 out"
    assert said["iterations"] == "24 counted of 37: 1 first, 3 warm-up, 9 before steady"
    assert said["variation"] == "CV 4.7 %, excellent"
    assert said["stopped by"] == "budget" and said["peak memory"] == "host 0.9 GiB"
    assert "torch 2.13.0+cpu" in said["versions"]
    assert said["device"] == "cpu, AMD EPYC, 1 thread"


def test_a_share_of_converted_weights_and_the_kernels_that_ran() -> None:
    made = _events(plan(precision="int8"))
    for event in made:
        if isinstance(event, events.ModelLoaded):
            event.recipe, event.converted_share = "int8:weight-only", 0.31
    load = next(i for i, e in enumerate(made) if isinstance(e, events.ModelLoaded))
    made.insert(
        load + 1, events.Kernels(t_ns=made[load].t_ns, cell="c1", prefill="flash", decode="math")
    )
    said = words(of(fold_all(made)))
    assert said["precision"] == "int8, int8:weight-only, 31% of matrix-product weights converted"
    assert said["attention"] == "sdpa, ran flash in prefill, math in decode"


def test_a_failed_cell_says_why_and_its_last_words() -> None:
    asked = plan()
    begun = list(ui_events.Story(asked).started(asked.cells[0]))
    ending = events.CellFinished(
        t_ns=9 * S, cell="c1", status="oom", phase="load", reason="no room", hint="bf16",
        exit_code=-9, wanted_bytes=3 << 30, stderr=["first", EVIL],
    )  # fmt: skip
    shown = of(fold_all([ui_events.header(asked), *begun, ending]))
    assert shown.groups[0].title == "failure"
    assert [(s.label, s.text) for s in shown.groups[0].said] == [
        ("state", "oom@load"), ("reason", "no room"), ("hint", "bf16"), ("wanted", "3.0 GiB"),
        ("exit code", "-9"), ("stderr", "first"), ("", EVIL),
    ]  # fmt: skip
    rows = panels.build_column_rows(shown, 80, 21, G, boxed=False)
    assert any("no iteration was made" in row for row in text(rows))
    assert any("oom@load" in row for row in text(rows[:4]))


def test_discarded_blocks_say_which_and_why() -> None:
    said = words(of(story(plan(), discarded=(6, 3))))
    assert said["blocks"] == "7 to 9 discarded: thermal"
    assert said["iterations"] == "17 counted of 24: 1 first, 3 warm-up, 3 discarded"


def test_a_cell_that_waits_is_shown_too() -> None:
    state = fold_all([ui_events.header(ui_events.sweep())])
    shown = of(state, "c002")
    assert (shown.place, shown.count, shown.figures, shown.traces) == (2, 12, (), ())
    assert words(shown)["weights"].startswith("auto, about")
    assert "no iteration yet" in "".join(
        text(panels.build_column_rows(shown, 80, 21, G, boxed=False))
    )
    assert build_cell_detail(state, "nobody", FrameCache()) is None


@pytest.mark.parametrize("width", [24, 46, 80, 300])
def test_the_command_runs_as_it_is_copied(width: int) -> None:
    line = (
        "txtop run --models 'my models/x' --precisions bf16 --threads 2 --weights random"
        " --allow-pickles --iterations 20"
    )
    rows = text(facts.render_command(line, width, G))
    assert all(len(row) <= width for row in rows)
    assert shlex.split("\n".join(rows).replace("\\\n", " ")) == shlex.split(line)


# Every size


@cache
def shapes() -> dict[str, CellDetailView]:
    evil = Cell(id="c1", model=EVIL)
    made = Plan(cells=(evil,))
    begun = list(ui_events.Story(made).started(evil))
    for event in begun:
        if isinstance(event, events.ModelLoaded):
            event.phases = {EVIL: 1.0, "import": 0.5}
            event.notes, event.device_name, event.source = [EVIL], EVIL, EVIL
            event.versions = {EVIL: EVIL}
    ending = events.CellFinished(
        t_ns=9 * S, cell="c1", status="failed", phase=EVIL, reason=EVIL, hint=EVIL, stderr=[EVIL]
    )
    return {
        "done": of(story(plan(), slow=(9,), discarded=(6, 3), gpus=1)),
        "recorded": of(recorded("gpt2-precisions"), "c001"),
        "encoder": of(recorded("bert-lengths"), "c004"),
        "running": of(story(plan(), until=9)),
        "loading": of(story(plan(), until=0)),
        "waiting": of(fold_all([ui_events.header(plan())])),
        "many": of(story(plan(iterations=1500, new_tokens=2))),
        "evil": of(fold_all([ui_events.header(made), *begun, ending])),
    }


NAMES = ("done", "recorded", "encoder", "running", "loading", "waiting", "many", "evil")


def check(name: str, width: int, height: int, g: Glyphs, *, boxed: bool, skip: int = 0) -> None:
    shown = shapes()[name]
    for part in (
        panels.render_iterations_panel,
        panels.render_histogram_panel,
        panels.render_load_panel,
    ):
        _exact(part(shown, width, height, g, boxed=boxed), width, height)
    rows = panels.build_column_rows(shown, width, height, g, boxed=boxed)
    last = panels.compute_max_skip(rows, width, height, boxed=boxed)
    _exact(
        panels.render_column(rows, min(skip, last), width, height, g, boxed=boxed), width, height
    )


def _exact(rows: list[Row], width: int, height: int) -> None:
    assert len(rows) == height
    for row in rows:
        line = "".join(part for part, _ in merge_spans(row, width))
        assert cell_len(line) == width and line == clean(line)
        assert measure_row(row) == width


@pytest.mark.fault(33)
@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(NAMES),
    st.sampled_from(MODES),
    st.integers(1, 250),
    st.integers(1, 80),
    st.booleans(),
    st.integers(0, 90),
)
def test_every_part_at_any_size(
    name: str, mode: GlyphMode, width: int, height: int, boxed: bool, skip: int
) -> None:
    check(name, width, height, Glyphs(mode), boxed=boxed, skip=skip)


@pytest.mark.fault(33)
@pytest.mark.parametrize("name", NAMES)
def test_every_part_at_the_sizes_of_the_look(name: str) -> None:
    for width, height in ((1, 1), (2, 90), (40, 10), (80, 21), (68, 24), (52, 30), (114, 36)):
        for mode in MODES:
            for boxed in (False, True):
                check(name, width, height, Glyphs(mode), boxed=boxed)


@pytest.mark.fault(18)
@pytest.mark.fault(19)
def test_foreign_text_stands_there_as_text() -> None:
    rows = panels.build_column_rows(shapes()["evil"], 200, 60, G, boxed=True)
    shown = "\n".join(clean(part) for row in rows for part, _ in row)
    assert "\\x1b]52" in shown and "[/][@click=app.quit]x[/]" in shown
    assert not any(c in shown for c in "\x1b\x9b\u202e\u200b")


@pytest.mark.fault(34)
@pytest.mark.parametrize("name", [name for name in NAMES if name != "evil"])
def test_everything_can_be_said_in_ascii(name: str) -> None:
    g, shown = Glyphs("ascii"), shapes()[name]
    parts = [
        part(shown, 100, 30, g, boxed=True)
        for part in (panels.render_iterations_panel, panels.render_histogram_panel)
    ]
    rows = [*parts[0], *parts[1], *panels.build_column_rows(shown, 100, 30, g, boxed=False)]
    for row in rows:
        for part, _ in row:
            assert "?" not in to_ascii(part) and to_ascii(part).isascii()


# In a view


def test_a_frame_holds_a_detail_only_where_one_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    state, made = story(plan()), []
    usual = build_cell_detail

    def noted(session: SessionState, name: str, memo: FrameCache) -> CellDetailView | None:
        made.append(name)
        return usual(session, name, memo)

    monkeypatch.setattr("txtop.ui.models.view.detail", noted)
    assert build_view(state).detail is None and made == []
    assert build_view(state, opened="c1").detail is not None and made == ["c1"]


def test_parts_are_made_anew_only_when_there_is_something_new() -> None:
    state, memo = story(plan(), until=9), FrameCache()
    first, again = build_cell_detail(state, "c1", memo), build_cell_detail(state, "c1", memo)
    assert first is not None and again is not None
    assert first.strip is again.strip and first.spread is again.spread
    assert first.traces is again.traces and first.figures is again.figures
    for event in ui_events.Story(plan()).iteration(state.plan.cells[0], 9):
        fold(state, event)
    later = build_cell_detail(state, "c1", memo)
    assert later is not None and len(later.strip.values) == len(first.strip.values) + 1
