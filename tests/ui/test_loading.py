"""The bars of a load: how far each phase is, and what it took the last time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.panels import G
from support.screen_text import lines
from support.ui_events import S, Story, folded, header, sweep
from txtop.forecast.history import RunHistory, normalise_cell
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.state.fold import fold
from txtop.state.session import SessionState
from txtop.ui.drawing.area import Area
from txtop.ui.models.loading import MOST, LoadingView
from txtop.ui.models.view import Playback, build_view
from txtop.ui.panels.hero import render_hero

LAST = {"import": 4.0, "weights": 10.0, "first_forward": 1.0}


def loading(*phases: tuple[float, str], now_s: float, model: str = "gpt2") -> SessionState:
    plan = Plan(cells=(Cell(id="c1", model=model),))
    state = folded(iter([header(plan)]))
    fold(state, events.CellStarted(t_ns=0, cell="c1", worker="w1"))
    for at_s, name in phases:
        fold(state, events.Phase(t_ns=round(at_s * S), cell="c1", name=name))
    fold(state, events.Log(t_ns=round(now_s * S), text="now"))
    return state


def past_of(state: SessionState) -> RunHistory:
    group = normalise_cell(state.cells["c1"].cell).group
    return RunHistory(phases_s={"other": {"import": 99.0}, group: LAST})


def view(state: SessionState, past: RunHistory | None = None) -> LoadingView:
    loads = build_view(state, past=past).hero.loading
    assert loads is not None
    return loads


def test_a_phase_fills_by_what_it_took_the_last_time_and_is_full_when_it_is_over() -> None:
    state = loading((0, "import"), now_s=1.0)
    bars = view(state, past_of(state)).bars
    assert [(b.label, b.state, b.share) for b in bars] == [
        ("import", "now", 0.25),
        ("weights", "waits", 0.0),
        ("first pass", "waits", 0.0),
    ]
    assert [b.last for b in bars] == ["4.00 s", "10.0 s", "1.00 s"]
    state = loading((0, "import"), now_s=9.0)
    slow = view(state, past_of(state))
    assert slow.bars[0].share == MOST and slow.so_far == "9.00 s" and slow.last == "15.0 s"
    later = view(loading((0, "import"), (9, "weights"), now_s=9.5))
    assert [b.state for b in later.bars] == ["done", "now", "waits"]
    assert later.bars[0].value == "9.00 s" and later.bars[1].share is None and not later.last


def test_weights_fill_by_their_bytes_and_never_go_back() -> None:
    state = loading((0, "import"), (4, "weights"), now_s=7.0)
    fold(state, events.Progress(t_ns=7 * S, cell="c1", what="load", done=1 << 28, total=1 << 30))
    assert view(state).bars[1].share == 0.25
    assert view(state).bars[1].value == "256.0 MiB of 1.0 GiB"
    assert view(state, past_of(state)).bars[1].share == 0.3


def test_a_download_has_a_bar_and_only_where_there_is_one() -> None:
    state = loading((0, "import"), (1, "resolve"), now_s=2.0)
    assert view(state).bars[0].label == "import"
    fold(state, events.Progress(t_ns=2 * S, cell="c1", what="download", done=1, total=4))
    first = view(state).bars[0]
    assert (first.label, first.state, first.share) == ("download", "now", 0.25)


def test_the_last_load_of_this_run_comes_before_those_of_earlier_ones() -> None:
    story = Story(sweep())
    events_of = list(story.whole())
    state = folded(iter(events_of), until_s=200)
    waiting = next(c for c in state.cells.values() if c.stage == "waiting")
    fold(state, events.CellStarted(t_ns=state.clock_ns, cell=waiting.cell.id, worker="w9"))
    fold(state, events.Phase(t_ns=state.clock_ns, cell=waiting.cell.id, name="import"))
    other = RunHistory(phases_s={"other": {"import": 99.0}})
    assert view(state, other).bars[0].last == "0.61 s"


def test_rows_and_unit_are_those_of_the_family_before_it_is_loaded() -> None:
    hero = build_view(loading((0, "import"), now_s=1.0, model="bert-base-uncased")).hero
    assert hero.unit == "seq/s" and [row.label for row in hero.rows] == ["forward"]
    assert hero.itl == ()
    hero = build_view(loading((0, "import"), now_s=1.0, model="t5-small")).hero
    assert [row.label for row in hero.rows] == ["TTFT", "TPOT", "encoder"]
    assert build_view(loading((0, "import"), now_s=1.0, model="no/such")).hero.unit == "tok/s"


def test_a_replay_says_that_it_is_one() -> None:
    state = loading((0, "import"), now_s=1.0)
    assert build_view(state).hero.word == "loading"
    assert build_view(state, playback=Playback(0, 9)).hero.word == "load, replayed"


@pytest.mark.parametrize(("share", "word"), [(0.2, "BUSY"), (0.01, "loading")])
def test_others_are_named_while_a_model_loads(share: float, word: str) -> None:
    """Before the first iteration the number is still to come, and so is the time to stop them."""
    state = loading((0, "import"), now_s=1.0)
    cores = share * max(state.cores, 10)
    for second in range(2, 5):
        values = {"others_cpu_s": cores * second, "waited_percent": 40.0}
        told = events.Telemetry(
            t_ns=second * S,
            device="host",
            values=values,
            foreign=(events.ForeignProcess(pid=7, name="make", cores=cores),),
        )
        fold(state, told)
    hero = build_view(state, past=past_of(state)).hero
    drawn = lines(render_hero(hero, Area(68, 15, G, boxed=True)))
    assert hero.word == word and any("first pass" in line for line in drawn)
    named = any(f"others used {cores:.1f} cores: make 7" in line for line in drawn)
    assert named == (word == "BUSY")


def test_bars_stand_where_the_chart_will_be() -> None:
    state = loading((0, "import"), now_s=1.0)
    hero = build_view(state, past=past_of(state)).hero
    for width, height, boxed in ((80, 9, False), (68, 15, True), (114, 20, True)):
        area = Area(width, height, G, boxed=boxed)
        drawn = ["".join(t for t, _ in row) for row in render_hero(hero, area)]
        without = render_hero(replace(hero, loading=None), area)
        plain = ["".join(t for t, _ in row) for row in without]
        assert sum("first pass" in line for line in drawn) == 1
        assert [i for i, line in enumerate(drawn) if "TTFT" in line] == [
            i for i, line in enumerate(plain) if "TTFT" in line
        ]
