"""The judgements of call 2 of the acceptance run on made-up results."""

from __future__ import annotations

import time

import pytest

from gpu import checks_modes
from support.gpu_results import GIB, Cells, Events, ab, cell, failing, spoil


def test_attention_that_ran_as_asked() -> None:
    flash = cell(attention="sdpa:flash", kernels={"prefill": "flash", "decode": "flash"})
    refused = cell(status="rejected", reason="no kernel", kernels={"prefill": None, "decode": None})
    left = "left out 2 cells (gpt2, …): sdpa:flash takes no mask"
    good = [flash, refused]
    assert failing(checks_modes.judge_attention(good, left, 4)) == []
    assert failing(checks_modes.judge_attention(good, "", 4)) == ["cells, with those left out"]
    other = {**flash, "kernels": {"prefill": "flash", "decode": "math"}}
    assert failing(checks_modes.judge_attention([other], "", 1)) == ["ran == asked"]
    unseen = {**flash, "kernels": {"prefill": None, "decode": None}}
    assert failing(checks_modes.judge_attention([unseen], "", 1)) == ["ran == asked"]
    mute = {**refused, "reason": ""}
    assert failing(checks_modes.judge_attention([flash, mute], "", 2)) == [
        "a rejection has its reason"
    ]
    failed = {**flash, "status": "failed"}
    assert failing(checks_modes.judge_attention([flash, failed], "", 2)) == ["no cell failed"]
    assert "some cells ran" in failing(checks_modes.judge_attention([refused], "", 1))


def test_a_refusal_before_loading() -> None:
    refused = [cell(status="rejected", reason="takes no mask")]
    assert failing(checks_modes.judge_refusal("x", 2, "txtop: takes no mask", [], False)) == []
    assert failing(checks_modes.judge_refusal("x", 1, "", refused, False)) == []
    assert failing(checks_modes.judge_refusal("x", 1, "", refused, True)) == ["x: before loading"]
    assert failing(checks_modes.judge_refusal("x", 0, "a", [cell()], True)) == [
        "x: refused",
        "x: before loading",
    ]
    assert failing(checks_modes.judge_refusal("x", 2, "\n", [], False)) == ["x: with a reason"]


def compiled(ratio: float = 0.5) -> Cells:
    graphs = {"prefill": "cudnn", "decode": None}
    return [
        cell("c001", cache="static"),
        cell("c002", cache="static", compile="reduce-overhead", kernels=graphs,
             metrics={"tpot_ms": 5.0 * ratio}),
    ]  # fmt: skip


def recorded(at_s: float) -> tuple[Events, str]:
    """Return events of a measured second at noon, and a log that records a graph at `at_s`."""
    noon = time.mktime((2026, 11, 28, 12, 0, 0, 0, 0, -1))
    times = {"t_ns": int(16e9), "e2e_ns": int(1e9)}
    events = [
        {"kind": "header", "wall_s": noon, "t_ns": int(5e9)},
        {"kind": "iteration", "role": "measured", "cell": "c002", **times},
    ]
    second, share = divmod(at_s, 1)
    line = f"V1128 12:00:{int(second):02d}.{int(share * 1e6):06d} 77 torch/x.py:9] [0/0]"
    return events, f"{line} Recording function=3, mode=forward\n"


@pytest.mark.parametrize(("at_s", "count"), [(9.0, 0), (10.5, 1), (11.5, 0)])
def test_graphs_that_were_recorded_while_measuring(at_s: float, count: int) -> None:
    events, log = recorded(at_s)
    assert checks_modes.count_recorded(events, log) == count
    assert checks_modes.count_recorded(events, log.replace("Recording", "Replaying")) == 0
    wrong = failing(checks_modes.judge_compiled(compiled(), events, log, 2))
    assert wrong == ["graphs recorded while measuring"] * count


def test_compiled_cells() -> None:
    def wrong(cells: Cells, log: str = "", expected: int = 2) -> list[str]:
        return failing(checks_modes.judge_compiled(cells, [], log, expected))

    assert wrong(compiled()) == []
    assert wrong(compiled(0.7)) == ["TPOT, reduce-overhead over none, static"]
    assert wrong(compiled(), "W torch hit config.recompile_limit (8)") == ["no recompile_limit"]
    assert wrong(compiled(), expected=3) == ["cells"]
    eager = compiled()
    eager[1]["kernels"] = {"prefill": "eager", "decode": None}
    assert wrong(eager) == ["no kernel is called eager"]
    failed = compiled()
    failed[1]["status"] = "failed"
    assert wrong(failed) == ["all cells ok"]


@pytest.mark.parametrize(
    ("tpot", "allocated", "wrong"),
    [
        (5.1, 1.0, []),
        (5.2, 1.0, ["TPOT, after a longer static cache"]),
        (5.0, 1.01, ["allocated, after a longer static cache"]),
    ],
)
def test_a_static_cache_after_a_longer_one(tpot: float, allocated: float, wrong: list[str]) -> None:
    metrics = {"tpot_ms": tpot, "peak_memory_allocated_bytes": allocated * GIB}
    mixed = [[cell(sequence_length=900), cell(sequence_length=64, metrics=metrics)]] * 2
    alone = [[cell(sequence_length=64)]] * 2
    assert failing(checks_modes.judge_static_cache(mixed, alone, 64)) == wrong
    missing = checks_modes.judge_static_cache([[]], alone, 64)
    assert failing(missing) == ["the short cell is there"]


