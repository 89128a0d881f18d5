"""The time in which a GPU computes in one step, from the kernels of a profiled pass.

For a worker that is thrown away: the profiler of a device slows down all that its process runs
afterwards. See docs/method.md, "Launch-bound or not".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch.autograd import DeviceType  # type: ignore[attr-defined]

from txtop.errors import TxtopError
from txtop.protocol.events import DevicePhase
from txtop.worker.tasks.step_window import StepWindow
from txtop.worker.tasks.task import ModelInputs, Task

STEPS = 8
"""Decode steps in a profiled window; fewer if the cell has fewer."""
PASSES = 3
"""Passes without a profiler, of which the median is taken."""
_ACTIVITIES = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
# Copies to and from the host do not compute; those within the device's memory do its work.
HOST_COPIES = ("Memcpy HtoD", "Memcpy DtoH")
COPIES = ("Memcpy", "Memset")
# The profiler puts waiting on the device's line of time, too.
# Kernels that exchange data between ranks; they run on while they wait for another rank.
COLLECTIVES = ("nccl",)
WAITS = ("Context Sync", "Stream Sync", "Event Sync", "Stream Wait", "Unknown Sync")
# Calls of the runtime and of the driver, which Triton uses: cudaLaunchKernel, cuLaunchKernelEx.
LAUNCHES = ("cudaLaunch", "cuLaunch", "cudaGraphLaunch", "cuGraphLaunch")


@dataclass(frozen=True)
class DeviceActivity:
    """The activity of a device in a profiled window.

    `busy_ns` is the union of its kernels and of copies within its memory, on all streams, and
    `communication_ns` that of the kernels that exchange data between ranks.
    """

    busy_ns: int
    kernels: int
    launches: int
    communication_ns: int = 0


def summarise_activity(profiled: Iterable[Any]) -> DeviceActivity:
    """Summarise the events of `torch.profiler.profile.events()`.

    Ranges that a program names appear on the device as well, over the gaps between their kernels;
    they and waiting are left out.
    """
    intervals: list[tuple[float, float]] = []
    exchanged: list[tuple[float, float]] = []
    kernels = launches = 0
    for event in profiled:
        name = event.name
        if event.device_type != DeviceType.CUDA:
            launches += name.startswith(LAUNCHES)
        elif not event.is_user_annotation and not name.startswith((*HOST_COPIES, *WAITS)):
            kernels += not name.startswith(COPIES)
            intervals.append((event.time_range.start, event.time_range.end))
            if name.startswith(COLLECTIVES):
                exchanged.append(intervals[-1])
    busy_ns, communication_ns = (
        round(measure_union(spans) * 1000) for spans in (intervals, exchanged)
    )
    return DeviceActivity(busy_ns, kernels, launches, communication_ns)


def measure_union(intervals: list[tuple[float, float]]) -> float:
    """Return the length that the intervals cover, counted once where they overlap."""
    covered, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return covered


def profile_steps(
    task: Task, inputs: ModelInputs, check: Callable[[], None]
) -> tuple[DevicePhase | None, DevicePhase | None]:
    """Return the device's part of the prefill (an encoder's forward pass) and of a decode step.

    The host's time is taken before a profiler ever ran in this process. `check` may raise to end
    this.

    Raises:
        TxtopError: the profiler saw no kernel.
    """
    if task.encodes:
        return _profile_encoder(task, inputs, check), None
    count = min(STEPS, inputs.cell.new_tokens - 1)
    # The first step after the prefill may be another shape.
    first = 1 if inputs.cell.new_tokens - 1 > count else 0
    windows = [(0, 0), (first, count)] if count else [(0, 0)]
    task.iterate(inputs, False, None, check)
    host_ns = [_time_window(task, inputs, window, check) for window in windows]
    _profile_window(task, inputs, windows[0], check)
    phases = [
        _build_phase(_profile_window(task, inputs, window, check), ns, window[1] or 1)
        for window, ns in zip(windows, host_ns, strict=True)
    ]
    return phases[0], phases[1] if count else None


def _time_window(
    task: Task, inputs: ModelInputs, place: tuple[int, int], check: Callable[[], None]
) -> float:
    times_ns = []
    for _ in range(PASSES):
        window = StepWindow(*place, check)
        window.run(task, inputs)
        times_ns.append(window.elapsed_ns)
    return median(times_ns)


def _profile_window(
    task: Task, inputs: ModelInputs, place: tuple[int, int], check: Callable[[], None]
) -> DeviceActivity:
    profile = torch.profiler.profile(activities=_ACTIVITIES)
    StepWindow(*place, check, profile).run(task, inputs)
    return summarise_activity(profile.events() or ())


def _profile_encoder(task: Task, inputs: ModelInputs, check: Callable[[], None]) -> DevicePhase:
    host_ns = median(task.iterate(inputs, False, None, check).e2e_ns for _ in range(1 + PASSES))
    activity = DeviceActivity(0, 0, 0)
    # The first use of the profiler in a process may miss kernels.
    for _ in range(2):
        with torch.profiler.profile(activities=_ACTIVITIES) as profile:
            task.iterate(inputs, False, None, check)
        activity = summarise_activity(profile.events() or ())
    return _build_phase(activity, host_ns, 1)


def _build_phase(activity: DeviceActivity, host_ns: float, steps: int) -> DevicePhase:
    if not activity.kernels:
        raise TxtopError(
            "the profiler of torch saw no kernel", "another profiler may hold the device"
        )
    return DevicePhase(
        steps=steps,
        host_ns=round(host_ns / steps),
        busy_ns=round(activity.busy_ns / steps),
        kernels=activity.kernels / steps,
        launches=activity.launches / steps,
        communication_ns=round(activity.communication_ns / steps),
    )
