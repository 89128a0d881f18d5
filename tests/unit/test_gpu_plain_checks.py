"""The judgements of call 1 of the acceptance run, and its bounds, on made-up results."""

from __future__ import annotations

from typing import Any

import pytest

from gpu import checks_plain, figures, steps_plain
from support.gpu_results import GIB, Cells, Events, cell, failing, spoil


@pytest.mark.parametrize("name", figures.BOUNDS)
def test_every_bound_is_broken_by_a_value_beside_it(name: str) -> None:
    bound = figures.BOUNDS[name]
    inside = bound.low if bound.low is not None else bound.high
    assert figures.judge(name, inside).holds
    assert not figures.judge(name, None).holds
    if bound.low is not None:
        assert not figures.judge(name, bound.low - max(1e-9, abs(bound.low) * 1e-6)).holds
    if bound.high is not None:
        assert not figures.judge(name, bound.high + max(1e-9, bound.high * 1e-6)).holds


def test_a_rehearsal_judges_neither_the_gpu_nor_times() -> None:
    for scope, counts in (("always", True), ("gpu", False), ("timing", False)):
        finding = figures.fact("x", False, scope=scope)  # type: ignore[arg-type]
        assert finding.counts(rehearsal=True) == counts
        assert finding.counts(rehearsal=False)


ENVIRONMENT = {
    "available": True,
    "matmul_precision": "highest",
    "tf32_matmul": False,
    "variables": {},
    "arch_list": ["sm_80", "sm_90"],
    "devices": [{"name": "NVIDIA H100", "uuid": "aaaa-1", "capability": [9, 0]}],
    "nvml": {"GPU-aaaa-1": "NVIDIA H100"},
}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"available": False}, "a CUDA device"),
        ({"matmul_precision": "high"}, "fp32 products"),
        ({"tf32_matmul": True}, "no TF32 in products"),
        ({"variables": {"NVIDIA_TF32_OVERRIDE": "1"}}, "no variable bends numbers"),
        ({"arch_list": ["sm_100"]}, "code for the GPU"),
        ({"nvml": {"GPU-bbbb-2": "NVIDIA H100"}}, "torch's GPU among NVML's"),
    ],
)
def test_the_environment(changes: dict[str, Any], name: str) -> None:
    assert failing(checks_plain.judge_environment(ENVIRONMENT)) == []
    assert failing(checks_plain.judge_environment({**ENVIRONMENT, **changes})) == [name]


def capabilities() -> list[dict[str, str]]:
    names = ("torch", "transformers", "attention", "compile", "cpu", "memory", "cuda", "gpu")
    return [{"capability": n, "state": "ok", "detail": "NVIDIA H100"} for n in names]


def test_doctor() -> None:
    assert failing(checks_plain.judge_doctor(capabilities(), "NVIDIA H100")) == []
    assert failing(checks_plain.judge_doctor(capabilities(), "NVIDIA H200")) == [
        "cuda names it",
        "gpu names it",
    ]
    broken = capabilities()
    broken[3]["state"] = "missing"
    broken[7]["detail"] += ", without energy_j"
    assert failing(checks_plain.judge_doctor(broken, "NVIDIA H100")) == [
        "compile ok",
        "every field of the GPU",
    ]
    assert "torch answers" in failing(checks_plain.judge_doctor(capabilities()[1:], "NVIDIA H100"))


def nvml(cost_ms: float, step_ms: float) -> dict[str, Any]:
    reader = {"speed": "fast", "median_ms": cost_ms, "p99_ms": cost_ms, "cpu_ms": cost_ms}
    return {
        "readers": {"power_w": reader, "energy_j": reader},
        "unsupported": {},
        "energy_steps_ms": [20.0, step_ms],
        "rise": {"instant": {"rise_s": 0.1}},
    }


@pytest.mark.parametrize(
    ("timings", "wrong"),
    [
        (nvml(4.9, 100.0), []),
        (nvml(5.1, 100.0), ["NVML, all fast fields once"]),
        (nvml(4.9, 101.0), ["energy counter, longest step"]),
        ({**nvml(1, 1), "energy_steps_ms": []}, ["energy counter, longest step"]),
        ({**nvml(1, 1), "readers": {}}, ["readers answered", "NVML, all fast fields once"]),
    ],
)
def test_nvml(timings: dict[str, Any], wrong: list[str]) -> None:
    assert failing(checks_plain.judge_nvml(timings)) == wrong


@pytest.mark.parametrize(
    ("text", "counts", "wrong"),
    [
        ("6 passed, 4 deselected in 60.1s", (6, 0), []),
        (
            "1 failed, 5 passed in 60.1s",
            (5, 1),
            ["tests on the GPU that passed", "tests that failed"],
        ),
        ("6 passed, 1 error in 3s", (6, 1), ["tests that failed"]),
        ("6 skipped in 3s", (0, 0), ["tests on the GPU that passed"]),
    ],
)
def test_counts_of_pytest(text: str, counts: tuple[int, int], wrong: list[str]) -> None:
    assert steps_plain.count_tests(text) == counts
    assert failing(checks_plain.judge_tests(*counts)) == wrong


def calls(ms: float, gap: float = 1.0) -> list[dict[str, Any]]:
    return [{"e2e_ms": [ms, ms, 9 * ms], "gaps_ms": [gap] * 200}] * 2


