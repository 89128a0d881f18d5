"""The time in which a GPU computes, from tables of events as the profiler of torch gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch.autograd import DeviceType

from txtop.errors import TxtopError
from txtop.plan.cell import Cell
from txtop.worker.tasks import device_profile, step_window
from txtop.worker.tasks.device_profile import DeviceActivity, profile_steps, summarise_activity
from txtop.worker.tasks.task import IterationResult, ModelInputs

CPU, CUDA = DeviceType.CPU, DeviceType.CUDA


@dataclass(frozen=True)
class Range:
    """Times in microseconds since the start of the trace."""

    start: float
    end: float


@dataclass(frozen=True)
class Event:
    """The fields of a `FunctionEvent` that are read."""

    name: str
    device_type: DeviceType
    time_range: Range
    is_user_annotation: bool | None = False


def on_cpu(name: str, start: float = 0.0, end: float = 1.0) -> Event:
    return Event(name, CPU, Range(start, end))


def on_gpu(name: str, start: float, end: float, *, annotation: bool = False) -> Event:
    return Event(name, CUDA, Range(start, end), annotation)


GEMM = "void cutlass::Kernel2<cutlass_80_wmma_tensorop_bf16_s161616gemm_bf16_16x16_128x2_tn_align8>"
FLASH = "void pytorch_flash::flash_fwd_splitkv_kernel<...>"
# One eager step: each kernel has a launch of its own, and the device waits for most of them.
EAGER = [
    on_cpu("aten::linear", 0, 30),
    on_cpu("cudaLaunchKernel", 5, 10),
    on_gpu(GEMM, 12.0, 20.0),
    on_cpu("cudaLaunchKernelExC", 35, 40),
    on_gpu(FLASH, 42.0, 45.5),
    on_cpu("cuLaunchKernelEx", 48, 50),
    on_gpu("triton_poi_fused_add_0", 55.0, 56.0),
    on_cpu("cudaMemcpyAsync", 58, 80),
    on_gpu("Memcpy DtoH (Device -> Pageable)", 60.0, 62.0),
    on_cpu("cudaStreamSynchronize", 62, 80),
]
# One launch replays a graph of three kernels, back to back.
GRAPH = [
    on_cpu("cudaGraphLaunch", 0, 8),
    on_gpu(GEMM, 10.0, 18.0),
    on_gpu(FLASH, 18.5, 22.0),
    on_gpu("triton_poi_fused_add_0", 22.5, 23.5),
]
# A copy of the cache on another stream runs beside a kernel, and one kernel lies within another.
STREAMS = [
    on_cpu("cudaLaunchKernel"),
    on_cpu("cudaLaunchKernel"),
    on_gpu(GEMM, 10.0, 20.0),
    on_gpu("Memcpy DtoD (Device -> Device)", 15.0, 25.0),
    on_gpu("void at::native::vectorized_elementwise_kernel<4, ...>", 16.0, 18.0),
    on_gpu("Memset (Device)", 30.0, 31.0),
]
# Ranges with names, and waiting, appear on the device's line over the gaps between kernels.
ANNOTATED = [
    on_gpu("## Call CompiledFxGraph fq3x ##", 0.0, 100.0, annotation=True),
    on_gpu("Context Sync", 0.0, 100.0),
    on_gpu("Stream Sync", 0.0, 100.0),
    on_gpu(GEMM, 12.0, 20.0),
    on_cpu("cudaLaunchKernel"),
]


@pytest.mark.parametrize(
    ("table", "activity"),
    [
        (EAGER, DeviceActivity(busy_ns=12_500, kernels=3, launches=3)),
        (GRAPH, DeviceActivity(busy_ns=12_500, kernels=3, launches=1)),
        (STREAMS, DeviceActivity(busy_ns=16_000, kernels=2, launches=2)),
        (ANNOTATED, DeviceActivity(busy_ns=8_000, kernels=1, launches=1)),
        ([on_cpu("aten::linear")], DeviceActivity(0, 0, 0)),
        ([], DeviceActivity(0, 0, 0)),
    ],
)
def test_the_device_is_busy_for_the_union_of_its_kernels(
    table: list[Event], activity: DeviceActivity
) -> None:
    assert summarise_activity(table) == activity
    assert summarise_activity(list(reversed(table))) == activity


def test_the_real_profiler_gives_the_fields_that_are_read() -> None:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        torch.ones(4) + 1
    assert summarise_activity(profile.events() or ()) == DeviceActivity(0, 0, 0)


class Clock:
    """A clock that moves by itself: a prefill takes 10 ms, step k takes k ms."""

    def __init__(self) -> None:
        self.ns = 0


class FakeTask:
    """A task of a clock, which notes where profilers were on."""

    lags = False

    def __init__(self, clock: Clock, *, encodes: bool = False) -> None:
        self.encodes = encodes
        self._clock = clock
        self.calls: list[int] = []
        self.tokens = 0

    def iterate(
        self,
        inputs: ModelInputs,
        check: bool,
        on_steps: object,
        after_step: Callable[[], None],
        on_tokens: object = None,
    ) -> IterationResult:
        start_ns = self._clock.ns
        self.calls.append(0)
        for token in range(inputs.cell.new_tokens):
            self._clock.ns += 1_000_000 * (token or 10)
            self.calls[-1] += 1
            after_step()
        return IterationResult(start_ns=start_ns, e2e_ns=self._clock.ns - start_ns)


class FakeProfile:
    """A profiler that sees a launch and a kernel of 1 ms in every ms it is on."""

    clock: Clock
    on: list[tuple[int, int]]

    def __init__(self, activities: object) -> None:
        self._span = (0, 0)

    def start(self) -> None:
        self._from_ns = self.clock.ns

    def stop(self) -> None:
        self._span = (self._from_ns, self.clock.ns)
        self.on.append(self._span)

    def __enter__(self) -> FakeProfile:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def events(self) -> list[Event]:
        count = (self._span[1] - self._span[0]) // 1_000_000
        kernels = [on_gpu(GEMM, 1000.0 * i, 1000.0 * i + 500.0) for i in range(count)]
        return [*kernels, *[on_cpu("cudaLaunchKernel")] * count]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    FakeProfile.clock, FakeProfile.on = clock, []
    monkeypatch.setattr(step_window, "perf_counter_ns", lambda: clock.ns)
    monkeypatch.setattr(torch.profiler, "profile", FakeProfile)
    yield clock


def inputs(new_tokens: int) -> ModelInputs:
    cell = Cell(id="c1", model="m", new_tokens=new_tokens)
    return ModelInputs(cell, torch.zeros(1, 1), torch.zeros(1, 1), "")


def lengths_ms() -> list[float]:
    return [(end - start) / 1e6 for start, end in FakeProfile.on]


def test_a_window_of_decode_steps_is_profiled_and_the_call_ends_with_it(clock: Clock) -> None:
    task = FakeTask(clock)
    prefill, decode = profile_steps(task, inputs(100), lambda: None)
    # Steps 2 to 9, whose mean is 5.5 ms.
    assert decode is not None and (decode.steps, decode.host_ns) == (8, 5_500_000)
    assert (decode.busy_ns, decode.kernels, decode.launches) == (2_750_000, 5.5, 5.5)
    assert prefill is not None and (prefill.steps, prefill.host_ns) == (1, 10_000_000)
    assert (prefill.busy_ns, prefill.kernels) == (5_000_000, 10.0)
    # The first use of the profiler counts for nothing.
    assert lengths_ms() == [10.0, 10.0, 44.0]
    assert max(task.calls[1:]) == 10, "a window needs no more tokens"


@pytest.mark.parametrize(("new_tokens", "steps"), [(2, 1), (9, 8), (10, 8)])
def test_a_short_cell_has_fewer_steps(clock: Clock, new_tokens: int, steps: int) -> None:
    _, decode = profile_steps(FakeTask(clock), inputs(new_tokens), lambda: None)
    assert decode is not None and decode.steps == steps


def test_one_new_token_has_no_decode_step(clock: Clock) -> None:
    prefill, decode = profile_steps(FakeTask(clock), inputs(1), lambda: None)
    assert prefill is not None and decode is None


def test_an_encoder_has_one_pass(clock: Clock) -> None:
    prefill, decode = profile_steps(FakeTask(clock, encodes=True), inputs(1), lambda: None)
    assert decode is None and prefill is not None
    assert (prefill.steps, prefill.host_ns, prefill.busy_ns) == (1, 10_000_000, 5_000_000)


def test_the_host_is_timed_before_a_profiler_ran(clock: Clock) -> None:
    """It slows down its process for good."""
    task = FakeTask(clock)
    started: list[int] = []
    start = FakeProfile.start

    def note(self: Any) -> None:
        started.append(len(task.calls))
        start(self)

    FakeProfile.start = note  # type: ignore[method-assign]
    try:
        profile_steps(task, inputs(20), lambda: None)
    finally:
        FakeProfile.start = start  # type: ignore[method-assign]
    assert min(started) >= 1 + 2 * device_profile.PASSES


def test_a_profiler_that_sees_no_kernel_is_no_figure(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeProfile, "events", lambda _: [on_cpu("aten::linear")])
    with pytest.raises(TxtopError, match="saw no kernel"):
        profile_steps(FakeTask(clock), inputs(8), lambda: None)


def test_a_stop_ends_it_and_the_profiler(clock: Clock) -> None:
    class Stopped(Exception):
        pass

    def check() -> None:
        if FakeProfile.on:
            raise Stopped

    with pytest.raises(Stopped):
        profile_steps(FakeTask(clock), inputs(20), check)
    assert len(FakeProfile.on) == 2
