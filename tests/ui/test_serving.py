"""The screen of a cell that serves requests: slots, wording, time left and table."""

from __future__ import annotations

import dataclasses
import time
from itertools import pairwise

import pytest
from msgspec.structs import replace

from support import streams, ui_events
from support.panels import G
from support.paths import SERVING_RECORDING
from txtop.analysis import metrics, serving
from txtop.cli import progress_lines
from txtop.forecast import preview
from txtop.forecast.history import RunHistory
from txtop.plan.cell import Cell
from txtop.plan.knobs import KNOBS
from txtop.plan.plan import Plan
from txtop.plan.serving import Serving, Slo
from txtop.protocol import events
from txtop.session.reader import read_all
from txtop.state.cell import CellState
from txtop.state.fold import fold
from txtop.state.session import SessionState
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.spans import Row, measure_row
from txtop.ui.models import cell_sorting, clipboard
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.cell_detail import iterations
from txtop.ui.models.cell_detail.metrics import build_detail_metrics
from txtop.ui.models.cells import CellRow
from txtop.ui.models.requests import RequestsView, RunningRequestView
from txtop.ui.models.view import View, build_view
from txtop.ui.panels import cells, hero, requests

S, MS = 1_000_000_000, 1_000_000
MOVING = RequestsView(
    waiting=12,
    slots=8,
    running=tuple(RunningRequestView(17 + i, 9 - i, 16) for i in range(6)),
    answered=23,
    requests=40,
    newest=((12, 412.0), (11, 390.0)),
    told=True,
)


def text(rows: list[Row]) -> list[str]:
    return ["".join(part for part, _ in row).rstrip() for row in rows]


def a_plan(**changed: object) -> Plan:
    asked = replace(Serving(requests=40, rate=4.0), **changed)
    cell = Cell(id="c1", model="gpt2", new_tokens=16, scenario="continuous", serving=asked)
    return Plan(cells=(cell,))


def begun(plan: Plan) -> SessionState:
    state = SessionState()
    fold(state, ui_events.header(plan))
    fold(state, events.CellStarted(t_ns=S, cell="c1", worker="worker:1"))
    fold(state, streams.load(2 * S, "c1"))
    fold(state, events.Workload(t_ns=2 * S, cell="c1", inputs_sha256="ab", threads=1))
    return state


