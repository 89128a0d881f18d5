"""Read recorded slices of a profile: nesting, kinds, cost of the profiler, kernels of a device."""

from __future__ import annotations

import gc
from collections.abc import Sequence

import pytest

from txtop.protocol.events import PhaseExplanation
from txtop.worker.explain import module_clock
from txtop.worker.explain.assemble import (
    build_phase,
    build_trace,
    choose_event_cost,
    choose_faster_half,
    choose_usual_steps,
    summarise_modules,
)
from txtop.worker.explain.module_clock import (
    ClockedStep,
    ModuleClock,
    ModuleSpan,
    without_collections,
)
from txtop.worker.explain.profile_tree import Slice, StepTree, split_steps
from txtop.worker.explain.ranges import STEP

KINDS = {"": "rest", "h.0": "rest", "h.0.attn": "attention"}


def mark(at: int) -> Slice:
    return Slice(STEP, at, at)


def host(name: str, start: int, end: int, correlation: int = 0) -> Slice:
    return Slice(name, start, end, correlation=correlation)


def kernel(name: str, start: int, end: int, correlation: int) -> Slice:
    return Slice(name, start, end, on_device=True, correlation=correlation)


STEP_SLICES = [
    mark(0),
    host("aten::argmax", 10, 30),
    host("module:", 100, 900),
    host("module:h.0", 110, 800),
    host("module:h.0.attn", 200, 600),
    host("aten::linear", 210, 410),
    host("aten::addmm", 230, 400),
    host("module:cache", 420, 500),
    host("aten::cat", 430, 490),
    host("aten::add", 650, 700),
    host("aten::item", 710, 730),
    host("aten::_local_scalar_dense", 715, 728),
    mark(1000),
    host("aten::late", 1100, 1200),
]


def read(*slices: Slice) -> StepTree:
    (step,) = split_steps(slices, KINDS)
    return step


def explain(
    step: StepTree, step_ns: int, event_ns: float, clocked: Sequence[ClockedStep] = ()
) -> PhaseExplanation:
    return build_phase(
        "decode", [step], clocked, step_ns, step_ns, event_ns, 0.0, KINDS, None, False
    )


def test_every_nanosecond_of_a_step_is_in_one_part() -> None:
    phase = explain(read(*STEP_SLICES), 1000, 0.0)
    parts = {part.kind: (part.ns, part.operators_ns) for part in phase.parts}
    assert parts == {
        "rest": (800 - 400 - 80 + 80, 50 + 20),
        "attention": (400 - 80, 200),
        "cache": (80, 60),
        "loop": (1000 - 800 - 20, 0),
        "sampling": (20, 20),
    }
    assert sum(ns for ns, _ in parts.values()) == 1000
    names = {(one.kind, one.name): one.ns for one in phase.operators}
    assert names["attention", "aten::addmm"] == 170 and names["attention", "aten::linear"] == 30
    assert phase.sync_sites == ["h.0"] and phase.synchronisations == 1


CLOCKED = {
    "": ModuleSpan(400, 100, 1, inner=1, below=3),
    "h.0": ModuleSpan(300, 100, 1, inner=1, below=2),
    "h.0.attn": ModuleSpan(200, 150, 1, inner=1, below=1),
    "cache": ModuleSpan(50, 50, 1),
}


def test_modules_have_the_time_of_the_clock_and_the_profile_divides_it() -> None:
    phase = explain(read(*STEP_SLICES), 500, 0.0, [ClockedStep(500, CLOCKED)] * 2)
    assert phase.scale == 1 and phase.clocked_ns == 500
    parts = {part.kind: (part.ns, part.operators_ns) for part in phase.parts}
    assert parts["rest"][0] == 200 and parts["cache"] == (50, round(50 * 60 / 80))
    assert parts["attention"] == (150, round(150 * 200 / 320))
    # What is left of the step lies outside of the model.
    assert parts["loop"] == (90, 0) and parts["sampling"] == (10, 10)
    modules = {module.path: (module.ns, module.own_ns, module.calls) for module in phase.modules}
    assert modules["h.0.attn"] == (200, 150, 1) and modules["h.0"] == (300, 100, 1)