@pytest.mark.parametrize(("cpu", "wrong"), [(100.9, []), (101.1, ["after a profile of the host"])])
def test_the_residue_of_a_profile(cpu: float, wrong: list[str]) -> None:
    times = {"none": calls(100), "cpu": calls(cpu), "cuda": calls(120)}
    assert failing(checks_plain.judge_residue(times)) == wrong


@pytest.mark.parametrize(
    ("arms", "wrong"),
    [
        ({}, []),
        ({"streamer": calls(102)}, ["a streamer", "the worker"]),
        ({"sampler": calls(98.5)}, ["the sampler"]),
        ({"sampler": calls(100, gap=1.06)}, ["the sampler, p99"]),
    ],
)
def test_the_overhead(arms: dict[str, Any], wrong: list[str]) -> None:
    times = {name: calls(100) for name in ("bare", "streamer", "worker", "sampler")}
    assert failing(checks_plain.judge_overhead({**times, **arms})) == wrong


PEAK = "peak_memory"
HALF = "allocated, bf16 over fp32, gpt2"
CHAIN = "weights <= allocated <= reserved <= device"


def grid() -> tuple[Cells, Events]:
    half = {"peak_memory_allocated_bytes": 0.5 * GIB}
    cells = [
        cell("c001", precision="fp32"),
        cell("c002", metrics=half),
        cell("c003", model="bert-base-uncased", family="encoder", precision="fp32"),
        cell("c004", model="bert-base-uncased", family="encoder", metrics=half),
        cell("c005", model="bert-base-uncased", family="encoder", batch_size=32),
    ]
    events: Events = [{"kind": "peaks", "source": "table"}]
    for one in cells:
        events += [
            {"kind": "cell_started", "cell": one["id"], "worker": "w"},
            {"kind": "load", "weight_bytes": GIB // 4},
        ]
    return cells, events


@pytest.mark.parametrize(
    ("index", "changes", "name"),
    [
        (0, {"status": "failed", "reason": "x"}, "all cells ok"),
        (0, {"device": "cpu"}, "all on cuda"),
        (0, {"invalid": True}, "no NaN, no Inf"),
        (0, {"kernels": {"prefill": "eager", "decode": None}}, "kernels named"),
        (0, {"kernels": {"prefill": None, "decode": None}}, "kernels named"),
        (0, {"metrics": {"mbu": 101.0}}, "0 < mbu, mfu < 100 %"),
        (0, {"metrics": {"mfu": 0.0}}, "0 < mbu, mfu < 100 %"),
        (0, {"notes": ["MBU: accounting error"]}, "no accounting error"),
        (0, {"metrics": {f"{PEAK}_reserved_bytes": 0.9 * GIB}}, CHAIN),
        (0, {"metrics": {f"{PEAK}_allocated_bytes": 0.2 * GIB}}, CHAIN),
        (0, {"metrics": {f"{PEAK}_device_bytes": 1.4 * GIB}}, CHAIN),
        (1, {"metrics": {f"{PEAK}_allocated_bytes": 0.61 * GIB}}, HALF),
        (4, {"metrics": {"mfu": 14.0}}, "mfu of BERT, bf16, batch 32"),
    ],
)  # fmt: skip
def test_the_grid(index: int, changes: dict[str, Any], name: str) -> None:
    cells, events = grid()
    assert failing(checks_plain.judge_grid(cells, events, 5, "cuda")) == []
    spoil(cells, index, **changes)
    assert name in failing(checks_plain.judge_grid(cells, events, 5, "cuda"))


def test_the_grid_is_whole_and_its_peaks_are_published() -> None:
    cells, events = grid()
    events[0]["source"] = "probe"
    wrong = failing(checks_plain.judge_grid(cells, events, 27, "cuda"))
    assert wrong == ["cells", "peaks from the table"]
    for one in cells:
        del one["metrics"]["peak_memory_device_bytes"]
    assert "cells with peaks of the device" in failing(checks_plain.judge_memory(cells, events))


def power(work_w: float, joules: float) -> Events:
    def sample(at_s: float, watts: float, energy: float) -> dict[str, Any]:
        values = {"power_w": watts, "energy_j": energy}
        return {"kind": "telemetry", "t_ns": int(at_s * 1e9), "values": values}

    def iteration(role: str, end_s: int, took_s: int) -> dict[str, Any]:
        times = {"t_ns": end_s * 10**9, "e2e_ns": took_s * 10**9}
        return {"kind": "iteration", "cell": "c001", "role": role, **times}

    return [
        sample(1, 100, 0),
        {"kind": "phase", "name": "to_device", "t_ns": int(2e9)},
        iteration("warmup", 3, 1),
        iteration("measured", 6, 2),
        iteration("measured", 9, 3),
        sample(4, work_w, 1000),
        sample(8, work_w, 1000 + joules),
        {"kind": "cell_finished", "cell": "c001", "stopped_by": "budget"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("events", "metrics", "wrong"),
    [
        (power(300, 1200), {}, []),
        (power(300, 1330), {}, ["joules of the counter over integrated power"]),
        (power(300, 1200), {"power_w": 119.0}, ["power over idle"]),
        (power(300, 1200), {"energy_net_j_per_token": 0.0}, ["net joules a token"]),
        ([], {}, ["power over idle", "joules of the counter over integrated power"]),
    ],
)
def test_energy(events: Events, metrics: dict[str, float], wrong: list[str]) -> None:
    assert failing(checks_plain.judge_energy([cell(metrics=metrics)], events)) == wrong
