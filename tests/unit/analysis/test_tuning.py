"""The candidates beyond a bound of a race, and what binds."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import get_args

import msgspec
import pytest

from support import race_session
from txtop.analysis.metrics import ITERATION_METRICS, FinalMetrics
from txtop.analysis.ratios import compute_race_speed
from txtop.analysis.tuning import (
    Binding,
    compare_candidates,
    compute_gain,
    explain_too_large,
    find_result,
)
from txtop.export.formats import WRITERS
from txtop.export.html.page import render_page
from txtop.export.text.tuning import format_tuning
from txtop.forecast.admission import explain_no_room
from txtop.options.tune_plan import parse_space
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Plan
from txtop.plan.tuning import OBJECTIVES, Objective, Tuning
from txtop.protocol import events
from txtop.state import accuracy
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState
from txtop.system import free_memory
from txtop.system.gpus import CONTEXT_BYTES
from txtop.ui.models.view import build_view

GIB = 1 << 30


def test_each_objective_has_its_traits_and_is_read_in_the_unit_of_its_metric() -> None:
    assert OBJECTIVES.keys() == set(get_args(Objective))
    metrics = {traits.metric: traits.unit for traits in OBJECTIVES.values() if traits.metric}
    assert metrics == {name: ITERATION_METRICS[name][0] for name in metrics}
    for name, traits in OBJECTIVES.items():
        word = {"cost": "as cheap", "energy": "as frugal"}.get(name, "as fast")
        assert traits.as_good.startswith(word)


def race_on_a_gpu(reserved_bytes: int, device: str = "cuda:0") -> SessionState:
    """Return a race whose candidates reserved that much, of a GPU that they shared."""
    return fold_all(
        [
            msgspec.structs.replace(event, reserved_bytes=reserved_bytes, device_bytes=70 * GIB)
            if isinstance(event, events.Memory)
            else msgspec.structs.replace(event, device=device)
            if isinstance(event, events.ModelLoaded)
            else event
            for event in race_session.Race().events()
        ]
    )


@pytest.mark.parametrize("beyond", [0, 1 << 20])
def test_what_a_context_takes_is_held_against_the_memory_too(beyond: int) -> None:
    """The forecast that admits counts it."""
    state = race_on_a_gpu(4 * GIB - CONTEXT_BYTES + beyond)
    result = find_result(state)
    assert result is not None
    why = explain_too_large(state, result.winner.cell.id)
    assert why == ("took 4.001 GiB with a CUDA context, 4.000 GiB asked for" if beyond else "")
    (kept,) = (line for line in format_tuning(state) if "keeps:" in line)
    assert (
        f"memory {'4.001 of 4.000' if beyond else '4.00 of 4.00'} GiB with a CUDA context" in kept
    )


def test_other_devices_have_no_context_of_cuda() -> None:
    state = race_on_a_gpu(4 * GIB, "xpu:0")
    assert not any(explain_too_large(state, name) for name in state.cells)


def reject(state: SessionState, number: int, why: str, detail: str) -> str:
    """Take a candidate of another race out with `detail`. Return its name."""
    name = list(state.cells)[number]
    fold(state, events.Standing(t_ns=state.clock_ns, cell=name, why=why, detail=detail))
    return name


def begin() -> SessionState:
    """Return a race in which the default alone was measured, under limits of memory and quality."""
    plan = race_session.build_plan(())
    state = fold_all([race_session.ui_events.header(plan)])
    assert state.race is not None
    state.race.race.add_block(plan.cells[0].id, 0, 0.0, 1.0)
    return state


def find_binding(state: SessionState, limit: str) -> Binding:
    result = find_result(state)
    assert result is not None
    return next(binding for binding in result.bindings if binding.limit == limit)


def test_the_candidate_that_memory_keeps_out_is_the_one_nearest_to_it() -> None:
    """Measured or forecast, a batch of one or of 32: the share beyond the limit is one unit."""
    state = begin()
    reject(state, 1, "does not fit", "needs 6.0 GiB, 4.0 GiB asked for")
    near = reject(state, 2, "does not fit", "took 4.04 GiB with a CUDA context, 4.00 GiB asked for")
    reject(state, 3, "does not fit", "needs 1,300 GiB, 1,100 GiB of RAM are free")
    assert find_binding(state, "memory").own.cell.id == near
    nearest = reject(state, 3, "does not fit", "needs 1,101 GiB, 1,100 GiB of RAM are free")
    assert find_binding(state, "memory").own.cell.id == nearest


@pytest.mark.parametrize("asked_gib", [None, 0.5])
def test_sizes_are_read_from_what_the_run_says(
    asked_gib: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else their distance is unknown, and anything else would be nearer."""
    monkeypatch.setattr(free_memory, "read_free_bytes", lambda: GIB)
    state = begin()
    assert state.race is not None
    memory = asked_gib and round(asked_gib * GIB)
    tuning = msgspec.structs.replace(state.race.tuning, memory_bytes=memory)
    plan = msgspec.structs.replace(state.plan, tuning=tuning)
    state.header = msgspec.structs.replace(state.header, plan=plan)  # type: ignore[type-var]
    large = max(state.cells, key=lambda name: state.cells[name].cell.batch_size)
    forecast = explain_no_room(state, state.cells[large].cell)
    on_a_gpu = race_on_a_gpu(4 * GIB)
    measured = explain_too_large(on_a_gpu, next(n for n, c in on_a_gpu.cells.items() if c.memory))
    assert forecast.endswith("asked for" if asked_gib else "of RAM are free") and measured
    reject(state, 1, "does not fit", "needs 4,000 GiB, 4.0 GiB asked for")
    for number, detail in ((2, forecast), (3, measured)):
        name = reject(state, number, "does not fit", detail)
        assert find_binding(state, "memory").own.cell.id == name


