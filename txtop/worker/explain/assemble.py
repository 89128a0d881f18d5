"""The events of an explanation, from the trees of profiled steps and the times without a profiler.

The profiler adds time for each slice that it records, to the slice around it. That cost of a slice
is bounded by what was measured apart (`slice_cost`) and taken off. What is left is scaled to the
step that was timed without the profiler; the factor is stated and says how far the machine repeats
itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from txtop.protocol.events.explain import (
    KernelTime,
    ModuleTime,
    OperatorTime,
    PhaseExplanation,
    PhaseName,
    StepPart,
    TraceSlices,
)
from txtop.worker.explain.profile_tree import LOOP, StepTree, Tally
from txtop.worker.explain.ranges import CACHE

if TYPE_CHECKING:
    from txtop.worker.explain.counting import WorkCounter

K = TypeVar("K")
MOST_COLDER = 4
MOST_MODULES = 2_000
MOST_OPERATORS = 200
MOST_KERNELS = 100
MOST_SLICES = 12_000
_LONGEST_NAME = 200


def choose_usual_steps(trees: list[StepTree]) -> list[StepTree]:
    """Return the steps around the quarter point of their times, a quarter of them, at least one.

    What others on the machine add to a step is not the model's, so the faster ones are looked at.
    """
    ordered = sorted(trees, key=lambda tree: tree.ns)
    first = len(ordered) // 8
    return ordered[first : max(first + 1, round(len(ordered) * 3 / 8))]


@dataclass(frozen=True)
class Correction:
    """From sums over profiled steps to the mean of a step without the profiler."""

    steps: int
    event_ns: float
    scale: float

    def apply(self, tally: Tally) -> int:
        """Return the time of `tally` in one step, in ns."""
        return round(self.scale * max(0.0, tally.ns - self.event_ns * tally.inner) / self.steps)


def choose_event_cost(steps: list[StepTree], step_ns: float, least_ns: float) -> float:
    """Return the cost of a slice, from `least_ns` to four times that.

    `least_ns` is measured apart, in a loop that the processor's caches hold. In a model that fills
    them it is more: as much as the profiled steps are longer, which neighbours can be, too.
    """
    events = sum(tree.events for tree in steps)
    longer_ns = sum(tree.ns for tree in steps) - step_ns * len(steps)
    return min(max(least_ns, longer_ns / events if events else 0.0), MOST_COLDER * least_ns)


def compute_scale(steps: list[StepTree], step_ns: float, event_ns: float) -> float:
    """Return the step over what is left of the profiled ones without the profiler's cost."""
    left_ns = sum(tree.ns - event_ns * tree.events for tree in steps) / len(steps)
    return step_ns / left_ns if left_ns > 0 else 1.0


def build_phase(
    name: PhaseName,
    steps: list[StepTree],
    step_ns: int,
    median_ns: int,
    event_ns: float,
    kinds: Mapping[str, str],
    work: WorkCounter | None,
    on_device: bool,
) -> PhaseExplanation:
    """Build the explanation of a phase from its profiled `steps`; times are means of them."""
    count = len(steps)
    reads = _add(tree.reads for tree in steps)
    scale = compute_scale(steps, step_ns, event_ns)
    correction = Correction(count, event_ns, scale)
    return PhaseExplanation(
        name=name,
        steps=count,
        step_ns=step_ns,
        median_ns=median_ns,
        profiled_ns=round(sum(tree.ns for tree in steps) / count),
        profiler_events=sum(tree.events for tree in steps) / count,
        event_ns=event_ns,
        scale=scale,
        parts=_build_parts(steps, correction, work),
        modules=_build_modules(steps, correction, kinds),
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


def _build_parts(
    steps: list[StepTree], correction: Correction, work: WorkCounter | None
) -> list[StepPart]:
    count = len(steps)
    python: dict[str, Tally] = defaultdict(Tally)
    operators: dict[str, Tally] = defaultdict(Tally)
    device: dict[str, int] = defaultdict(int)
    for tree in steps:
        for kind, tally in tree.python.items():
            python[kind].add(tally.ns, tally.inner, tally.calls)
        for (kind, _), tally in tree.operators.items():
            operators[kind].add(tally.ns, tally.inner, tally.calls)
        for kind, ns in tree.device.items():
            device[kind] += ns
    parts = []
    for kind in python.keys() | operators.keys():
        in_operators = correction.apply(operators[kind])
        in_python = correction.apply(python[kind])
        counted = work.by_kind.get(kind) if work is not None else None
        parts.append(
            StepPart(
                kind=kind,
                ns=in_operators + in_python,
                operators_ns=in_operators,
                device_ns=round(device[kind] / count),
                calls=operators[kind].calls / count,
                read_bytes=counted.read_bytes if counted else None,
                written_bytes=counted.written_bytes if counted else None,
                flops=counted.flops if counted else None,
            )
        )
    return sorted(parts, key=lambda part: -part.ns)


def _build_modules(
    steps: list[StepTree], correction: Correction, kinds: Mapping[str, str]
) -> list[ModuleTime]:
    count = len(steps)
    whole = _merge(tree.modules for tree in steps)
    own = _merge(tree.own for tree in steps)
    modules = [
        ModuleTime(
            path=path,
            kind=CACHE if path == CACHE else kinds.get(path, ""),
            ns=correction.apply(tally),
            own_ns=correction.apply(own[path]),
            device_ns=round(tally.device_ns / count),
            calls=tally.calls / count,
        )
        for path, tally in whole.items()
    ]
    return sorted(modules, key=lambda module: -module.ns)[:MOST_MODULES]


def _build_operators(steps: list[StepTree], correction: Correction) -> list[OperatorTime]:
    count = len(steps)
    operators = [
        OperatorTime(
            name=name[:_LONGEST_NAME],
            kind=kind,
            ns=correction.apply(tally),
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