def test_the_cost_of_clocked_calls_is_taken_off_the_modules_around_them() -> None:
    modules, _, scale = summarise_modules([ClockedStep(500, CLOCKED)], 460, 10.0)
    assert scale == pytest.approx(1)
    spans = {path: (span.ns, span.own_ns) for path, span in modules.items()}
    assert spans[""] == (370, 90) and spans["h.0"] == (280, 90) and spans["cache"] == (50, 50)
    # A machine that was slower with the clock is not the clock's cost.
    assert summarise_modules([ClockedStep(1000, CLOCKED)], 460, 1.0)[2] == pytest.approx(460 / 984)


def test_what_held_up_one_module_in_one_step_is_not_its_own() -> None:
    held_up = CLOCKED | {"cache": ModuleSpan(90, 90, 1)}
    steps = [ClockedStep(500, CLOCKED), ClockedStep(500, CLOCKED), ClockedStep(540, held_up)]
    modules, _, scale = summarise_modules(steps, 500, 0.0)
    assert scale == 1 and modules["cache"].own_ns == 50
    # Each was held up once in another module: the medians of the parts are less than the whole.
    nested = ["", "h.0", "h.0.attn", "cache"]
    steps = [
        ClockedStep(
            600,
            {
                path: ModuleSpan(
                    span.ns + 100 * (nested.index(path) <= nested.index(name)),
                    span.own_ns + 100 * (path == name), 1,
                )
                for path, span in CLOCKED.items()
            },
        )
        for name in nested[1:]
    ]  # fmt: skip
    modules, short, scale = summarise_modules(steps, 600, 0.0)
    assert scale == short == pytest.approx(600 / 500) and modules[""].ns == pytest.approx(500)
    # One factor for both times of a module: without those below it takes no longer than with them.
    assert modules["cache"].own_ns == modules["cache"].ns == 50
    # One that every second step calls is half as much of a step.
    expert = CLOCKED | {"h.0.expert": ModuleSpan(150, 150, 1)}
    modules, _, _ = summarise_modules(
        [ClockedStep(500, CLOCKED), ClockedStep(500, expert)], 500, 0.0
    )
    assert modules["h.0.expert"].calls == 0.5
    assert modules["h.0.expert"].own_ns * 2 == pytest.approx(modules["h.0.attn"].own_ns)
    # Nor is a step that was slower as a whole: its modules keep their shares.
    slower = {path: span.multiply(1.5) for path, span in CLOCKED.items()}
    modules, _, scale = summarise_modules([ClockedStep(750, slower)] * 3, 500, 0.0)
    assert scale == pytest.approx(2 / 3) and modules["h.0.attn"].own_ns == pytest.approx(150)
    steps = [ClockedStep(ns, {}) for ns in (80, 10, 70, 20, 60, 30, 50, 40)]
    assert [step.ns for step in choose_faster_half(steps)] == [10, 20, 30, 40]


def test_the_clock_tells_a_module_from_those_that_it_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module_clock, "perf_counter_ns", iter(range(0, 1000, 10)).__next__)
    clock = ModuleClock()
    inner = clock.wrap(lambda: None, "module:h.0.attn")
    middle = clock.wrap(lambda: (inner(), inner()), "module:h.0")
    outer = clock.wrap(middle, "module:")
    outer()
    clock.mark()
    outer()
    clock.mark()
    (step,) = clock.take_steps([100])
    assert step.calls == 4 and step.ns == 100
    spans = {p: (s.ns, s.own_ns, s.calls, s.inner, s.below) for p, s in step.modules.items()}
    assert spans == {
        "h.0.attn": (20, 20, 2, 0, 0),
        "h.0": (50, 30, 1, 2, 2),
        "": (70, 20, 1, 1, 3),
    }
    failing = clock.wrap(lambda: 1 / 0, "module:bad")
    with pytest.raises(ZeroDivisionError):
        clock.wrap(failing, "module:")()
    assert not clock._open


