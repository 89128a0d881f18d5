"""The events of an explanation, from the steps that were timed, clocked and profiled.

The time of each module is that of the clock, without a profiler; the profile divides it among
operators and Python. The profiler adds time for each slice that it records, to the slice around it:
that cost is bounded by what was measured apart (`slice_cost`) and taken off before. Compiled code
has no modules to clock, and is profiled alone. The times are scaled to the step that was timed
alone; the factor is stated and says how far the machine repeats itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import TYPE_CHECKING, Protocol, TypeVar

from txtop.protocol.events.explain import (
    KernelTime,
    ModuleTime,
    OperatorTime,
    PhaseExplanation,
    PhaseName,
    StepPart,
    TraceSlices,
)
from txtop.worker.explain.module_clock import ClockedStep, ModuleSpan, take_typical
from txtop.worker.explain.profile_tree import LOOP, SAMPLING, StepTree, Tally
from txtop.worker.explain.ranges import CACHE

if TYPE_CHECKING:
    from txtop.worker.explain.counting import WorkCounter


class _Timed(Protocol):
    @property
    def ns(self) -> int: ...


K = TypeVar("K")
S = TypeVar("S", bound=_Timed)
MOST_COLDER = 4
MOST_MODULES = 2_000
MOST_OPERATORS = 200
MOST_KERNELS = 100
MOST_SLICES = 12_000
_LONGEST_NAME = 200


def choose_usual_steps(trees: list[S]) -> list[S]:
    """Return the steps around the quarter point of their times, a quarter of them, at least one.

    What others on the machine add to a step is not the model's, so the faster ones are looked at.
    """
    ordered = sorted(trees, key=lambda tree: tree.ns)
    first = len(ordered) // 8
    return ordered[first : max(first + 1, round(len(ordered) * 3 / 8))]


@dataclass(frozen=True)
class Correction:
    """From sums over profiled steps to the mean of a step without the profiler.

    `factors` are those of the kinds that were clocked, `scale` that of all others.
    """

    steps: int
    event_ns: float
    scale: float
    factors: Mapping[str, float] = field(default_factory=dict)

    def apply(self, tally: Tally, kind: str) -> int:
        """Return the time of `tally`, of a kind, in one step, in ns."""
        factor = self.factors.get(kind, self.scale)
        return round(factor * max(0.0, tally.ns - self.event_ns * tally.inner) / self.steps)


def choose_cost(longer_ns: float, events: float, least_ns: float) -> float:
    """Return the cost of an event, from `least_ns` to four times that.

    `least_ns` is measured apart, in a loop that the processor's caches hold. In a model that fills
    them it is more: as much as steps with all their `events` were longer, which neighbours can
    make them, too.
    """
    return min(max(least_ns, longer_ns / events if events else 0.0), MOST_COLDER * least_ns)


def choose_event_cost(steps: list[StepTree], step_ns: float, least_ns: float) -> float:
    """Return the cost of a slice in the profiled `steps`."""
    longer_ns = sum(tree.ns for tree in steps) - step_ns * len(steps)
    return choose_cost(longer_ns, sum(tree.events for tree in steps), least_ns)


def compute_scale(steps: list[StepTree], step_ns: float, event_ns: float) -> float:
    """Return the step over what is left of the profiled ones without the profiler's cost."""
    left_ns = sum(tree.ns - event_ns * tree.events for tree in steps) / len(steps)
    return step_ns / left_ns if left_ns > 0 else 1.0


