"""The detail of a cell: its figures are the export's, its marks stand where they belong."""

from __future__ import annotations

import shlex
from dataclasses import replace
from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from support import ui_events
from support.cell_details import BUNDLED, S, events_of, exported, of, plan, recorded, story
from support.panels import EVIL, MODES, G
from support.screen_text import lines as text
from txtop.analysis.metrics import FinalMetrics
from txtop.export.json import build_export
from txtop.forecast import memory
from txtop.models import model_config
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import GlyphMode, Glyphs
from txtop.ui.drawing.spans import Row, clean, measure_row, merge_spans, to_ascii
from txtop.ui.models import cells
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.cell_detail.detail import CellDetailView, LoadPhasesView, build_cell_detail
from txtop.ui.models.cell_detail.metrics import METRIC_LABELS
from txtop.ui.models.loading import find_expected_family
from txtop.ui.models.view import build_view
from txtop.ui.panels.cell_detail import facts, load_phases
from txtop.ui.panels.cell_detail import render as panels

# Figures


@pytest.mark.parametrize("name", BUNDLED)
def test_figures_are_those_of_the_export(name: str) -> None:
    for cell in exported(name):
        detail = of(recorded(name), cell.id)
        named = {"E2E" if f.label == "forward" else f.label: f for f in detail.metrics}
        for metric, label in METRIC_LABELS.items():
            wanted = cell.metrics.get(metric)
            if wanted is None:
                continue
            got = named.pop(label)
            stated = (got.mean, got.ci95, got.unit)
            assert stated == (wanted.mean, wanted.ci95, wanted.unit), (cell.id, metric)
            percentiles = dict(got.percentiles)
            assert [percentiles[p] for p in (50, 90, 99)] == [wanted.p50, wanted.p90, wanted.p99]
        assert not named


@pytest.mark.parametrize("name", BUNDLED)
def test_strip_and_histogram_are_of_the_same_iterations_as_the_export(name: str) -> None:
    for cell in exported(name):
        detail = of(recorded(name), cell.id)
        e2e = cell.metrics["e2e_ms"]
        assert (detail.iterations.counted, detail.iterations.mean, detail.iterations.ci95) == (
            e2e.n, e2e.mean, e2e.ci95,
        )  # fmt: skip
        counted = detail.iterations.count("measured") + detail.iterations.count("outlier")
        assert counted == e2e.n
        noted = [note for note in e2e.notes if "outlier" in note]
        assert detail.iterations.count("outlier") == (int(noted[0].split()[0]) if noted else 0)
        spread = cell.metrics.get("itl_ms", e2e)
        assert detail.histogram.n == spread.n
        assert [mark.value for mark in detail.histogram.marks] == [
            spread.p50,
            spread.p90,
            spread.p99,
        ]


def test_a_percentile_is_stated_from_as_many_iterations_as_it_needs() -> None:
    state = story(plan(iterations=80))
    wanted = build_export(state, FinalMetrics()).cells[0].metrics
    for figure in of(state).metrics:
        name = next(name for name, label in METRIC_LABELS.items() if label == figure.label)
        summary = wanted[name]
        assert dict(figure.percentiles) == {50: summary.p50, 90: summary.p90, 99: None}
        assert summary.p90 is not None and summary.p99 is None
    rows = text(facts.render_metrics(of(state).metrics, 76, G))
    assert all("after 662" in row for row in rows[1:])


def test_figures_of_a_cell_that_runs() -> None:
    detail = of(story(plan(), until=12))
    tokens = detail.metrics[0]
    assert (tokens.label, detail.iterations.counted) == ("tok/s", 8)
    assert tokens.mean is not None and tokens.ci95 is not None
    assert dict(tokens.percentiles) == {50: None, 90: None, 99: None}
    assert "after 11" in "\n".join(text(facts.render_metrics(detail.metrics, 76, G)))


# The load


