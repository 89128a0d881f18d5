"""Hooks of torch that time modules: a measurement that an explanation is compared with.

Its passes take turns with those of the explanation, in one process, so that both see the same
machine. There are two in each turn, before and after: how far these two series are apart says how
well a machine repeats itself.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import median
from time import perf_counter_ns
from typing import Any

from txtop.protocol.events import PhaseExplanation
from txtop.worker.explain.explain import Explainer
from txtop.worker.explain.ranges import REST

SMALL = 0.01
"""The share of a step below which a module is judged by its difference in the step."""


@dataclass(frozen=True)
class HookedStep:
    """A step, and the ns of the modules in it by path."""

    ns: int
    modules: dict[str, int]


@dataclass(frozen=True)
class Agreement:
    """A module's share of a step in an explanation, and by both series of hooks."""

    path: str
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
        steps: list[dict[str, int]] = []
        begun: dict[str, int] = {}
        handles = []

        def begin(path: str) -> None:
            begun[path] = perf_counter_ns()

        def end(path: str) -> None:
            ns = perf_counter_ns() - begun[path]
            if steps:
                steps[-1][path] = steps[-1].get(path, 0) + ns

        for path in list_hooked(self._kinds):
            module = self._model.get_submodule(path)
            handles += [
                module.register_forward_pre_hook(lambda *_, path=path: begin(path)),
                module.register_forward_hook(lambda *_, path=path: end(path)),
            ]
        window = phase.build_window(self._check, mark=lambda: steps.append({}))
        window.run(self._task, self._inputs)
        for handle in handles:
            handle.remove()
        return [
            HookedStep(ns, modules) for ns, modules in zip(window.times_ns, steps, strict=False)
        ]


def compare_with_hooks(phase: PhaseExplanation) -> list[Agreement]:
    """Return each module that hooks saw in the last `HookedExplainer`, the worst first.

    Shares are compared, for a pass may be slower as a whole; of each module the median counts.
    """
    before, after = (
        _compute_shares(HookedExplainer.series[f"{phase.name} {when}"])
        for when in ("before", "after")
    )
    explained = {module.path: module.ns / phase.step_ns for module in phase.modules}
    compared = [Agreement(path, explained[path], before[path], after[path]) for path in before]
    return sorted(compared, key=lambda one: -abs(one.ratio - 1))


def _compute_shares(steps: list[HookedStep]) -> dict[str, float]:
    """Return the share of each module in the faster half of the steps."""
    faster = sorted(steps, key=lambda step: step.ns)[: (len(steps) + 1) // 2]
    step_ns = median(step.ns for step in faster)
    return {
        path: median(step.modules[path] for step in faster) / step_ns for path in faster[0].modules
    }
