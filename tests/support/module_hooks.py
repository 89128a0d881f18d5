"""Hooks of torch that time modules: a measurement that an explanation is compared with.

Its passes take turns with those of the explanation, in one process, so that both see the same
machine. There are two in each turn, before and after: how far these two series are apart says how
well a machine repeats itself.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter_ns
from typing import Any

from torch import nn

from txtop.protocol.events import PhaseExplanation
from txtop.worker.explain.explain import Explainer
from txtop.worker.explain.ranges import REST

_CALLS = 1000
SMALL = 0.01
"""The share of a step below which a module is judged by its difference in the step."""


@dataclass(frozen=True)
class HookedStep:
    """A step, and the ns of the modules in it by path."""

    ns: int
    modules: dict[str, int]


@dataclass(frozen=True)
class Agreement:
    """A module's time in an explanation, and by both series of hooks, as shares of the step."""

    path: str
    kind: str
    share: float
    before: float
    after: float

    @property
    def by_hooks(self) -> float:
        """Return the mean of both series."""
        return (self.before + self.after) / 2

    @property
    def ratio(self) -> float:
        """Return the explained share over that by hooks."""
        return _compute_ratio(self.share, self.by_hooks)

    @property
    def own_ratio(self) -> float:
        """Return the share by the later series of hooks over that by the earlier one."""
        return _compute_ratio(self.after, self.before)


def _compute_ratio(share: float, other: float) -> float:
    """Return a ratio of shares; that of a small module is as if it had `SMALL` of the step."""
    return 1 + (share - other) / max(other, SMALL)


def list_hooked(kinds: dict[str, str]) -> list[str]:
    """Return the modules with a kind that lie in no other such: none holds a hook within."""
    paths: list[str] = []
    for path, kind in kinds.items():
        if kind != REST and not any(path.startswith(f"{outer}.") for outer in paths):
            paths.append(path)
    return paths


class _Hooks:
    """Hooks on modules: `steps` has the ns of each by path, since a mark."""

    def __init__(self, modules: dict[str, nn.Module]) -> None:
        self.steps: list[dict[str, int]] = []
        self._begun: dict[str, int] = {}
        self._handles: list[Any] = []
        for path, module in modules.items():
            self._handles += [
                module.register_forward_pre_hook(lambda *_, path=path: self._begin(path)),
                module.register_forward_hook(lambda *_, path=path: self._end(path)),
            ]

    def mark(self) -> None:
        self.steps.append({})

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()

    def _begin(self, path: str) -> None:
        self._begun[path] = perf_counter_ns()

    def _end(self, path: str) -> None:
        ns = perf_counter_ns() - self._begun[path]
        if self.steps:
            self.steps[-1][path] = self.steps[-1].get(path, 0) + ns


def measure_empty_ns() -> float:
    """Return what hooks read of a module that does nothing."""
    empty = nn.Identity()
    hooks = _Hooks({"empty": empty})
    for _ in range(_CALLS):
        hooks.mark()
        empty(None)
    return median(step["empty"] for step in hooks.steps)


class HookedExplainer(Explainer):
    """Explain a cell, with passes that hooks time around each that has the clock of modules."""

    series: dict[str, list[HookedStep]]
    """The steps of the last explanation, by phase and whether they came before or after."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        HookedExplainer.series = defaultdict(list)

    def _time(self, phase: Any) -> None:
        self.series[f"{phase.name} before"] += self._time_by_hooks(phase)
        super()._time(phase)
        self.series[f"{phase.name} after"] += self._time_by_hooks(phase)

    def _time_by_hooks(self, phase: Any) -> list[HookedStep]:
        modules = {path: self._model.get_submodule(path) for path in list_hooked(self._kinds)}
        hooks = _Hooks(modules)
        window = phase.build_window(self._check, mark=hooks.mark)
        window.run(self._task, self._inputs)
        hooks.remove()
        return [HookedStep(*step) for step in zip(window.times_ns, hooks.steps, strict=False)]


def compare_with_hooks(phase: PhaseExplanation) -> list[Agreement]:
    """Return each module that hooks saw in the last `HookedExplainer`, the worst first.

    Most of what hooks cost lies outside of the modules, so that a step with hooks is longer; what
    they read of a module that does nothing is taken off.
    """
    both = [
        _time_modules(HookedExplainer.series[f"{phase.name} {when}"])
        for when in ("before", "after")
    ]
    by_step, empty_ns = 1 / phase.step_ns, measure_empty_ns()
    modules = (module for module in phase.modules if module.path in both[0])
    compared = [
        Agreement(
            module.path,
            module.kind,
            module.ns * by_step,
            *((series[module.path] - module.calls * empty_ns) * by_step for series in both),
        )
        for module in modules
    ]
    return sorted(compared, key=lambda one: -abs(one.ratio - 1))


def divide_by_sums(compared: list[Agreement]) -> list[Agreement]:
    """Return shares of the time of all hooked modules, in place of shares of a step.

    They do not say whether a series passed more slowly as a whole.
    """
    ours = sum(one.share for one in compared)
    before, after = sum(one.before for one in compared), sum(one.after for one in compared)
    return [
        replace(one, share=one.share / ours, before=one.before / before, after=one.after / after)
        for one in compared
    ]


def sum_by_kind(compared: list[Agreement]) -> list[Agreement]:
    """Return the sums over the modules of each kind, the worst first."""
    kinds: dict[str, list[Agreement]] = defaultdict(list)
    for one in compared:
        kinds[one.kind].append(one)
    sums = [
        Agreement(
            kind,
            kind,
            sum(one.share for one in ones),
            sum(one.before for one in ones),
            sum(one.after for one in ones),
        )
        for kind, ones in kinds.items()
    ]
    return sorted(sums, key=lambda one: -abs(one.ratio - 1))


def _time_modules(steps: list[HookedStep]) -> dict[str, float]:
    """Return the median ns of each module in the faster half of the steps."""
    faster = sorted(steps, key=lambda step: step.ns)[: (len(steps) + 1) // 2]
    return {path: median(step.modules[path] for step in faster) for path in faster[0].modules}