@given(st.lists(st.floats(0, 1000), max_size=9), st.integers(0, 200))
def test_the_pieces_of_a_load_fill_its_bar(shares: list[float], width: int) -> None:
    widths = load_phases.apportion_width(shares, width)
    whole = sum(shares)
    assert sum(widths) == (width if whole > 0 else 0)
    for columns, share in zip(widths, shares, strict=True):
        assert whole <= 0 or abs(columns - share / whole * width) < 1


def test_a_load_has_its_phases_and_says_whose_it_was() -> None:
    loading = of(recorded("gpt2-precisions"), "c001").loading
    rows = load_phases.render_load_phases(loading, 60, G)
    assert measure_row(rows[0]) == 60
    assert "import 6.16 s" in text(rows)[1] and "weights 0.79 s" in text(rows)[1]
    assert not loading.shared and of(recorded("bert-lengths"), "c002").loading.shared
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
    detail = of(fold_all(made))
    assert text(load_phases.render_load_phases(detail.loading, 60, G)) == [
        "load 3.0 MiB of 9.0 MiB"
    ]
    assert detail.iterations.lead_s == 2.0 and detail.iterations.values == ()


# Words


def words(detail: CellDetailView) -> dict[str, str]:
    return {item.label: item.text for group in detail.groups for item in group.said}


def test_ranks_have_their_memory_and_what_a_step_spends_between_them() -> None:
    asked = plan(parallel="tp=2", model="Llama-3.2-1B")
    made = events_of(asked)
    for event in made:
        if isinstance(event, events.ModelLoaded):
            event.ranks = 2
        if isinstance(event, events.Memory):
            event.parts = [events.PartMemory(host_bytes=3 << 30)]
    alone = words(of(fold_all(made)))
    assert alone["parallel"] == "tp=2, communication not measured"
    step = events.DevicePhase(
        steps=1, host_ns=100, busy_ns=90, kernels=1.0, launches=1.0, communication_ns=30
    )
    timed = events.DeviceTime(t_ns=made[-1].t_ns, cell="c1", prefill=step, decode=step)
    on_gpu = words(of(fold_all([*made, timed])))["parallel"]
    assert on_gpu == "tp=2, communication 30 % of the prefill and 30 % of a decode step"
    at = next(i for i, event in enumerate(made) if isinstance(event, events.Iteration))
    t_ns = made[at].t_ns
    made.insert(at, events.Kernels(t_ns=t_ns, cell="c1", communication=[0.25, 0.6]))
    state = fold_all(made)
    texts = words(of(state))
    assert texts["parallel"] == "tp=2, communication 25 % of the prefill and 60 % of a decode step"
    assert texts["peak memory"].endswith("rank 1 3.0 GiB")
    (cell,) = build_export(state, FinalMetrics()).cells
    ranks = cell.ranks
    assert not isinstance(ranks, msgspec.UnsetType)
    assert (ranks.count, ranks.communication) == (2, [0.25, 0.6])
    assert [part.host_bytes for part in ranks.memory] == [3 << 30]


def test_the_configuration_in_full() -> None:
    texts = words(of(recorded("gpt2-precisions"), "c001"))
    assert texts["weights"].startswith(
        "random: built-in configuration gpt2, 124 M parameters, 474.7"
    )
    assert texts["lengths"] == "32 tokens in, 16 out"
    assert texts["iterations"] == "24 counted of 37: 1 first, 3 warm-up, 9 before steady"
    assert texts["variation"] == "CV 4.7 %, excellent"
    assert texts["stopped by"] == "budget" and texts["peak memory"] == "host 0.9 GiB, forecast 0 %"
    assert "torch 2.13.0+cpu" in texts["versions"]
    assert texts["device"] == "cpu, AMD EPYC, 1 thread"