def test_the_cost_of_a_slice_is_taken_off_the_slice_around_it() -> None:
    step = read(*STEP_SLICES)
    assert step.events == 11
    phase = explain(step, 1000 - 11 * 10, 10.0)
    assert phase.scale == pytest.approx(1)
    parts = {part.kind: part.ns for part in phase.parts}
    assert parts["attention"] == 320 - 10 * (2 + 1)
    assert parts["cache"] == 80 - 10
    assert sum(parts.values()) == phase.step_ns


def test_the_cost_of_a_slice_has_bounds() -> None:
    step = read(*STEP_SLICES)
    assert choose_event_cost([step], 1000, 5.0) == 5, "not longer: no less than measured apart"
    assert choose_event_cost([step], 1000 - 11 * 8, 5.0) == pytest.approx(8)
    assert choose_event_cost([step], 500, 5.0) == 20, "much longer is not the profiler alone"


def test_what_is_left_is_scaled_to_the_step_and_the_factor_is_stated() -> None:
    phase = explain(read(*STEP_SLICES), 500, 0.0)
    assert phase.scale == pytest.approx(0.5)
    assert sum(part.ns for part in phase.parts) == pytest.approx(500, abs=5)


def test_kernels_belong_to_the_module_that_launched_them() -> None:
    step = read(
        mark(0),
        host("module:", 10, 900),
        host("module:h.0", 20, 800),
        host("module:h.0.attn", 30, 700),
        host("aten::mm", 40, 100),
        host("cudaLaunchKernel", 50, 60, 7),
        host("aten::copy_", 200, 300),
        host("cudaMemcpyAsync", 210, 220, 8),
        host("cudaStreamSynchronize", 310, 500, 9),
        mark(1000),
        kernel("sgemm", 400, 650, 7),
        kernel("Memcpy DtoH (Device -> Pageable)", 660, 690, 8),
        kernel("Stream Sync", 310, 500, 9),
    )
    assert step.busy_ns == 250 and step.transfers_ns == 30 and step.waits_ns == 190
    assert step.launches == 1 and dict(step.device) == {"attention": 250}
    assert step.operators["attention", "aten::mm"].device_ns == 250
    assert step.modules["h.0"].device_ns == 250 and step.kernels["sgemm"].calls == 1


def test_the_collector_rests_while_modules_are_clocked_and_is_as_before_after_it() -> None:
    for runs in (False, True):
        (gc.enable if runs else gc.disable)()
        with pytest.raises(ValueError, match="a step"), without_collections():
            assert not gc.isenabled()
            raise ValueError("a step")
        assert gc.isenabled() is runs


def test_compiled_code_is_one_part_and_finding_it_is_no_sampling() -> None:
    step = read(
        mark(0),
        host("TorchDynamo Cache Lookup", 40, 90),
        host("Pregraph bytecode", 92, 98),
        host("Torch-Compiled Region: 0/0", 100, 900),
        host("aten::mm", 200, 300),
        mark(1000),
    )
    assert step.operators["compiled", "aten::mm"].ns == 100
    assert step.operators["compiled", "Torch-Compiled Region: 0/0"].ns == 700
    assert {kind for kind, _ in step.operators} == {"compiled"}


def test_the_usual_steps_are_those_around_the_quarter_point() -> None:
    trees = [StepTree(0, ns) for ns in (80, 10, 70, 20, 60, 30, 50, 40)]
    assert [tree.ns for tree in choose_usual_steps(trees)] == [20, 30]
    assert [tree.ns for tree in choose_usual_steps(trees[:1])] == [80]


def test_a_trace_keeps_the_longest_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txtop.worker.explain.assemble.MOST_SLICES", 4)
    trace = build_trace("c1", "decode", [read(*STEP_SLICES)])
    assert trace.left_out == 8 and len(trace.slices) == 3
    assert all(ns > 170 for _, _, ns, _ in trace.slices)