def choose_faster_half(clocked: Iterable[ClockedStep]) -> list[ClockedStep]:
    """Return the faster half of the steps, so that a quarter of all are faster than its median."""
    ordered = sorted(clocked, key=lambda step: step.ns)
    return ordered[: (len(ordered) + 1) // 2]


def summarise_modules(
    clocked: Sequence[ClockedStep], step_ns: int, least_ns: float
) -> tuple[dict[str, ModuleSpan], float, float]:
    """Return the modules of the `clocked` steps, in the time of one that has no clock.

    With them the factor by which their own times still fall short of the step, and the one from
    the clock's times to those of the parts, which do not. `least_ns` is the cost of a clocked call,
    measured apart.

    Of each module, and of what lies outside of them, the median counts: what held up a single
    module in a single step is not its own. Of one that some steps do not call, such as an expert,
    the mean over all steps counts. Medians of parts add up to less than that of the whole.
    """
    calls = fmean(step.calls for step in clocked)
    call_ns = choose_cost(median(step.ns for step in clocked) - step_ns, calls, least_ns)
    spans: dict[str, list[ModuleSpan]] = defaultdict(list)
    whole_ns, outside_ns = [], []
    for step in clocked:
        left_ns = step.ns - call_ns * step.calls
        whole_ns.append(left_ns)
        for path, span in step.modules.items():
            spans[path].append(span.take_off(call_ns))
            left_ns -= spans[path][-1].own_ns
        outside_ns.append(left_ns)
    typical = {path: take_typical(of_steps, len(clocked)) for path, of_steps in spans.items()}
    scale = step_ns / (median(outside_ns) + sum(span.own_ns for span in typical.values()))
    whole = step_ns / median(whole_ns)
    return {path: span.multiply(whole) for path, span in typical.items()}, scale / whole, scale


def compute_factors(
    profiled: Mapping[str, Sequence[Tally]],
    raw: Correction,
    clocked_ns: Mapping[str, float],
    step_ns: int,
) -> dict[str, float]:
    """Return by what the profiled times of each kind are multiplied to add up to the clocked ones.

    Outside of the model, where nothing is clocked, they add up to what is left of the step. `raw`
    only takes off the cost of the profiler.
    """
    if not clocked_ns:
        return {}
    ours = {k: sum(raw.apply(tally, k) for tally in tallies) for k, tallies in profiled.items()}
    factors = {kind: ns / ours[kind] for kind, ns in clocked_ns.items() if ours.get(kind)}
    outside_ns = ours.get(LOOP, 0) + ours.get(SAMPLING, 0)
    left_ns = max(0, step_ns - sum(clocked_ns.values()))
    return factors | dict.fromkeys((LOOP, SAMPLING), left_ns / outside_ns if outside_ns else 1.0)


def build_phase(
    name: PhaseName,
    steps: list[StepTree],
    clocked: Sequence[ClockedStep],
    step_ns: int,
    median_ns: int,
    event_ns: float,
    call_ns: float,
    kinds: Mapping[str, str],
    work: WorkCounter | None,
    on_device: bool,
) -> PhaseExplanation:
    """Build the explanation of a phase from its profiled `steps` and its `clocked` ones."""
    count = len(steps)
    reads = _add(tree.reads for tree in steps)
    modules, short, scale = (
        summarise_modules(clocked, step_ns, call_ns)
        if clocked
        else ({}, 1.0, compute_scale(steps, step_ns, event_ns))
    )
    own_ns: dict[str, float] = defaultdict(float)
    for path, span in modules.items():
        own_ns[_get_kind(path, kinds)] += span.own_ns * short
    python, operators = _tally_by_kind(steps)
    profiled = {kind: (python[kind], operators[kind]) for kind in python.keys() | operators.keys()}
    raw = Correction(count, event_ns, 1.0)
    factors = compute_factors(profiled, raw, own_ns, step_ns)
    correction = Correction(count, event_ns, scale, factors)
    return PhaseExplanation(
        name=name,
        steps=count,
        step_ns=step_ns,
        median_ns=median_ns,
        profiled_ns=round(sum(tree.ns for tree in steps) / count),
        profiler_events=sum(tree.events for tree in steps) / count,
        event_ns=event_ns,
        clocked_ns=round(median(step.ns for step in clocked)) if clocked else 0,
        scale=scale,
        parts=_build_parts(profiled, own_ns, _add(tree.device for tree in steps), correction, work),
        modules=_build_modules(steps, modules, kinds),
        operators=_build_operators(steps, correction),
        kernels=_build_kernels(steps),
        busy_ns=_mean(tree.busy_ns for tree in steps) if on_device else None,
        transfers_ns=_mean(tree.transfers_ns for tree in steps) if on_device else None,
        waits_ns=_mean(tree.waits_ns for tree in steps) if on_device else None,
        launches=sum(tree.launches for tree in steps) / count if on_device else None,
        synchronisations=sum(reads.values()) / count,
        sync_sites=sorted(path for path in reads if path and path != LOOP)[:100],
        converted_bytes=work.converted_bytes if work else 0,
    )


def _get_kind(path: str, kinds: Mapping[str, str]) -> str:
    return CACHE if path == CACHE else kinds.get(path, "")


def _tally_by_kind(steps: list[StepTree]) -> tuple[dict[str, Tally], dict[str, Tally]]:
    """Return the sums of Python and of operators, by kind."""
    python: dict[str, Tally] = defaultdict(Tally)
    operators: dict[str, Tally] = defaultdict(Tally)
    for tree in steps:
        for kind, tally in tree.python.items():
            python[kind].add(tally.ns, tally.inner, tally.calls)
        for (kind, _), tally in tree.operators.items():
            operators[kind].add(tally.ns, tally.inner, tally.calls)
    return python, operators


def _build_parts(
    profiled: Mapping[str, tuple[Tally, Tally]],
    clocked_ns: Mapping[str, float],
    device: Mapping[str, int],
    correction: Correction,
    work: WorkCounter | None,
) -> list[StepPart]:
    count = correction.steps
    parts = []
    for kind in profiled.keys() | clocked_ns.keys():
        python, operators = profiled.get(kind, (Tally(), Tally()))
        in_operators = correction.apply(operators, kind)
        ns = round(clocked_ns.get(kind, in_operators + correction.apply(python, kind)))
        counted = work.by_kind.get(kind) if work is not None else None
        parts.append(
            StepPart(
                kind=kind,
                ns=ns,
                operators_ns=min(in_operators, ns),
                device_ns=round(device.get(kind, 0) / count),
                calls=operators.calls / count,
                read_bytes=counted.read_bytes if counted else None,
                written_bytes=counted.written_bytes if counted else None,
                flops=counted.flops if counted else None,
            )
        )
    return sorted(parts, key=lambda part: -part.ns)


def _build_modules(
    steps: list[StepTree], clocked: Mapping[str, ModuleSpan], kinds: Mapping[str, str]
) -> list[ModuleTime]:
    profiled = _merge(tree.modules for tree in steps)
    modules = [
        ModuleTime(
            path=path,
            kind=_get_kind(path, kinds),
            ns=round(span.ns),
            own_ns=round(span.own_ns),
            device_ns=round(profiled[path].device_ns / len(steps)) if path in profiled else 0,
            calls=span.calls,
        )
        for path, span in clocked.items()
    ]
    return sorted(modules, key=lambda module: -module.ns)[:MOST_MODULES]


def _build_operators(steps: list[StepTree], correction: Correction) -> list[OperatorTime]:
    count = len(steps)
    operators = [
        OperatorTime(
            name=name[:_LONGEST_NAME],
            kind=kind,
            ns=correction.apply(tally, kind),
            device_ns=round(tally.device_ns / count),
            calls=tally.calls / count,
        )
        for (kind, name), tally in _merge(tree.operators for tree in steps).items()
    ]
    return sorted(operators, key=lambda one: -(one.ns + one.device_ns))[:MOST_OPERATORS]


def _build_kernels(steps: list[StepTree]) -> list[KernelTime]:
    kernels = [
        KernelTime(
            name=name[:_LONGEST_NAME],
            ns=round(tally.ns / len(steps)),
            calls=tally.calls / len(steps),
        )
        for name, tally in _merge(tree.kernels for tree in steps).items()
    ]
    return sorted(kernels, key=lambda kernel: -kernel.ns)[:MOST_KERNELS]


def build_trace(cell: str, phase: PhaseName, steps: list[StepTree]) -> TraceSlices:
    """Build the trace of the middle one of `steps`, which are in the order of their times."""
    tree = steps[len(steps) // 2]
    places: dict[str, int] = {}
    slices = [
        (
            places.setdefault(part.name[:_LONGEST_NAME], len(places)),
            max(0, part.start_ns - tree.start_ns),
            part.ns,
            int(part.on_device),
        )
        for part in tree.slices
    ]
    kept = slices
    if len(slices) > MOST_SLICES:
        # The shortest are the ones that a picture would not show either.
        least = sorted((duration for _, _, duration, _ in slices), reverse=True)[MOST_SLICES - 1]
        kept = [one for one in slices if one[2] > least]
    return TraceSlices(
        t_ns=0,
        cell=cell,
        phase=phase,
        names=list(places),
        slices=kept,
        left_out=len(slices) - len(kept),
    )


def _mean(values: Iterable[int]) -> int:
    numbers = list(values)
    return round(sum(numbers) / len(numbers))


def _add(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = defaultdict(int)
    for table in counts:
        for key, value in table.items():
            total[key] += value
    return total


def _merge(tables: Iterable[Mapping[K, Tally]]) -> dict[K, Tally]:
    total: dict[K, Tally] = defaultdict(Tally)
    for table in tables:
        for key, tally in table.items():
            total[key].add(tally.ns, tally.inner, tally.calls, tally.device_ns)
    return total