def test_a_share_of_converted_weights_and_the_kernels_that_ran() -> None:
    made = events_of(plan(precision="int8"))
    for event in made:
        if isinstance(event, events.ModelLoaded):
            event.recipe, event.converted_share = "int8:weight-only", 0.31
    load = next(i for i, e in enumerate(made) if isinstance(e, events.ModelLoaded))
    made.insert(
        load + 1, events.Kernels(t_ns=made[load].t_ns, cell="c1", prefill="flash", decode="math")
    )
    texts = words(of(fold_all(made)))
    assert texts["precision"] == "int8, int8:weight-only, 31 % of matrix weights converted"
    assert texts["attention"] == "sdpa (flash kernel in prefill, math in decode)"


@pytest.mark.parametrize(
    ("precision", "recipe", "scheme", "text"),
    [
        ("gptq:int4-g64", "stored as gptq:int4-g64", "gptq:int4-g64",
         "gptq:int4-g64, as stored, 79 % of matrix weights"),
        ("gptq:int4-g64/torch", "stored as gptq:int4-g64", "gptq:int4-g64",
         "gptq:int4-g64/torch, stored as gptq:int4-g64, 79 % of matrix weights"),
        ("bnb:nf4", "converted at load: bnb:nf4", "",
         "bnb:nf4, converted at load, 79 % of matrix weights"),
        ("int8:weight-only", "int8:weight-only", "",
         "int8:weight-only, 79 % of matrix weights converted"),
    ],
)  # fmt: skip
def test_a_precision_is_named_once(precision: str, recipe: str, scheme: str, text: str) -> None:
    made = events_of(plan(precision=precision))
    for event in made:
        if isinstance(event, events.ModelLoaded):
            event.recipe, event.converted_share, event.scheme = recipe, 0.79, scheme
    assert words(of(fold_all(made)))["precision"] == text


def test_a_title_without_room_is_what_tells_the_cell_apart() -> None:
    view = of(fold_all(events_of(plan())))
    view = replace(view, hero=replace(view.hero, title="m" * 60, short_title="int4 cache"))
    for width, title in ((66, "int4 cache"), (120, "m" * 60)):
        top = panels.render_iterations_panel(view, Area(width, 20, Glyphs(), boxed=True))[0]
        assert title in "".join(text for text, _ in top)


def test_a_failed_cell_says_why_and_its_last_words() -> None:
    asked = plan()
    begun = list(ui_events.Story(asked).started(asked.cells[0]))
    ending = events.CellFinished(
        t_ns=9 * S, cell="c1", status="oom", phase="load", reason="no room", hint="bf16",
        exit_code=-9, wanted_bytes=3 << 30, stderr=["first", EVIL],
    )  # fmt: skip
    detail = of(fold_all([ui_events.header(asked), *begun, ending]))
    assert detail.groups[0].title == "failure"
    assert [(s.label, s.text) for s in detail.groups[0].said] == [
        ("state", "oom@load"), ("reason", "no room"), ("hint", "bf16"), ("wanted", "3.0 GiB"),
        ("exit code", "-9"), ("stderr", "first"), ("", EVIL),
    ]  # fmt: skip
    rows = panels.build_column_rows(detail, Area(80, 21, G))
    assert any("no iteration was made" in row for row in text(rows))
    assert any("oom@load" in row for row in text(rows[:4]))


def test_discarded_blocks_say_which_and_why() -> None:
    texts = words(of(story(plan(), discarded=(6, 3))))
    assert texts["blocks"] == "7 to 9 discarded: thermal"
    assert texts["iterations"] == "17 counted of 24: 1 first, 3 warm-up, 3 discarded"


def test_a_cell_that_waits_is_shown_too() -> None:
    state = fold_all([ui_events.header(ui_events.sweep())])
    detail = of(state, "c002")
    assert (detail.place, detail.count, detail.metrics, detail.traces) == (2, 12, (), ())
    assert words(detail)["weights"] == "auto"
    assert words(detail)["memory"].startswith("about 1.1 GiB: process 0.4, weights 0.5")
    assert "no iteration yet" in "".join(text(panels.build_column_rows(detail, Area(80, 21, G))))
    assert build_cell_detail(state, "nobody", FrameCache()) is None


