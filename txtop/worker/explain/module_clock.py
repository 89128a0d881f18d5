"""A clock of the modules in steps without a profiler: read as each of them begins and ends.

A profiler slows small operators more than large ones, by an amount that no constant describes. A
clocked call costs the module around it about a microsecond, which is measured apart and taken off.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from statistics import fmean, median
from time import perf_counter_ns
from typing import Any

from txtop.worker.explain.ranges import PREFIX

_REPEATS, _CALLS = 5, 1000


@dataclass
class ModuleSpan:
    """The time of one module in a step: `ns` with all that it calls, `own_ns` without modules.

    It called `inner` modules itself, `below` with those that they called.
    """

    ns: float = 0
    own_ns: float = 0
    calls: float = 0
    inner: int = 0
    below: int = 0

    def multiply(self, factor: float) -> ModuleSpan:
        """Return the span with its times multiplied by `factor`."""
        return ModuleSpan(self.ns * factor, self.own_ns * factor, self.calls)

    def take_off(self, call_ns: float) -> ModuleSpan:
        """Return the span without the cost of the clocked calls in it."""
        ns = max(0.0, self.ns - call_ns * self.below)
        own_ns = max(0.0, self.own_ns - call_ns * self.inner)
        return ModuleSpan(ns, min(ns, own_ns), self.calls)


def take_typical(spans: Sequence[ModuleSpan], steps: int) -> ModuleSpan:
    """Return the median times of a module that each of `steps` called, else the mean of all."""
    if len(spans) < steps:
        return ModuleSpan(
            sum(span.ns for span in spans) / steps,
            sum(span.own_ns for span in spans) / steps,
            sum(span.calls for span in spans) / steps,
        )
    return ModuleSpan(
        median(span.ns for span in spans),
        median(span.own_ns for span in spans),
        fmean(span.calls for span in spans),
    )


Spans = dict[str, ModuleSpan]


@dataclass(frozen=True)
class ClockedStep:
    """A step, and the modules in it by path."""

    ns: int
    modules: Spans

    @property
    def calls(self) -> float:
        """Return the number of clocked calls."""
        return sum(span.calls for span in self.modules.values())


@dataclass
class ModuleClock:
    """The spans between the marks: `mark` begins a step, and ends the one before."""

    spans: list[Spans] = field(default_factory=list)
    # Of each open module: the time of modules in it, how many it called, and how many ran in it.
    _open: list[list[int]] = field(default_factory=list)

    def mark(self) -> None:
        """Begin another step."""
        self.spans.append(defaultdict(ModuleSpan))

    def wrap(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Return `call` with its time taken."""
        path, opened = name.removeprefix(PREFIX), self._open

        @wraps(call)
        def clocked(*args: Any, **named: Any) -> Any:
            opened.append([0, 0, 0])
            from_ns = perf_counter_ns()
            try:
                return call(*args, **named)
            finally:
                ns = perf_counter_ns() - from_ns
                inner_ns, inner, below = opened.pop()
                if opened:
                    around = opened[-1]
                    around[0] += ns
                    around[1] += 1
                    around[2] += 1 + below
                if self.spans:
                    span = self.spans[-1][path]
                    span.ns += ns
                    span.own_ns += ns - inner_ns
                    span.calls += 1
                    span.inner += inner
                    span.below += below

        return clocked

    def take_steps(self, times_ns: list[int]) -> list[ClockedStep]:
        """Return the steps, which took `times_ns` each; what came after the last mark is none."""
        return [
            ClockedStep(ns, dict(spans)) for ns, spans in zip(times_ns, self.spans, strict=False)
        ]


@contextmanager
def without_collections() -> Iterator[None]:
    """Keep Python's collector from running.

    What a clock keeps of each call would make it run, and at the same module in every pass: in a
    prefill of 30 layers that module took 8 % longer than it does.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def measure_call_cost() -> float:
    """Return the ns that a clocked call costs: the fastest of some repeats, as others only add."""
    clock = ModuleClock()
    clock.mark()

    def call() -> None:
        return None

    def run(function: Callable[[], None]) -> int:
        from_ns = perf_counter_ns()
        for _ in range(_CALLS):
            function()
        return perf_counter_ns() - from_ns

    clocked = clock.wrap(call, "cost")
    plain_ns = min(run(call) for _ in range(_REPEATS))
    return max(0, min(run(clocked) for _ in range(_REPEATS)) - plain_ns) / _CALLS