@pytest.mark.parametrize("cost", [-0.3, 0.1])
@pytest.mark.parametrize(
    ("why", "title"), [("does not fit", "memory"), ("below the floor", "quality")]
)
def test_who_was_timed_before_it_left_binds_only_if_it_is_better(
    why: str, title: str, cost: float
) -> None:
    """As of a peak, which is known after the first block."""
    state = begin()
    assert state.race is not None
    race = state.race.race
    near, far = (reject(state, number, why, f"needs {4 + number} GiB, 4 GiB") for number in (1, 2))
    race.add_block(near, 0, 0.3, 1.0)
    binding = find_binding(state, title)
    assert (binding.own.cell.id, binding.ratio[0]) == (far, None)
    race.add_block(far, 0, cost, 1.0)
    result = find_result(state)
    assert result is not None
    bound = [(b.own.cell.id, b.ratio[0]) for b in result.bindings if b.limit == title]
    assert bound == ([(far, pytest.approx(1.35, abs=0.01))] if cost < 0 else [])


def compare(state: SessionState, name: str, kld: float, top1: int = 2040) -> None:
    fold(
        state,
        events.Fidelity(
            t_ns=state.clock_ns, cell=name, reference=next(iter(state.cells)),
            weights="pretrained", positions=2048, kld=kld, floor=0.0, top1=top1,
        ),
    )  # fmt: skip