def test_what_was_expected_of_a_cell_is_read_from_the_recording_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    header = ui_events.header(ui_events.sweep())
    mib = 1 << 20
    header.expected = {
        "c002": events.Expected(
            family="encoder", memory=(400 * mib, 2048 * mib, 500 * mib, 100 * mib, 0)
        )
    }

    def look_here(model: str) -> None:
        raise AssertionError("a reader looked for the model on its machine")

    for module in (model_config, memory):
        monkeypatch.setattr(module, "find_config", look_here)
    state, cache = fold_all([header]), FrameCache()
    assert words(of(state, "c002"))["memory"].startswith("about 3.0 GiB: process 0.4, weights 2.0")
    assert find_expected_family(state, state.cells["c002"], cache) == "encoder"
    assert "memory" not in words(of(state, "c003"))
    rows = [
        cells.build_cell_row(state, state.cells[name], None, cache) for name in ("c002", "c003")
    ]
    assert [row.gib for row in rows] == ["~3.0", ""]


@pytest.mark.parametrize("width", [24, 46, 80, 300])
def test_the_command_runs_as_it_is_copied(width: int) -> None:
    line = (
        "txtop run --models 'my models/x' --precisions bf16 --threads 2 --weights random"
        " --allow-pickles --iterations 20"
    )
    rows = text(facts.render_reproduce_command(line, width, G))
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
    detail, area = shapes()[name], Area(width, height, g, boxed=boxed)
    for part in (
        panels.render_iterations_panel,
        panels.render_histogram_panel,
        panels.render_load_panel,
    ):
        _exact(part(detail, area), width, height)
    rows = panels.build_column_rows(detail, area)
    last = panels.compute_max_skip(rows, area)
    _exact(
        panels.render_column(rows, min(skip, last), area),
        width,
        height,
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
    rows = panels.build_column_rows(shapes()["evil"], Area(200, 60, G, boxed=True))
    screen = "\n".join(clean(part) for row in rows for part, _ in row)
    assert "\\x1b]52" in screen and "[/][@click=app.quit]x[/]" in screen
    assert not any(c in screen for c in "\x1b\x9b\u202e\u200b")


@pytest.mark.fault(34)
@pytest.mark.parametrize("name", [name for name in NAMES if name != "evil"])
def test_everything_can_be_said_in_ascii(name: str) -> None:
    g, detail = Glyphs("ascii"), shapes()[name]
    parts = [
        part(detail, Area(100, 30, g, boxed=True))
        for part in (panels.render_iterations_panel, panels.render_histogram_panel)
    ]
    rows = [*parts[0], *parts[1], *panels.build_column_rows(detail, Area(100, 30, g))]
    for row in rows:
        for part, _ in row:
            assert "?" not in to_ascii(part) and to_ascii(part).isascii()


# In a view


def test_a_frame_holds_a_detail_only_where_one_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    state, made = story(plan()), []
    usual = build_cell_detail

    def noted(session: SessionState, name: str, cache: FrameCache) -> CellDetailView | None:
        made.append(name)
        return usual(session, name, cache)

    monkeypatch.setattr("txtop.ui.models.view.build_cell_detail", noted)
    assert build_view(state).detail is None and made == []
    assert build_view(state, opened="c1").detail is not None and made == ["c1"]


def test_parts_are_made_anew_only_when_there_is_something_new() -> None:
    state, cache = story(plan(), until=9), FrameCache()
    first, again = build_cell_detail(state, "c1", cache), build_cell_detail(state, "c1", cache)
    assert first is not None and again is not None
    assert first.iterations is again.iterations and first.histogram is again.histogram
    assert first.traces is again.traces and first.metrics is again.metrics
    for event in ui_events.Story(plan()).iteration(state.plan.cells[0], 9):
        fold(state, event)
    later = build_cell_detail(state, "c1", cache)
    assert later is not None and len(later.iterations.values) == len(first.iterations.values) + 1
