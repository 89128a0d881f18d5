"""The fold, the player on top of it, and the figures computed from it."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from support import streams
from support.streams import MS
from txtop.analysis import metrics
from txtop.analysis.metrics import FinalMetrics
from txtop.export.json import to_json
from txtop.protocol import events
from txtop.state.fold import fold, fold_all


def test_the_fold_of_a_whole_session() -> None:
    state = fold_all(streams.stream())
    first = state.cells["c001"]
    assert [c.status for c in state.cells.values()] == ["ok", "ok"]
    assert first.samples.role[:3] == ["first", "warmup", "measured"]
    assert list(first.samples.gaps(2)) == [20 * MS, 12 * MS, 12 * MS, 12 * MS]
    assert state.ended is not None and state.current is None
    assert len(state.devices["host"].series["cpu_percent"][1]) == 28
    assert state.devices["host"].last("power_w") is None
    assert state.clock_ns == 2 * 900 * MS + 2 * sum(20 + 3 * (10 + i) for i in range(14)) * MS


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 60))
def test_no_order_and_no_loss_of_events_raises(draw: random.Random, drop: int) -> None:
    made = streams.stream()
    draw.shuffle(made)
    state = fold_all(made[drop:])
    if state.header is not None:
        to_json(state, FinalMetrics())
    for cell in state.cells.values():
        metrics.summarise_live(cell, metrics.choose_headline_metric(cell))


@given(st.integers(0, 120))
@settings(max_examples=40, deadline=None)
def test_every_prefix_has_an_export(length: int) -> None:
    made = streams.stream()[: length + 1]
    assert to_json(fold_all(made), FinalMetrics()) == to_json(fold_all(made), FinalMetrics())


def test_events_of_unknown_cells_are_ignored() -> None:
    state = fold_all(streams.stream())
    before = to_json(state, FinalMetrics())
    fold(state, events.Phase(t_ns=0, cell="c999", name="x"))
    assert to_json(state, FinalMetrics()) == before


def test_the_open_iteration_shows_its_tokens_and_a_discarded_one_leaves_none() -> None:
    made = streams.stream()
    at = next(i for i, e in enumerate(made) if isinstance(e, events.TokenTimings) and e.index == 4)
    state = fold_all(made[: at + 1])
    cell = state.cells["c001"]
    assert list(cell.open_gaps_ns) == [20 * MS, 14 * MS]
    fold(state, events.TokenTimings(t_ns=0, cell="c001", index=5, first=0, gaps_ns=[7]))
    assert list(cell.open_gaps_ns) == [7]
    fold(state, events.CellFinished(t_ns=0, cell="c001", status="cancelled"))
    assert not cell.open_gaps_ns and len(cell.samples.gaps_ns) == 4 * 4


def test_a_second_segment_goes_on_where_the_first_ended() -> None:
    made = streams.stream()[:20]
    state = fold_all(made)
    before = state.clock_ns
    fold(state, events.Segment(t_ns=5, boot_id="other", wall_s=1.8e9, pid=2, torn_bytes=9))
    assert state.clock_ns == before
    fold(state, events.Marker(t_ns=5 + MS))
    assert state.clock_ns == before + MS
    assert any("1 torn record dropped (9 bytes)" in line.text for line in state.log)


def test_lag_withholds_ttft_and_invalid_logits_fail_the_cell() -> None:
    made = streams.stream()
    for event in made:
        if isinstance(event, events.Iteration) and event.cell == "c001" and event.role == "first":
            event.lag, event.invalid = True, 3
    state = fold_all(made)
    figures = metrics.summarise_final(state.cells["c001"])
    assert figures["ttft_ms"].mean is None and figures["itl_ms"].mean is None
    assert "withheld: the streamer was a step late" in figures["ttft_ms"].notes
    assert figures["tokens_per_s"].mean is not None
    assert state.failed == 1


def test_what_each_process_says_of_a_model_stands_in_the_log_once() -> None:
    def say(text: str, src: str, cell: str | None = None) -> events.Log:
        return events.Log(t_ns=1, src=src, text=text, cell=cell)

    made = streams.stream()[:1]
    made += [say("m holds no weights", f"worker:{n}", f"c00{n}") for n in (1, 2)]
    made += [say("m holds no weights", "worker:3"), say("stopped", "runner")]
    made += [say("the sampler answers again", "runner")] * 2
    assert [line.text for line in fold_all(made).log] == [
        "m holds no weights", "stopped", *["the sampler answers again"] * 2,
    ]  # fmt: skip


def test_live_and_stable() -> None:
    state = fold_all(streams.stream())
    cell = state.cells["c001"]
    now = metrics.summarise_live(cell, "ttft_ms")
    assert now.n == 12 and now.mean == 20.0 and now.half_width == 0.0
    assert not metrics.is_stable(metrics.summarise_live(cell, "tokens_per_s"))
    for i in range(len(cell.samples)):
        cell.samples.e2e_ns[i] = 50 * MS
    now = metrics.summarise_live(cell, "tokens_per_s")
    assert metrics.is_stable(now)
    assert not metrics.is_stable(replace(now, ci95=None))  # an ended cell with a trend
    assert not metrics.is_stable(replace(now, n=9))
