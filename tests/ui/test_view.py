"""The view of a session, from events alone."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from array import array

import pytest

from support import ui_events
from txtop import formatting, resources
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.session.reader import read_all
from txtop.state.fold import fold
from txtop.state.session import SessionState
from txtop.system.throttle import INVALIDATING_REASONS
from txtop.ui.models import hero_metrics
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.cells import build_cell_row
from txtop.ui.models.machine import describe_throttle, shorten_device_name
from txtop.ui.models.view import View, build_view, select_hero_cell

ONE = Plan(cells=(Cell(id="c1", model="gpt2", new_tokens=8),), iterations=12, warmup=2)
BERT = Plan(cells=(Cell(id="c1", model="bert-base-uncased"),), iterations=12)


def told(plan: Plan, iterations: int, *, tokens: int | None = None, gpus: int = 0) -> SessionState:
    """The first cell of `plan` after so many iterations, the last of them still open."""
    story = ui_events.Story(plan, gpus=gpus)
    state = ui_events.folded(iter([ui_events.header(plan), *story.started(plan.cells[0])]))
    for i in range(iterations):
        last = tokens if i == iterations - 1 else None
        for event in story.iteration(plan.cells[0], i, last):
            fold(state, event)
    return state


def test_nothing_is_drawn_from_nothing() -> None:
    view = build_view(SessionState())
    assert (view.count, view.hero.word, view.hero.value) == (0, "waiting", None)


def test_the_same_state_gives_the_same_view() -> None:
    state = told(ONE, 9)
    assert build_view(state) == build_view(state, cache=FrameCache())


def test_a_view_keeps_nothing_that_grows() -> None:
    def leaves(value: object) -> None:
        assert not isinstance(value, list | dict | array), value
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            for field in dataclasses.fields(value):
                leaves(getattr(value, field.name))
        elif isinstance(value, tuple):
            for item in value:
                leaves(item)

    leaves(build_view(told(ONE, 9, gpus=1)))


def test_a_long_cell_stays_a_short_view() -> None:
    plan = Plan(cells=BERT.cells, iterations=3000)
    view = build_view(told(plan, 2000))
    assert len(view.hero.chart.points) <= hero_metrics.MAX_BINS
    assert all(len(metric.spark) <= 2 * hero_metrics.SPARK_POINTS for metric in view.hero.rows)


@pytest.mark.parametrize(
    ("iterations", "word", "role"),
    [
        (0, "first iteration", "muted"),
        (2, "warming", "muted"),
        (6, "measuring", "muted"),
        (14, "STABLE", "accent-a"),
    ],
)
def test_doubt_takes_the_colour_away(iterations: int, word: str, role: str) -> None:
    hero = build_view(told(ONE, iterations)).hero
    assert (hero.word, hero.number_role) == (word, role)


def test_loading_says_its_phase_and_its_bytes() -> None:
    state = ui_events.folded(iter([ui_events.header(ONE)]))
    fold(state, events.CellStarted(t_ns=1, cell="c1", worker="w"))
    fold(state, events.Phase(t_ns=2, cell="c1", name="first_forward"))
    assert build_view(state).hero.why == "first pass"
    fold(state, events.Progress(t_ns=3, cell="c1", what="download", done=1 << 29, total=1 << 30))
    hero = build_view(state).hero
    assert (hero.word, hero.why) == ("loading", "download 512.0 MiB of 1.0 GiB")
    fold(state, events.Phase(t_ns=4, cell="c1", name="weights"))
    at = events.Progress(t_ns=5, cell="c1", what="load", done=1 << 28, total=1 << 30, cpu_s=1.5)
    fold(state, at)
    hero = build_view(state).hero
    assert hero.why == "load 256.0 MiB of 1.0 GiB"
    fold(state, events.Phase(t_ns=6, cell="c1", name="compile"))
    hero = build_view(state).hero
    assert hero.why == "compiling, 1.50 s of CPU time"


def test_sparks_move_while_tokens_are_generated() -> None:
    before = build_view(told(ONE, 5)).hero.rows
    ttft, tpot = build_view(told(ONE, 6, tokens=4)).hero.rows
    assert len(ttft.spark) == len(before[0].spark) + 1
    assert len(tpot.spark) > len(before[1].spark) + 1


def test_percentiles_wait_for_their_floors() -> None:
    assert dict(build_view(told(ONE, 6)).hero.itl)["p50"] == "after 11 (3 so far)"
    later = dict(build_view(told(ONE, 15)).hero.itl)
    assert later["p50"][0].isdigit()
    assert (later["p90"], later["p99"]) == (
        "after 64 (12 so far)",
        "after 662 (12 so far)",
    )


def test_an_encoder_has_forward_time_and_no_tokens() -> None:
    view = build_view(told(BERT, 9))
    assert view.hero.unit == "seq/s"
    assert [metric.label for metric in view.hero.rows] == ["forward"]
    assert view.hero.itl == ()
    assert view.cells[0].forward and not view.cells[0].ttft


def test_the_ratio_is_of_the_same_work_in_another_precision() -> None:
    story = ui_events.Story(ui_events.sweep())
    view = build_view(ui_events.folded(story.whole(), 235.0))
    assert view.hero.title == "gpt2 · bf16 · batch 8"
    assert (view.hero.ratio, view.hero.ratio_of) == ("1.47x", "of fp32, batch 8")
    assert view.cells[0].note == "reference"


def test_a_failed_cell_says_why_and_has_no_number() -> None:
    story = ui_events.Story(ONE)
    stream = [ui_events.header(ONE), *story.cell(ONE.cells[0], "oom")]
    view = build_view(ui_events.folded(iter(stream)))
    assert (view.hero.mark, view.hero.word) == ("✗", "oom@load")
    assert view.hero.value is None and "had 2.8" in view.hero.reason
    assert view.cells[0].note == "oom@load 3.1 GiB"
    assert view.rail[0].state == "failed"


def test_bad_logits_make_it_invalid() -> None:
    state = told(ONE, 14)
    state.cells["c1"].invalid = 3
    view = build_view(state)
    assert (view.hero.word, view.hero.number_role) == ("INVALID", "bad")
    assert (view.cells[0].state, view.cells[0].note) == ("failed", "INVALID")


def test_a_throttled_gpu_is_said_beside_the_number() -> None:
    state = told(ONE, 14, gpus=1)
    device = state.devices[ui_events.GPU]
    device.series["throttle_reasons"][1][-1] = 0x4
    assert build_view(state).hero.word == "STABLE"
    device.series["throttle_reasons"][1][-1] = 0x40
    hero = build_view(state).hero
    assert (hero.word, hero.why) == ("THROTTLED", INVALIDATING_REASONS[0x40])
    assert describe_throttle(0.0) == ("none", False)
    assert describe_throttle(None) == ("", False)


def test_pause_and_end_are_shown() -> None:
    state = told(ONE, 6)
    fold(state, events.Control(t_ns=state.clock_ns, who="screen", action="pause"))
    assert build_view(state).paused and build_view(state).hero.word == "paused"
    fold(
        state,
        events.SessionEnded(
            t_ns=state.clock_ns, reason="stopped", wall_s=0, statistics_version=1, sha256=""
        ),
    )
    view = build_view(state)
    assert (view.ended, view.left, view.paused) == ("stopped", "", False)


def test_the_time_left_is_a_guess_from_what_was_seen() -> None:
    assert build_view(ui_events.folded(ui_events.Story(ui_events.sweep()).whole(), 1.0)).left == "…"
    story = ui_events.Story(ui_events.sweep())
    at_s, whole = 300.0, ui_events.folded(ui_events.Story(ui_events.sweep()).whole())
    left = build_view(ui_events.folded(story.whole(), at_s)).left
    minutes, seconds = left.lstrip("~").split(":")
    truth_s = whole.clock_ns / 1e9 - at_s
    assert int(minutes) * 60 + int(seconds) == pytest.approx(truth_s, rel=0.25)


def test_final_figures_come_one_cell_a_frame() -> None:
    state = ui_events.folded(ui_events.Story(ui_events.sweep()).whole())
    cache = FrameCache()
    ready = []
    for _ in range(4):
        build_view(state, cache=cache)
        ready.append(sum(cache.is_ready(c) for c in state.cells.values()))
    assert ready[0] <= 2 and ready == sorted(ready) and ready[-1] > ready[0]


def test_the_hero_is_the_cell_at_work_or_the_last_one() -> None:
    state = told(ONE, 3)
    assert select_hero_cell(state) is state.cells["c1"]
    rejected = Plan(cells=(*ONE.cells, Cell(id="c2", model="no-such-model")))
    story = ui_events.Story(rejected)
    stream = [
        ui_events.header(rejected),
        events.CellRejected(t_ns=0, cell="c2", reason="unknown model"),
        *story.cell(rejected.cells[0]),
    ]
    state = ui_events.folded(iter(stream))
    assert select_hero_cell(state) is state.cells["c1"]
    assert build_view(state).cells[1].note == "unknown model"


def test_cells_that_wait_tell_the_memory_they_will_need() -> None:
    view = build_view(told(ui_events.sweep(), 1))
    assert view.cells[1].gib.startswith("~")


def test_importing_it_stays_light() -> None:
    code = (
        "import sys, txtop.ui.models.view; print(*{'textual', 'numpy', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_names_of_processors_are_short() -> None:
    assert (
        shorten_device_name("Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz")
        == "Xeon Platinum 8481C"
    )
    assert shorten_device_name("NVIDIA H100 80GB HBM3") == "H100 80GB HBM3"
    assert shorten_device_name("AMD EPYC 7763 64-Core Processor") == "EPYC 7763"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.50"), (9.994, "9.99"), (9.996, "10.0"), (27.14, "27.1"), (99.96, "100"),
        (312.4, "312"), (999.6, "1,000"), (3124.0, "3,120"), (12_449.0, "12,400"), (None, "—"),
        (float("nan"), "—"),
    ],
)  # fmt: skip
def test_three_digits(value: float | None, text: str) -> None:
    assert formatting.format_number(value) == text


def test_other_figures() -> None:
    assert formatting.format_scaled(3124.0) == ("3.12", "k")
    assert formatting.format_scaled(999.7) == ("1.00", "k")
    assert formatting.format_scaled(None) == ("—", "")
    assert formatting.format_scaled(0.0) == ("0.00", "")
    assert formatting.format_scaled(0.736) == ("0.74", "")
    for value, text in ((0.00133, "0.00133"), (0.0624, "0.0624"), (0.0993, "0.0993")):
        assert (
            formatting.format_scaled(value) == (text, "") == (formatting.format_figure(value), "")
        )
    assert (
        formatting.format_ms(0.25) == "0.25"
        and formatting.format_ms(9.87) == "9.9"
        and formatting.format_ms(1234.0) == "1,230"
    )
    assert (
        formatting.format_half_width(0.012) == "±1.2 %" and formatting.format_half_width(None) == ""
    )
    assert formatting.format_interval((308.2, 316.0)) == "[308, 316] 95 %"
    assert (
        formatting.format_gib(3.1 * formatting.GIB) == "3.1"
        and formatting.format_gib(2e7) == "0.02"
    )
    assert formatting.format_ratio(1.468) == "1.47x"
    assert (
        formatting.format_clock(134e9) == "02:14" and formatting.format_clock(3700e9) == "1:01:40"
    )
    assert formatting.format_estimate(100.0) == "~01:40" and formatting.format_estimate(None) == "…"


def test_a_view_of_a_thousand_cells() -> None:
    plan = Plan(cells=tuple(Cell(id=f"c{i}", model=f"m{i}") for i in range(1000)))
    view: View = build_view(ui_events.folded(iter([ui_events.header(plan)])))
    assert len(view.cells) == len(view.rail) == 1000


def test_a_speed_up_is_never_shown_without_what_is_known_of_its_quality() -> None:
    for until_s in (30.0, 150.0, 235.0):
        story = ui_events.Story(ui_events.sweep(40))
        view = build_view(ui_events.folded(story.whole(), until_s))
        assert all(bool(row.ratio) == bool(row.badges) for row in view.cells)
        assert bool(view.hero.ratio) == bool(view.hero.badges)
    assert view.hero.ratio and view.hero.badges[-1] in ("random weights", "not checked")


@pytest.mark.parametrize("name", ["gpt2-precisions", "bert-lengths"])
def test_a_row_that_is_kept_is_the_row_that_would_be_made(name: str) -> None:
    state, cache = SessionState(), FrameCache()

    def check(cache: FrameCache) -> None:
        rows = build_view(state, cache=cache).cells
        best = cache.references(state)
        cells = state.cells.values()
        assert list(rows) == [build_cell_row(state, c, best.get(c.cell.id), cache) for c in cells]

    for event in read_all(resources.find_directory("sessions") / f"{name}.jsonl")[0]:
        fold(state, event)
        if not isinstance(event, events.Telemetry | events.TokenTimings):
            check(cache)
    at_once = FrameCache()
    for _ in range(1 + len(state.cells)):
        check(at_once)


def test_a_row_that_is_kept_learns_that_its_cell_was_refused() -> None:
    state, cache = ui_events.folded(iter([ui_events.header(ONE)])), FrameCache()
    assert build_view(state, cache=cache).cells[0].state == "waiting"
    fold(state, events.CellRejected(t_ns=1, cell="c1", reason="no such model"))
    assert build_view(state, cache=cache).cells[0].note == "no such model"
