"""Explain a loaded cell: time its steps, profile them, count their work, and put it together.

The steps are timed before a profiler ever ran in this process; on a CPU, where a profiler leaves
nothing behind, also between the profiled passes, so that both see the same machine.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter_ns
from typing import Any

import torch

from txtop.errors import TxtopError
from txtop.protocol.events.explain import (
    Explanation,
    PhaseExplanation,
    PhaseName,
    TraceSlices,
)
from txtop.system import cpu
from txtop.worker.explain.assemble import (
    build_phase,
    build_trace,
    choose_event_cost,
    choose_faster_half,
    choose_usual_steps,
)
from txtop.worker.explain.counting import KindTracker, WorkCounter
from txtop.worker.explain.module_clock import (
    ClockedStep,
    ModuleClock,
    measure_call_cost,
    without_collections,
)
from txtop.worker.explain.profile_tree import Slice, StepTree, split_steps
from txtop.worker.explain.ranges import STEP, Range, Wrap, list_kinds, wrap_in_range, wrapped_calls
from txtop.worker.explain.slice_cost import measure_slice_cost
from txtop.worker.tasks.kernel_check import identify_kernel
from txtop.worker.tasks.step_window import StepWindow
from txtop.worker.tasks.task import ModelInputs, Task

STEPS = 16
"""Decode steps in a window; fewer if the cell has fewer."""
ROUNDS = 6
"""Passes of each phase: without anything, with the clock of the modules, with the profiler."""
PHASE_S = 4.0
"""The time after which a phase gets no further round."""
PHASE_WORDS = {"prefill": "prefill", "decode": "decode steps", "forward": "forward pass"}
CPU, CUDA = torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA

Check = Callable[[], None]
Announce = Callable[[str], None]
"""Called with each step of the explanation as it begins, in words."""


@dataclass
class _Passes:
    """The steps of one phase: their times alone, with the clock of modules, and profiled."""

    name: PhaseName
    first: int
    count: int
    times_ns: list[int] = field(default_factory=list)
    clocked: list[ClockedStep] = field(default_factory=list)
    trees: list[StepTree] = field(default_factory=list)

    @property
    def step_ns(self) -> int:
        """Return the time than which a quarter of the steps without a profiler were faster."""
        return sorted(self.times_ns)[len(self.times_ns) // 4]

    def build_window(self, check: Check, watch: Any = None, mark: Any = None) -> StepWindow:
        return StepWindow(self.first, self.count, check, watch, mark)


class Explainer:
    """The profiled passes of one loaded cell. The process must not be used for measuring again."""

    def __init__(
        self, task: Task, model: Any, inputs: ModelInputs, check: Check, announce: Announce
    ) -> None:
        self._task, self._model, self._inputs, self._check = task, model, inputs, check
        self._announce = announce
        self._on_device = inputs.ids.device.type == "cuda"
        # The modules of compiled code have no calls of their own, and a range would break it up.
        self._is_compiled = inputs.cell.compile != "none"
        self._kinds = {} if self._is_compiled else list_kinds(model)
        self._event_ns = 0.0
        self._call_ns = measure_call_cost()
        self._notes: list[str] = []

    def run(self) -> tuple[Explanation, list[TraceSlices]]:
        """Explain every phase of the cell.

        Raises:
            TxtopError: the profiler saw no step.
        """
        breaks_before = _count_compilations()
        phases = self._plan_phases()
        # What a first call does once is not of any step; the last phase runs through all of them.
        self._announce("loaded, a first call")
        phases[-1].build_window(self._check).run(self._task, self._inputs)
        for phase in phases:
            self._announce(f"timing the {PHASE_WORDS[phase.name]}")
            deadline_ns = perf_counter_ns() + round(PHASE_S / 2 * 1e9)
            for _ in range(ROUNDS):
                self._time(phase)
                if perf_counter_ns() > deadline_ns:
                    break
        self._announce("what the profiler itself costs")
        self._event_ns = measure_slice_cost(self._inputs.ids.device, self._start_profile)
        # The first profiled pass sets the profiler up.
        self._profile(phases[0], keep=False)
        for phase in phases:
            self._announce(f"profiling the {PHASE_WORDS[phase.name]}")
            self._repeat(phase)
        self._announce("counting bytes and FLOPs, putting the parts together")
        explained = [self._explain(phase) for phase in phases]
        compilations = _count_compilations()
        names = [name for _, name in (key for tree in phases[0].trees for key in tree.operators)]
        return (
            Explanation(
                t_ns=0,
                cell=self._inputs.cell.id,
                phases=[phase for phase, _ in explained],
                threads=torch.get_num_threads(),
                cores=cpu.count_allowed_cores(),
                attention=identify_kernel(names, compiled=self._is_compiled) or "",
                padded_share=1.0 - float(self._inputs.mask.float().mean()),
                graph_breaks=compilations[0],
                recompilations=max(0, compilations[1] - breaks_before[1]),
                notes=self._notes,
            ),
            [trace for _, trace in explained],
        )

    def _plan_phases(self) -> list[_Passes]:
        if self._task.encodes:
            return [_Passes("forward", 0, 1)]
        new = self._inputs.cell.new_tokens
        count = min(STEPS, new - 1)
        # The first step after the prefill may be another shape.
        first = 1 if new - 1 > count else 0
        return [_Passes("prefill", 0, 0), *([_Passes("decode", first, count)] if count else [])]

    def _repeat(self, phase: _Passes) -> None:
        """Profile rounds of a phase. On a CPU the others are repeated as well."""
        deadline_ns = perf_counter_ns() + round(PHASE_S * 1e9)
        for _ in range(ROUNDS):
            self._profile(phase)
            if not self._on_device:
                self._time(phase)
            # A single step may have been anything; a pass of many is enough of a slow model.
            if len(phase.trees) > 1 and perf_counter_ns() > deadline_ns:
                return

    def _time(self, phase: _Passes) -> None:
        """Time the steps of a pass alone, and those of another with the clock of the modules."""
        window = phase.build_window(self._check)
        window.run(self._task, self._inputs)
        phase.times_ns += window.times_ns
        if self._is_compiled:
            return
        clock = ModuleClock()
        with self._wrapped(clock.wrap), without_collections():
            window = phase.build_window(self._check, mark=clock.mark)
            window.run(self._task, self._inputs)
        phase.clocked += clock.take_steps(window.times_ns)

    def _build_profile(self) -> Any:
        return torch.profiler.profile(activities=[CPU, CUDA] if self._on_device else [CPU])

    def _start_profile(self) -> Any:
        profile = self._build_profile()
        profile.start()
        return profile

    def _profile(self, phase: _Passes, *, keep: bool = True) -> None:
        profile = self._build_profile()
        with self._wrapped(wrap_in_range):
            phase.build_window(self._check, profile, _mark).run(self._task, self._inputs)
        trees = split_steps(read_slices(profile), self._kinds)
        if not trees:
            raise TxtopError("the profiler of torch saw no step", "another profiler may be active")
        if keep:
            phase.trees += trees

    def _wrapped(self, wrap: Wrap) -> AbstractContextManager[None]:
        return nullcontext() if self._is_compiled else wrapped_calls(self._model, self._kinds, wrap)

    def _count(self, phase: _Passes) -> WorkCounter | None:
        """Count the work of one step; None for compiled code, which the counter cannot see."""
        if self._is_compiled:
            return None
        counted = _Passes(phase.name, phase.first, min(1, phase.count))
        try:
            with KindTracker(self._model, self._kinds) as tracker:
                counter = WorkCounter(tracker)
                counted.build_window(self._check, counter).run(self._task, self._inputs)
        except (RuntimeError, TypeError, NotImplementedError) as error:
            # An operator of a quantiser that cannot be counted costs the shares of the roofs alone.
            self._notes.append(f"the work of a {phase.name} was not counted: {error}")
            return None
        return counter

    def _explain(self, phase: _Passes) -> tuple[PhaseExplanation, TraceSlices]:
        steps = choose_usual_steps(phase.trees)
        explained = build_phase(
            phase.name,
            steps,
            choose_faster_half(phase.clocked),
            phase.step_ns,
            round(median(phase.times_ns)),
            choose_event_cost(steps, phase.step_ns, self._event_ns),
            self._call_ns,
            self._kinds,
            self._count(phase),
            self._on_device,
        )
        return explained, build_trace(self._inputs.cell.id, phase.name, steps)


def _mark() -> None:
    with Range(STEP):
        pass


def read_slices(profile: Any) -> list[Slice]:
    """Return the slices of a profile that was stopped.

    They are read from the raw results: the public `events()` takes a second for a thousand steps.
    """
    slices = []
    thread = None
    raw = profile.profiler.kineto_results.events()
    for event in raw:
        on_device = event.device_type() != torch.autograd.DeviceType.CPU  # type: ignore[attr-defined]
        if not on_device and event.name() == STEP:
            thread = event.start_thread_id()
    for event in raw:
        on_device = event.device_type() != torch.autograd.DeviceType.CPU  # type: ignore[attr-defined]
        if not on_device and event.start_thread_id() != thread:
            continue
        start_ns = event.start_ns()
        slices.append(
            Slice(
                event.name(),
                start_ns,
                start_ns + event.duration_ns(),
                on_device,
                event.correlation_id(),
                on_device and event.is_user_annotation(),
            )
        )
    return slices


def _count_compilations() -> tuple[int, int]:
    """Return the graph breaks of the compiler in this process, and the graphs that it made."""
    from torch._dynamo.utils import counters

    return sum(counters["graph_break"].values()), counters["stats"]["unique_graphs"]


def explain_cell(
    task: Task,
    model: Any,
    inputs: ModelInputs,
    check: Check,
    announce: Announce = lambda _: None,
) -> tuple[Explanation, list[TraceSlices]]:
    """Explain `inputs.cell`, whose model is loaded. `check` may raise to end this;
    `announce` is told each step.
    """
    return Explainer(task, model, inputs, check, announce).run()
