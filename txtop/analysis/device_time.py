"""Say from a cell's time on the GPU if its steps are bound by launches, and what helps then.

See docs/method.md, "Launch-bound or not".
"""

from __future__ import annotations

from dataclasses import dataclass

from txtop.formatting import format_share
from txtop.plan.cell import GRAPH_COMPILES
from txtop.protocol.events import DevicePhase
from txtop.state.cell import CellState
from txtop.state.session import SessionState

LAUNCH_BOUND_BELOW = 0.5
"""The share of a step under which the GPU waits for the host more than it computes."""


@dataclass(frozen=True)
class BusyStep:
    """A step of a cell, its `name` for a sentence, and the share of it in which the GPU computes.

    `remedy` is what helps if it is `launch_bound`, else empty.
    """

    name: str
    phase: DevicePhase
    share: float
    remedy: str

    @property
    def launch_bound(self) -> bool:
        return self.share < LAUNCH_BOUND_BELOW

    @property
    def sentence(self) -> str:
        """Return `GPU busy 34 % of a decode step: launch-bound`."""
        verdict = ": launch-bound" if self.launch_bound else ""
        return f"GPU busy {format_share(self.share)} of {self.name}{verdict}"


def compute_busy_share(phase: DevicePhase | None) -> float | None:
    """Return busy over host time, at most 1; None without a phase.

    Under a profiler kernels take a little longer, so a GPU that is always busy may exceed the time
    measured without one.
    """
    return min(1.0, phase.busy_ns / phase.host_ns) if phase and phase.host_ns else None


def find_busy_step(session: SessionState, state: CellState) -> BusyStep | None:
    """Return the step that a cell spends its time in: a decode step, else a prefill or a pass.

    None if its time on the GPU is not known.
    """
    times = session.device_time_of(state.cell.id)
    if times is None:
        return None
    name, phase = "a decode step", times.decode
    if phase is None:
        name = "a forward pass" if state.family == "encoder" else "the prefill"
        phase = times.prefill
    share = compute_busy_share(phase)
    if phase is None or share is None:
        return None
    remedy = _suggest_remedy(state) if share < LAUNCH_BOUND_BELOW else ""
    return BusyStep(name, phase, share, remedy)


def _suggest_remedy(state: CellState) -> str:
    """Return the options that make fewer launches, or more work for each of them."""
    if state.cell.compile in GRAPH_COMPILES:
        return "a larger batch"
    if state.family == "encoder" or state.cell.cache == "static":
        return "--compile reduce-overhead, or a larger batch"
    return "--compile reduce-overhead --cache static, or a larger batch"


def build_device_time_notes(session: SessionState, state: CellState) -> list[str]:
    """Return a note on steps that are bound by launches, and one if the pass failed."""
    times = session.device_times.get(state.cell.id)
    if times is not None and times.failed:
        return [f"no time of the GPU: {times.failed}"]
    step = find_busy_step(session, state)
    return [f"{step.sentence}; {step.remedy} helps"] if step and step.launch_bound else []
