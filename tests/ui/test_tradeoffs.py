"""The trade-offs between cells: points, front, growth and wording, from events alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support import ab_sessions
from support.explanations import phase
from support.paths import SESSIONS
from support.roofline_session import GPT2, PEAKS
from support.tradeoff_views import a_plan, at_work, sweep, tried, whole
from txtop.analysis import roofline
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.session.reader import read_all
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.tradeoffs.build import TOO_FEW_MEASURED, TOO_FEW_YET
from txtop.ui.models.tradeoffs.groups import AB_REASON, explain_missing_plots, group_cells
from txtop.ui.models.tradeoffs.plot import TradeoffPlot, TradeoffsView
from txtop.ui.models.view import View, build_view


def of(view: View, kind: str) -> list[TradeoffPlot]:
    return [plot for plot in view.tradeoffs.plots if plot.kind == kind]


# Sheets: what a plan can be weighed by


def test_precision_tells_lines_apart_before_any_other_knob() -> None:
    plan = a_plan(precisions=["fp32", "bf16"], attention=["eager", "sdpa"], batch_sizes=[1, 8])
    groups = [(s.kind, s.of, s.lines) for s in group_cells(plan)]
    assert groups == [
        ("rates", "eager", ("fp32", "bf16")),
        ("precisions", "", ("fp32", "bf16")),
        ("rates", "sdpa", ("fp32", "bf16")),
    ]


@pytest.mark.parametrize(
    ("knobs", "lines"),
    [
        ({"attention": ["eager", "sdpa"]}, ("eager", "sdpa")),
        ({"threads": [1, 2]}, ("1 thread", "2 threads")),
        ({"models": ["gpt2", "gpt2-medium"]}, ("gpt2", "gpt2-medium")),
        ({"sequence_lengths": [64, 128]}, ("64 tokens", "128 tokens")),
        ({}, ("fp32",)),
    ],
)
def test_what_varies_beside_the_batch_tells_lines_apart(
    knobs: dict[str, Any], lines: tuple[str, ...]
) -> None:
    assert group_cells(a_plan(batch_sizes=[1, 8], **knobs))[0].lines == lines


def test_why_a_kind_has_no_plot() -> None:
    alone = {
        "rates": "one batch size: nothing to trade off",
        "lengths": "only one length was measured",
    }
    assert explain_missing_plots(a_plan()) == alone | {
        "precisions": "only one precision was measured"
    }
    assert explain_missing_plots(a_plan(batch_sizes=[1, 2], precisions=["fp32", "bf16"])) == {
        "lengths": "only one length was measured"
    }
    apart = (
        Cell(id="a", model="gpt2", batch_size=1),
        Cell(id="b", model="gpt2", batch_size=2, precision="bf16", attention="eager"),
    )
    assert (
        explain_missing_plots(Plan(cells=apart))["rates"]
        == "no two cells differ in the batch size alone"
    )
    assert explain_missing_plots(Plan(cells=())) == {}


# Throughput against latency


def test_numbers_are_those_of_the_table() -> None:
    view = sweep()
    rows = {row.id: row for row in view.cells}
    for plot in view.tradeoffs.plots:
        for point in plot.points:
            assert point.row == rows[point.row.id]
            assert point.time == point.row.tpot
    (plot,) = of(view, "rates")
    for point in plot.points:
        assert f"{point.x:.1f}" == point.row.tpot and point.y == point.row.rate_value


def test_failed_and_invalid_cells_are_no_points_and_are_counted() -> None:
    (plot,) = of(sweep(), "rates")
    assert len(plot.points) == 10 and plot.left_out == "1 INVALID, 1 oom"
    plotted = {(point.row.precision, point.row.batch) for point in plot.points}
    assert not plotted & {("int8", 8), ("bf16", 32)}


def test_the_front_and_by_what_the_others_are_beaten() -> None:
    (plot,) = of(sweep(), "rates")
    assert [p.x for p in plot.points] == sorted(p.x for p in plot.points)
    for point in plot.points:
        over = [p for p in plot.points if p.x <= point.x and p.y >= point.y and p is not point]
        assert point.front == (not over) and (point.beside == "optimal") == point.front
        explanation = (
            "Pareto-optimal: nothing else has more throughput and less latency"
            if point.front
            else "beaten by "
        )
        assert point.said[0].startswith(explanation)


def test_what_is_optimal_says_of_which_work_where_there_are_several() -> None:
    (plot,) = of(tried(whole(a_plan(sequence_lengths=[64, 128], batch_sizes=[1, 8]))), "rates")
    best = {point.name: point.said[0] for point in plot.points if point.front}
    assert {name: text.partition(":")[0] for name, text in best.items()} == {
        "64 tokens": "Pareto-optimal of 64 tokens",
        "128 tokens": "Pareto-optimal of 128 tokens",
    }


def test_a_faster_cell_is_named_with_the_badge_of_its_output() -> None:
    (plot,) = of(sweep(), "rates")
    slow = next(p for p in plot.points if (p.row.precision, p.row.batch) == ("fp32", 1))
    best = max((p for p in plot.points if p.front and p.x <= slow.x), key=lambda p: p.y)
    badge = best.row.badges[-1]
    assert slow.said[0] == (
        f"beaten by {best.name} batch {best.label} ({badge}): {best.row.rate} tok/s "
        f"at {best.row.tpot} ms"
    )


def test_cells_of_different_work_do_not_beat_each_other() -> None:
    view = tried(whole(a_plan(batch_sizes=[1, 8], sequence_lengths=[64, 128])))
    (plot,) = of(view, "rates")
    assert all(point.front for point in plot.points)


def test_families_have_plots_of_their_own() -> None:
    view = tried(whole(a_plan(models=["bert-base-uncased", "gpt2"], batch_sizes=[1, 8])))
    bert, gpt2 = of(view, "rates")
    assert (bert.of, bert.x_name, bert.unit) == ("encoders", "ms per forward pass", "seq/s")
    assert (gpt2.of, gpt2.x_name, gpt2.unit) == ("decoders", "ms per token", "tok/s")
    assert {point.row.model for point in bert.points} == {"bert-base-uncased"}
    assert view.tradeoffs.plots[view.tradeoffs.at] is gpt2


def test_the_cell_at_work_is_a_point_that_is_not_judged() -> None:
    (plot,) = of(at_work(), "rates")
    running = [point for point in plot.points if point.running]
    assert [point.row.id for point in running] == ["c003"]
    assert not running[0].front and running[0].said[0].startswith("running")
    assert len([point for point in plot.points if point.front]) == 2
    assert len(of(at_work(iterations=2), "rates")[0].points) == 2


def test_plots_begin_with_two_points() -> None:
    view = at_work(batches=2, iterations=1)
    assert view.tradeoffs.plots == ()
    assert dict(view.tradeoffs.absent)["throughput against latency"] == TOO_FEW_YET
    bad = tried(whole(a_plan(batch_sizes=[1, 8]), {"c001": "oom"}))
    assert dict(bad.tradeoffs.absent)["throughput against latency"] == TOO_FEW_MEASURED
    assert View().tradeoffs == TradeoffsView()


# Time against length


def test_time_grows_faster_than_the_length() -> None:
    view = build_view(fold_all(read_all(SESSIONS / "bert-lengths.jsonl")[0]))
    (plot,) = of(view, "lengths")
    assert (plot.lines, plot.x_name, plot.y_name) == (("batch 1", "batch 4"), "tokens", "ms")
    last = [point for point in plot.points if point.x == 512]
    assert [point.beside for point in last] == ["4.27x", "4.38x"]
    assert last[0].said[0] == "4.27x the time of 128 tokens, 4.00x the length"
    assert [point.row.forward for point in last] == [point.time for point in last]


def test_a_generator_is_timed_to_its_first_token() -> None:
    (plot,) = of(tried(whole(a_plan(sequence_lengths=[64, 128]))), "lengths")
    assert (plot.y_name, plot.time_head) == ("TTFT", "TTFT ms")
    assert all(point.time == point.row.ttft for point in plot.points)


# Precisions


def test_no_speed_up_without_its_badge() -> None:
    (plot,) = of(sweep(), "precisions")
    assert len(plot.points) == 12
    for point in plot.points:
        assert bool(point.x) == bool(point.row.ratio and point.row.badges)
        if point.x:
            assert f"{point.x:.2f}x" == point.row.ratio and point.reference == "fp32"
    roles = {(p.row.precision, p.badge_role) for p in plot.points if p.x}
    assert roles == {("fp32", "muted"), ("bf16", "muted"), ("int8", "text")}


def test_a_failed_precision_stays_in_its_block_with_its_reason() -> None:
    (plot,) = of(sweep(), "precisions")
    failed = [p for p in plot.points if not p.y]
    assert [(p.row.precision, p.label, p.said) for p in failed] == [
        ("int8", "batch 8", ("oom@load 3.1 GiB",)),
        ("bf16", "batch 32", ("INVALID",)),
    ]


def test_the_bundled_precisions() -> None:
    view = build_view(fold_all(read_all(SESSIONS / "gpt2-precisions.jsonl")[0]))
    assert [plot.kind for plot in view.tradeoffs.plots] == ["precisions"]
    assert dict(view.tradeoffs.absent) == {
        "throughput against latency": "one batch size: nothing to trade off",
        "time against length": "only one length was measured",
    }


# An A/B


def test_an_ab_of_batches_has_points_while_both_arms_are_at_work() -> None:
    script = ab_sessions.script({"batch_size": 1}, {"batch_size": 4}).begin()
    for _ in range(3):
        script.block((30.0, 60.0))
    (plot,) = tried(script.made).tradeoffs.plots
    assert plot.kind == "rates" and [p.running for p in plot.points] == [True, True]
    (plot,) = tried(script.end()).tradeoffs.plots
    assert [p.front for p in plot.points] == [True, True]


def test_an_ab_of_precisions_leaves_the_word_to_its_verdict() -> None:
    script = ab_sessions.script().begin()
    script.block((30.0, 20.0))
    view = tried(script.made)
    assert view.tradeoffs.plots == ()
    assert dict(view.tradeoffs.absent)["precisions"] == AB_REASON


# What is kept between frames


def test_a_plot_is_made_anew_only_where_a_cell_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    state, cache = fold_all(list(whole(a_plan(batch_sizes=[1, 8])))), FrameCache()
    for _ in range(3):
        build_view(state, cache=cache)
    first, second = (build_view(state, cache=cache).tradeoffs for _ in range(2))
    assert first.plots[0] is second.plots[0]
    name = next(iter(state.cells))
    state.cells[name] = replace(state.cells[name], invalid=1)
    assert build_view(state, cache=cache).tradeoffs.plots == ()


def test_a_session_of_another_plan_is_not_mistaken() -> None:
    cache = FrameCache()
    for batches in ([1, 8], [1, 2, 4]):
        state = fold_all(list(whole(a_plan(batch_sizes=batches))))
        (plot,) = build_view(state, cache=cache).tradeoffs.plots
        assert sorted(int(p.label) for p in plot.points) == batches


def fold_under_a_roof(plan: Plan, source: str = "probe") -> SessionState:
    state = SessionState()
    for event in whole(plan):
        if isinstance(event, events.ModelLoaded):
            event.geometry = GPT2
            told = PEAKS | {"device": event.device_id or event.device_name, "source": source}
            fold(state, events.DevicePeaks(t_ns=event.t_ns, **{**told, "threads": event.threads}))
        fold(state, event)
    return state


@pytest.mark.parametrize(("source", "how"), [("probe", "measured"), ("table", "published")])
def test_the_roof_is_that_of_the_cell_which_the_memory_allows_most(source: str, how: str) -> None:
    state = fold_under_a_roof(a_plan(precisions=["fp32", "bf16"], batch_sizes=[1, 8]), source)
    (plot,) = of(build_view(state), "rates")[:1]
    ((height, name),) = plot.ceilings
    ceilings = [roofline.compute_ceiling_tokens_per_s(state, cell) for cell in state.cells.values()]
    assert None not in ceilings and height == max(ceilings)  # type: ignore[type-var]
    assert name == f"memory bandwidth, {how}: fp32 batch 8"


def test_a_roof_goes_once_an_explanation_disproves_the_peak() -> None:
    state = fold_under_a_roof(a_plan(batch_sizes=[1, 8]))
    cache = FrameCache()
    for _ in range(3):
        (plot,) = build_view(state, cache=cache).tradeoffs.plots
    assert plot.ceilings and build_view(state, cache=cache).tradeoffs.plots[0] is plot
    name = next(iter(state.cells))
    part = events.StepPart(kind="mlp", ns=1000, read_bytes=10**9)
    state.explanations[name] = events.Explanation(t_ns=1, cell=name, phases=[phase(parts=[part])])
    assert build_view(state, cache=cache).tradeoffs.plots[0].ceilings == ()
