"""The tree of a profiled step: which module and operator each slice of time belongs to.

It knows slices and no torch, so that recorded tables can be read in a test. A slice of the host is
an operator, or a range around a module (`ranges`); one of the device is a kernel or a copy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from txtop.worker.explain.ranges import CACHE, PREFIX, STEP
from txtop.worker.tasks.device_profile import (
    COPIES,
    HOST_COPIES,
    LAUNCHES,
    WAITS,
    measure_union,
)

LOOP, SAMPLING, COMPILED = "loop", "sampling", "compiled"
# The last two are what finds the compiled code of a call and enters it.
_COMPILED_CODE = (
    "Torch-Compiled Region",
    "## Call CompiledFxGraph",
    "CompiledFxGraph",
    "TorchDynamo Cache Lookup",
    "Pregraph bytecode",
)
_HOST_WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
# Each reads one value of a tensor on the host: item(), bool(), int(), a print of a tensor.
_READS = ("aten::_local_scalar_dense",)


class Slice(NamedTuple):
    """A stretch of time of the host's thread or, `on_device`, of the device.

    A launch and the kernels that it caused have one `correlation`, 0 for none.
    """

    name: str
    start_ns: int
    end_ns: int
    on_device: bool = False
    correlation: int = 0
    is_range: bool = False

    @property
    def ns(self) -> int:
        return self.end_ns - self.start_ns


@dataclass
class Tally:
    """Sums over slices of one kind: time, calls, and the slices directly within them.

    `inner` times the cost of a profiled slice is what the profiler added to `ns`.
    """

    ns: float = 0.0
    calls: int = 0
    inner: int = 0
    device_ns: float = 0.0

    def add(self, ns: float, inner: int, calls: int = 0, device_ns: float = 0.0) -> None:
        """Add another slice."""
        self.ns += ns
        self.inner += inner
        self.calls += calls
        self.device_ns += device_ns


@dataclass
class StepTree:
    """One profiled step by kind, module and operator; all times with the profiler's cost in them.

    `operators` go by (kind, name), `python` by kind, `modules` by path with all that they call,
    whose time the clock of modules has.
    `waits_ns` and `reads` are of the host, the rest below is of the device.
    """

    start_ns: int
    end_ns: int
    events: int = 0
    operators: dict[tuple[str, str], Tally] = field(default_factory=lambda: defaultdict(Tally))
    python: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    modules: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    device: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    reads: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    kernels: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    launches: int = 0
    waits_ns: int = 0
    busy_ns: int = 0
    transfers_ns: int = 0
    slices: list[Slice] = field(default_factory=list)

    @property
    def ns(self) -> int:
        return self.end_ns - self.start_ns


@dataclass
class _Open:
    """A slice that is not over yet, with what lies within it so far."""

    slice: Slice
    kind: str
    path: str
    is_module: bool
    inner_ns: int = 0
    inner: int = 0
    device_ns: float = 0.0


def split_steps(slices: Iterable[Slice], kinds: Mapping[str, str]) -> list[StepTree]:
    """Build the tree of each step between two marks. `kinds` are those of the modules by path."""
    host: list[Slice] = []
    device: list[Slice] = []
    marks: list[Slice] = []
    for part in slices:
        if part.name == STEP:
            if not part.on_device:
                marks.append(part)
        else:
            (device if part.on_device else host).append(part)
    marks.sort(key=lambda mark: mark.start_ns)
    host.sort(key=lambda part: (part.start_ns, -part.end_ns))
    by_correlation: dict[int, list[Slice]] = defaultdict(list)
    for part in device:
        if not part.is_range and not part.name.startswith(WAITS):
            by_correlation[part.correlation].append(part)
    steps = [StepTree(before.end_ns, after.start_ns) for before, after in pairwise(marks)]
    place = 0
    for step in steps:
        while place < len(host) and host[place].start_ns < step.start_ns:
            place += 1
        first = place
        while place < len(host) and host[place].start_ns < step.end_ns:
            place += 1
        _Builder(step, kinds, by_correlation).build(host[first:place])
    return steps


class _Builder:
    """Builder of one step's tree from its slices of the host, outer before inner."""

    def __init__(
        self, step: StepTree, kinds: Mapping[str, str], launched: Mapping[int, list[Slice]]
    ) -> None:
        self._step = step
        self._kinds = kinds
        self._launched = launched
        self._used: set[int] = set()
        self._intervals: list[tuple[float, float]] = []
        whole = Slice("", step.start_ns, step.end_ns)
        self._stack = [_Open(whole, LOOP, "", is_module=True)]

    def build(self, slices: list[Slice]) -> None:
        """Put every slice into the sums of the step."""
        for part in slices:
            while len(self._stack) > 1 and part.start_ns >= self._stack[-1].slice.end_ns:
                self._close()
            self._open(part)
        while self._stack:
            self._close()
        step = self._step
        step.busy_ns = round(measure_union(self._intervals))

    def _open(self, part: Slice) -> None:
        around = self._stack[-1]
        is_module = part.name.startswith(PREFIX)
        path = part.name[len(PREFIX) :] if is_module else around.path
        if is_module:
            kind = CACHE if path == CACHE else self._kinds.get(path, around.kind)
        elif part.name.startswith(_COMPILED_CODE):
            kind = COMPILED
        else:
            # Outside of the model only operators are sampling: the rest is generate() itself.
            kind = SAMPLING if around.kind == LOOP else around.kind
        step = self._step
        step.events += 1
        step.slices.append(part)
        step.launches += part.name.startswith(LAUNCHES)
        if part.name.startswith(_HOST_WAITS):
            step.waits_ns += part.ns
        if part.name in _READS:
            step.reads[path if around.kind not in (LOOP, SAMPLING) else LOOP] += 1
        opened = _Open(part, kind, path, is_module)
        if part.correlation and part.correlation not in self._used:
            self._add_kernels(opened)
        self._stack.append(opened)

    def _add_kernels(self, launch: _Open) -> None:
        launched = self._launched.get(launch.slice.correlation, ())
        if launched:
            self._used.add(launch.slice.correlation)
        for kernel in launched:
            self._step.slices.append(kernel)
            if kernel.name.startswith(HOST_COPIES):
                self._step.transfers_ns += kernel.ns
                continue
            launch.device_ns += kernel.ns
            self._step.device[launch.kind] += kernel.ns
            around = self._stack[-1]
            operator = launch.slice.name if around.is_module else around.slice.name
            self._step.operators[launch.kind, operator].device_ns += kernel.ns
            self._intervals.append((kernel.start_ns, kernel.end_ns))
            if not kernel.name.startswith(COPIES):
                self._step.kernels[kernel.name].add(kernel.ns, 0, 1)

    def _close(self) -> None:
        over = self._stack.pop()
        part, step = over.slice, self._step
        own_ns = part.ns - over.inner_ns
        total_device = over.device_ns
        if over.is_module:
            step.python[over.kind].add(own_ns, over.inner, 1 if part.name else 0)
            if part.name:
                step.modules[over.path].add(part.ns, 0, 1, total_device)
        else:
            step.operators[over.kind, part.name].add(own_ns, over.inner, 1)
        if not self._stack:
            return
        around = self._stack[-1]
        around.inner_ns += part.ns
        around.inner += 1
        around.device_ns += total_device