def test_the_candidate_that_quality_keeps_out_is_the_one_nearest_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the figure that put it out: an accuracy, a KLD, a share of equal tokens."""
    state = begin()
    int8, eager, bf16 = (
        next(
            name
            for name, own in state.cells.items()
            if (own.cell.precision, own.cell.attention, own.cell.batch_size) == wanted
        )
        for wanted in (("int8", "sdpa", 1), ("int8", "eager", 1), ("bf16", "sdpa", 1))
    )
    for name in (int8, eager, bf16):
        fold(state, events.Standing(t_ns=state.clock_ns, cell=name, why="below the floor"))
    compare(state, int8, 0.02)
    compare(state, eager, 0.001, top1=1800)  # 88 % of 94 %: twice what is allowed is lost
    compare(state, bf16, 0.015)
    assert find_binding(state, "quality").own.cell.id == bf16
    compare(state, int8, 0.0001)
    assert find_binding(state, "quality").own.cell.id == bf16, "out for NaN, which has no distance"
    compare(state, int8, 0.02)
    compare(state, eager, 0.001, top1=1905)  # 93 %
    assert find_binding(state, "quality").own.cell.id == eager
    assert state.race is not None
    tuning = msgspec.structs.replace(state.race.tuning, min_accuracy=-0.01)
    plan = msgspec.structs.replace(state.plan, tuning=tuning)
    state.header = msgspec.structs.replace(state.header, plan=plan)  # type: ignore[type-var]
    compare(state, int8, 0.001)
    lost = SimpleNamespace(difference=-0.0101)
    monkeypatch.setattr(
        accuracy, "list_differences", lambda _, name: [lost] if name == int8 else []
    )
    assert find_binding(state, "quality").own.cell.id == int8, "by --min-accuracy"
    lost.difference = -0.02
    assert find_binding(state, "quality").own.cell.id == eager


def test_who_binds_is_stated_in_the_figure_of_the_table_and_does_not_contradict_it() -> None:
    """The blocks that it has with the winner may say another thing than those with the default."""
    state = fold_all(list(race_session.Race().events()))
    assert state.race is not None
    race, limit = state.race, state.race.tuning.limits[0].format()
    binding = find_binding(state, limit)
    own, result = binding.own.cell.id, find_result(state)
    assert binding.speed == compute_race_speed(race, own) and result is not None
    assert (binding.ratio[0] or 0) > 1
    for number in race.race.candidates[race.tuning.default].costs:
        race.race.candidates[own].costs[number] += 0.5
    race.race._ratios.clear()
    ratio, _ = compute_gain(compare_candidates(race, own, result.winner.cell.id))
    assert ratio is not None and ratio > 1
    again = find_result(state)
    assert again is not None and own not in [b.own.cell.id for b in again.bindings]


def end_with(
    batches: list[int], winner: int, threads: tuple[int | None, ...] = (None,), cores: int = 2
) -> list[Binding]:
    """Return what binds after a race of bf16 at these batches in which cell `winner` leads."""
    default, *cells = expand_matrix(
        models=["gpt2"], precisions=["fp32", "bf16"], batch_sizes=batches, threads=list(threads)
    )
    tuning = Tuning(default=default.id)
    header = race_session.ui_events.header(Plan(cells=(default, *cells), tuning=tuning))
    machine = msgspec.structs.replace(header.machine, cores_logical=cores, cores_allowed=None)
    state = fold_all([msgspec.structs.replace(header, machine=machine)])
    assert state.race is not None
    ordered = sorted(state.cells, key=lambda name: name != list(state.cells)[winner])
    for place, name in enumerate(ordered):
        state.race.race.add_block(name, 0, 0.1 * place, 1.0)
    result = find_result(state)
    assert result is not None and result.winner.cell.id == ordered[0]
    assert all(binding.own is result.winner for binding in result.bindings)
    return list(result.bindings)


def test_the_space_binds_where_the_winner_has_the_largest_number_raced() -> None:
    (binding,) = end_with([1, 32], -1)
    assert (binding.limit, binding.ratio[0]) == ("the space", None)
    more = "--space precisions=bf16 batch-sizes=32-128*2"
    assert binding.detail == f"nothing above batch 32 was raced; to race more: {more}"
    assert parse_space([more.removeprefix("--space ")])["batch_size"] == [32, 64, 128]
    assert end_with([1, 8, 32], 4) == [], "a larger one was raced, and is not as good"
    assert end_with([32], -1) == [], "one value is what was asked for"


def test_threads_bind_while_there_are_more_cores() -> None:
    (binding,) = end_with([1], -1, (1, 2), cores=4)
    assert binding.detail.endswith(
        "2 threads was raced; to race more: --space precisions=bf16 threads=2,4"
    )
    assert end_with([1], -1, (1, 2), cores=2) == []


def test_what_the_space_bounds_is_said_in_words_and_in_json() -> None:
    state = fold_all(list(race_session.Race(upset=True).events()))
    line = "limited by the space: nothing above batch 32 was raced; to race more: --space "
    assert line in "\n".join(format_tuning(state))
    (own,) = [
        own
        for own in json.loads(WRITERS["json"](state, FinalMetrics()))["tuning"]["bindings"]
        if own["limit"] == "the space"
    ]
    assert own["cell"] and own["ratio"] is None and "batch-sizes=32-128*2" in own["detail"]
    view = build_view(state).race
    assert view is not None and any(line in text for text in view.verdict)
    assert line.encode() in render_page(state, FinalMetrics(), "night")