def test_int8_beside_bf16() -> None:
    base = cell(metrics={"e2e_ms": 100.0})
    eager = cell(precision="int8:dynamic", metrics={"e2e_ms": 150.0}, notes=["eager torchao: slow"])
    fast = cell(precision="int8:dynamic", compile="default", metrics={"e2e_ms": 90.0})
    assert failing(checks_modes.judge_int8([base, eager, fast])) == []
    silent = {**eager, "notes": []}
    assert failing(checks_modes.judge_int8([base, silent, fast])) == [
        "a note on slow int8, gpt2 int8:dynamic sdpa b1"
    ]
    slow = cell(precision="int8:dynamic", compile="default", metrics={"e2e_ms": 160.0})
    assert failing(checks_modes.judge_int8([base, eager, slow])) == [
        "int8 compiled over int8 eager, gpt2 int8:dynamic sdpa b1 default"
    ]
    crashed = {**fast, "status": "failed", "reason": "_int_mm", "metrics": {}}
    assert failing(checks_modes.judge_int8([base, eager, crashed])) == ["no int8 cell failed"]


def test_out_of_memory() -> None:
    cells = [cell("c001", batch_size=8192, status="oom"), cell("c002")]
    events: Events = [
        {"kind": "cell_started", "cell": "c001", "worker": "worker:1"},
        {"kind": "cell_finished", "cell": "c001", "wanted_bytes": 9 * GIB},
        {"kind": "cell_started", "cell": "c002", "worker": "worker:2"},
    ]
    assert failing(checks_modes.judge_out_of_memory(cells, events)) == []
    events[1]["wanted_bytes"] = None
    events[2]["worker"] = "worker:1"
    cells[0]["status"], cells[1]["status"] = "failed", "oom"
    assert failing(checks_modes.judge_out_of_memory(cells, events)) == [
        "the large one: oom",
        "the allocation that failed is named",
        "the small one: ok",
        "a fresh worker",
    ]


def test_a_killed_worker() -> None:
    cells = [cell(status="failed"), cell()]
    assert failing(checks_modes.judge_killed(cells, True, 4.9)) == []
    late = "seconds until the memory is free"
    assert failing(checks_modes.judge_killed(cells, True, 5.1)) == [late]
    assert failing(checks_modes.judge_killed(cells, True, None)) == [late]
    assert failing(checks_modes.judge_killed([cell()], False, 1.0)) == [
        "the worker was killed",
        "one cell failed",
    ]


def test_a_lost_device() -> None:
    cells = [cell("c001", model="/tmp/lost", status="failed", reason="CUDA error"), cell("c002")]
    events = [{"kind": "cell_started", "worker": f"worker:{n}"} for n in (1, 2)]
    assert failing(checks_modes.judge_lost_device(cells, events)) == []
    assert failing(checks_modes.judge_lost_device(cells, events[:1])) == ["by another worker"]
    cells[1]["status"] = "failed"
    cells[0].update(status="ok", reason="")
    assert failing(checks_modes.judge_lost_device(cells, events)) == [
        "the cell failed",
        "the device is named as lost",
        "the next cell is ok",
    ]


def test_visible_devices() -> None:
    on_cpu = [cell(device="cpu")]
    warning = "on the CPU: torch cannot use the NVIDIA GPU of this machine"
    wrong = (1, [], "no GPU is visible (CUDA_VISIBLE_DEVICES='9')")
    judge = checks_modes.judge_visible
    assert failing(judge((0, on_cpu, warning), (0, [cell()]), wrong)) == []
    assert failing(judge((0, on_cpu, "ok"), None, wrong)) == ["hidden: with a warning"]
    assert failing(judge((0, [cell()], warning), None, wrong)) == ["hidden: on the CPU"]
    failed = (1, [cell(status="failed")])
    assert failing(judge((0, on_cpu, warning), failed, wrong)) == ["by UUID: ok"]
    trace = (1, [], "Traceback\nno GPU is visible")
    assert failing(judge((0, on_cpu, warning), None, trace)) == ["no such GPU: a clear line"]


def test_two_contexts_on_one_gpu() -> None:
    events: Events = [{"kind": "telemetry", "values": {"memory_used_bytes": 0.5 * GIB}}]
    judge = checks_modes.judge_two_contexts
    assert failing(judge(ab(), events)) == []
    assert failing(judge(ab("faster"), events)) == ["no winner between the same"]
    assert failing(judge(ab(blocks=9), events)) == ["blocks of an A/B"]
    both = ab()
    spoil(both["cells"], 0, metrics={"peak_memory_device_bytes": 5.0 * GIB})
    assert failing(judge(both, events)) == ["device peak over one arm's, c001, 5120 MiB"]
    withheld = ab()
    del withheld["cells"][0]["metrics"]["peak_memory_device_bytes"]
    assert failing(judge(withheld, events)) == []