def answer(
    i: int, *, tokens: int = 4, role: events.Role = "measured", ms: int = 400
) -> events.Request:
    """It came `i` quarters of a second after 3 s; half of its time goes to its first token."""
    came = 3 * S + i * S // 4
    end = came + ms * MS
    first = came + ms * MS // 2
    gaps = [(end - first) // max(1, tokens - 1)] * (tokens - 1)
    return events.Request(
        t_ns=end, cell="c1", index=i, role=role, arrival_ns=came, sent_ns=came,
        start_ns=came + 10 * MS, first_ns=first, end_ns=end, prompt_tokens=128, tokens=tokens,
        gaps_ns=gaps,
    )  # fmt: skip


def measuring(plan: Plan, count: int, sent: int = 0) -> SessionState:
    state = begun(plan)
    fold(state, events.OfferedLoad(t_ns=3 * S, cell="c1", requests=40, rate=4.0, sent=sent))
    for i in range(count):
        fold(state, answer(i))
    return state


def recorded(until: str = "") -> SessionState:
    """The recording, or what came before the end of the cell `until`."""
    state = SessionState()
    for event in read_all(SERVING_RECORDING)[0]:
        if isinstance(event, events.CellFinished) and event.cell == until:
            break
        fold(state, event)
    return state


def test_requests_are_counted_and_each_has_a_bar_of_its_tokens() -> None:
    rows = text(requests.render_requests(MOVING, Area(64, 7, G)))
    assert rows[0].startswith("waiting 12   running 6 of 8 ━")
    assert rows[0].endswith("answered 23 of 40")
    assert rows[1].startswith("#17 ") and rows[1].endswith("9/16")
    full, rest = rows[1].count("━"), rows[1].count("─")
    assert abs(full / (full + rest) - 9 / 16) < 0.05


def test_a_bar_of_occupancy_is_as_full_as_the_server() -> None:
    row = requests.render_request_counts(
        dataclasses.replace(MOVING, running=MOVING.running[:2]), 80, G
    )
    bar = "".join(part for part, _ in row)
    assert bar.count("━") / (bar.count("━") + bar.count("─")) == pytest.approx(2 / 8, abs=0.03)


@pytest.mark.parametrize("width", range(8, 140, 3))
@pytest.mark.parametrize("height", [1, 2, 3, 6])
def test_rows_never_take_more_than_there_is(width: int, height: int) -> None:
    rows = requests.render_requests(MOVING, Area(width, height, G))
    assert len(rows) <= height
    assert all(measure_row([(line, "text")]) <= width for line in text(rows))


def test_requests_without_a_place_are_counted() -> None:
    assert any("+4 more" in line for line in text(requests.render_requests(MOVING, Area(20, 4, G))))
    assert not any(
        "more" in line for line in text(requests.render_requests(MOVING, Area(64, 4, G)))
    )


def test_places_left_over_hold_the_newest_answers() -> None:
    assert "✓ #12  412 ms" in " ".join(text(requests.render_requests(MOVING, Area(64, 9, G))))


def test_a_request_that_makes_no_tokens_has_no_bar() -> None:
    moving = dataclasses.replace(MOVING, running=(RunningRequestView(30, 0, 0),), newest=())
    assert text(requests.render_requests(moving, Area(64, 2, G)))[1] == "▸ #30"


def test_before_a_request_has_come_it_says_so() -> None:
    hero_view = build_view(begun(a_plan())).hero
    assert hero_view.requests is not None and not hero_view.requests.told
    assert any("waiting for the first request" in row for row in text(
        hero.render_hero(hero_view, Area(68, 15, G, boxed=True))))  # fmt: skip


def test_a_request_that_was_answered_is_no_longer_listed() -> None:
    state = measuring(a_plan(), 2)
    seen = events.ServerStatus(
        t_ns=state.clock_ns, cell="c1", waiting=1, running=[(2, 3, 4)], slots=8
    )
    fold(state, seen)
    assert build_view(state).hero.requests.running == (RunningRequestView(2, 3, 4),)  # type: ignore[union-attr]
    fold(state, answer(2))
    assert build_view(state).hero.requests.running == ()  # type: ignore[union-attr]


def test_words_of_a_server() -> None:
    state = begun(a_plan())
    fold(state, answer(0, role="warmup"))
    hero_view = build_view(state).hero
    assert (hero_view.mark, hero_view.word, hero_view.why) == ("○", "warming", "1 of 16 requests")
    assert hero_view.value is None and hero_view.notes == ("warm-up, not counted", "not counted")
    hero_view = build_view(measuring(a_plan(), 30)).hero
    assert (hero_view.word, hero_view.number_role) == ("measuring", "muted")
    assert hero_view.title == "gpt2 · fp32 · continuous 4/s"
    state = measuring(a_plan(), 40, sent=40)
    fold(
        state,
        events.CellFinished(t_ns=state.clock_ns, cell="c1", status="ok", stopped_by="requests"),
    )
    hero_view = build_view(state).hero
    assert (hero_view.mark, hero_view.word, hero_view.requests) == ("✓", "done", None)


def test_a_saturated_server_has_its_offered_rate_beside_it() -> None:
    hero_view = build_view(recorded()).hero
    assert (hero_view.mark, hero_view.word, hero_view.role) == ("▲", "SATURATED", "warn.bold")
    assert hero_view.notes[0] == "offered 4.0/s, answered 2.3/s"
    assert hero_view.chart.filled and sum(p or 0 for p in hero_view.chart.points) > 0


def test_goodput_is_said_where_something_was_promised() -> None:
    kept = build_view(measuring(a_plan(slo=Slo(e2e_ms=500)), 20)).hero.notes
    assert kept[-1] == "goodput 100 %" and "e2e 500 ms" in kept[0]
    assert build_view(measuring(a_plan(slo=Slo(e2e_ms=300)), 20)).hero.notes[-1] == "goodput 0 %"


@pytest.mark.parametrize(
    ("changes", "bound", "is_judged"),
    [
        ({"first_ns": None, "lag": True}, "ttft_ms", False),
        ({"first_ns": None, "lag": True}, "tpot_ms", False),
        ({"first_ns": None, "lag": True}, "e2e_ms", True),
        ({"tokens": 1}, "tpot_ms", False),
        ({"tokens": 1}, "ttft_ms", True),
    ],
)
def test_a_time_that_no_request_has_makes_no_goodput(
    changes: dict[str, object], bound: str, is_judged: bool
) -> None:
    """It would be within every bound."""
    state = measuring(a_plan(slo=Slo(**{bound: 500.0})), 0)
    for i in range(20):
        fold(state, replace(answer(i), **changes))
    assert (serving.compute_goodput(state.cells["c1"]) is not None) is is_judged


def test_percentiles_have_floors() -> None:
    tails = [row.tail for row in build_view(recorded()).hero.rows]
    assert tails == ["p95 after 130"] * 3


def test_the_table_names_the_load_and_not_a_batch() -> None:
    view = build_view(recorded("c003"))
    for width in (78, 116):
        rows = text(cells.render_cells(view.cells, 2, Area(width, 8, G)))
        assert "load" in rows[1] and "batch" not in rows[1]
        assert "dynamic 4/s" in rows[3] and "/40" in rows[4]
    assert "dynamic 4/s" in clipboard.format_cell_row(view.cells[1])
    assert view.facts[2] == "single dynamic continuous 4/s"


def test_loads_are_ordered_by_their_numbers() -> None:
    row = build_view(recorded()).cells[0]
    mixed = [dataclasses.replace(row, offered=f"dynamic {rate}/s") for rate in (10, 4, 2.5)]
    offered = [ordered.offered for ordered in cell_sorting.sort_rows(mixed, "offered")]
    assert offered == ["dynamic 2.5/s", "dynamic 4/s", "dynamic 10/s"]


def test_the_plain_line_counts_requests() -> None:
    state = measuring(a_plan(), 12)
    fold(
        state,
        events.ServerStatus(
            t_ns=state.clock_ns, cell="c1", waiting=3, running=[(12, 1, 4)] * 6, slots=8
        ),
    )
    assert progress_lines.describe_activity(state) == (
        "gpt2 fp32 continuous 4/s: 12 of 40 answered, 3 waiting, 6 running"
    )


def test_the_detail_has_the_figures_of_a_server_and_requests_as_they_came() -> None:
    for until in ("", "c003"):
        session = recorded(until)
        state = session.cells["c003"]
        figures = {
            figure.label: figure for figure in build_detail_metrics(session, state, FrameCache())
        }
        assert {"queue", "slots", "padding", "req/s", "TTFT"} <= figures.keys()
        assert figures["slots"].unit == "%" and 0 < (figures["slots"].mean or 0) <= 100
    strip = iterations.build_iterations(session, state, FrameCache())
    arrivals = [state.served.arrival_ns[i] for i in iterations.order_iterations(state)]
    assert all(a <= b for a, b in pairwise(arrivals))
    assert strip.one == "request" and "first" not in strip.kinds and "outlier" not in strip.kinds


def test_time_left_is_that_of_the_load() -> None:
    plan = a_plan()
    assert build_view(begun(plan)).left == "…"
    assert build_view(measuring(plan, 4)).left != "…"
    # 40 requests at 4 a second take 10 s, of which one and a bit are over.
    minutes, seconds = build_view(measuring(plan, 4)).left.lstrip("~").split(":")
    assert 7 <= 60 * int(minutes) + int(seconds) <= 12


def test_the_forecast_takes_a_load_for_as_long_as_it_is() -> None:
    estimate = preview._estimate_duration(
        a_plan(), RunHistory(loads_s={a_plan().cells[0].group: 5.0})
    )
    assert estimate.seconds == pytest.approx(15.0)
    slow = preview._estimate_duration(a_plan(rate=0.1), RunHistory())
    assert slow.seconds == 30.0 and "plus loading" in slow.basis


def tokens_by_sorting(state: CellState, slices: int) -> list[int]:
    """The count as it is defined, every token looked at."""
    window = serving.compute_window_ns(state)
    assert window is not None
    span = (window[1] - window[0]) / slices
    counts = [0] * slices
    for i in state.samples.kept():
        at = state.served.arrival_ns[i]
        for gap in state.samples.gaps(i):
            at += gap
            part = next((k for k in range(slices) if at <= round(window[0] + (k + 1) * span)), None)
            if part is not None:
                counts[part] += 1
    return counts


@pytest.mark.parametrize("slices", [1, 10, 37])
def test_tokens_are_counted_as_if_each_was_looked_at(slices: int) -> None:
    for state in recorded().cells.values():
        window = serving.compute_window_ns(state)
        assert window is not None
        span_s = (window[1] - window[0]) / slices / 1e9
        rates = serving.compute_rates(state, "output_tokens_per_s", slices)
        assert [round(rate * span_s) for rate in rates] == tokens_by_sorting(state, slices)


def test_gaps_that_join_later_are_sorted_with_the_others() -> None:
    state, cache = measuring(a_plan(), 20), FrameCache()
    cell = state.cells["c1"]
    cache.compute_itl_percentiles(cell, 0)
    for i in range(20, 38):
        fold(state, answer(i, ms=300 + 10 * i))
        last = cache.compute_itl_percentiles(cell, 0)
    assert last == FrameCache().compute_itl_percentiles(cell, 0)


def test_a_frame_with_many_answers_is_cheap() -> None:
    state, cache = measuring(a_plan(requests=6000), 0), FrameCache()
    for i in range(2000):
        fold(state, answer(i, tokens=64))
    view: View = build_view(state, cache=cache)
    assert view.cells[0].note == "2000/6000"
    took, anew = [], []
    for i in range(2000, 2050):
        fold(state, answer(i, tokens=64))
        start = time.perf_counter()
        build_view(state, cache=cache)
        took.append(time.perf_counter() - start)
        if i % 10 == 0:
            start = time.perf_counter()
            build_view(state, cache=FrameCache())
            anew.append(time.perf_counter() - start)
    print(f"a frame {sorted(took)[25] * 1e3:.1f} ms, all made again {sorted(anew)[2] * 1e3:.1f} ms")
    assert sorted(took)[25] < sorted(anew)[2] / 5
    assert metrics.summarise_live(state.cells["c1"], "output_tokens_per_s").n == 2050


def test_a_row_of_a_plain_cell_is_as_it_was() -> None:
    more = tuple(
        (knob.column, knob.default)
        for knob in KNOBS
        if knob.column not in CellRow.__dataclass_fields__
    )
    row = CellRow(
        "c", "done", "gpt2", "bf16", 8, "sdpa", 128, 32, 2, rate="190", rate_value=190.0, more=more
    )
    assert "batch" in text(cells.render_cells([row], None, Area(78, 4, G)))[1]
