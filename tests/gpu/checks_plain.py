"""The judgements of call 1: is the plain path true?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

from gpu.figures import (
    Finding,
    divide,
    fact,
    judge,
    judge_statuses,
    middle,
    name_cell,
    quantile,
    select,
    value_of,
)

NAMED_KERNELS = {"flash", "efficient", "cudnn", "math", "flex", "sdpa"}
ACCOUNTING_ERROR = "accounting error"


def judge_environment(facts: Mapping[str, Any]) -> list[Finding]:
    """Judge torch, its flags and the GPUs that torch and NVML name."""
    devices, nvml = facts["devices"], facts["nvml"]
    findings = [
        fact("a CUDA device", facts["available"], [d["name"] for d in devices], "gpu"),
        fact("fp32 products", facts["matmul_precision"] == "highest", facts["matmul_precision"]),
        fact("no TF32 in products", not facts["tf32_matmul"], facts["tf32_matmul"]),
        fact("no variable bends numbers", not facts["variables"], facts["variables"], "gpu"),
    ]
    for device in devices:
        major, minor = device["capability"]
        codes = (f"sm_{major}{minor}", f"sm_{major}{minor}a", f"compute_{major}{minor}")
        # Machine code runs on later minor versions of its major version.
        near = any(code.startswith(f"sm_{major}") for code in facts["arch_list"])
        has_code = near or any(code in facts["arch_list"] for code in codes)
        findings.append(fact("code for the GPU", has_code, f"{codes[0]} in {facts['arch_list']}"))
        uuid = device["uuid"].removeprefix("GPU-")
        same = any(uuid and uuid in name for name in nvml)
        findings.append(fact("torch's GPU among NVML's", same, f"{uuid} in {list(nvml)}"))
    return findings


def judge_doctor(capabilities: Sequence[Mapping[str, str]], gpu_name: str) -> list[Finding]:
    """Judge the answers of `txtop doctor` on a machine with the GPU `gpu_name`."""
    by_name: dict[str, list[Mapping[str, str]]] = {}
    for entry in capabilities:
        by_name.setdefault(entry["capability"], []).append(entry)
    findings = [
        fact(f"{name} answers", name in by_name, "", "always")
        for name in ("torch", "transformers", "attention", "compile", "cpu", "memory")
    ]
    for name in ("cuda", "gpu", "compile"):
        entries = by_name.get(name, [])
        ok = bool(entries) and all(e["state"] == "ok" for e in entries)
        findings.append(fact(f"{name} ok", ok, [e["detail"] for e in entries], "gpu"))
    for name in ("cuda", "gpu"):
        details = " ".join(e["detail"] for e in by_name.get(name, []))
        findings.append(fact(f"{name} names it", gpu_name and gpu_name in details, gpu_name, "gpu"))
    lacking = [e["detail"] for e in by_name.get("gpu", []) if "without" in e["detail"]]
    findings.append(fact("every field of the GPU", not lacking, "; ".join(lacking), "gpu"))
    return findings


def judge_nvml(timings: Mapping[str, Any]) -> list[Finding]:
    """Judge the cost of NVML, the steps of its energy counter, and the rise of its power."""
    readers = timings["readers"]
    fast = [r["median_ms"] for r in readers.values() if r["speed"] == "fast"]
    findings = [
        fact("readers answered", readers, f"{len(readers)}, not {timings['unsupported']}", "gpu"),
        judge("NVML, all fast fields once", sum(fast) if fast else None),
        fact("CPU of the fast fields", True, f"{_cpu_ms(readers, 'fast'):.3g} ms, beside"
             f" {_cpu_ms(readers, 'slow'):.3g} ms of the slow"),
    ]  # fmt: skip
    for name, reader in readers.items():
        cost = f"median {reader['median_ms']:.3g} ms, p99 {reader['p99_ms']:.3g} ms"
        findings.append(fact(f"{reader['speed']} {name}", True, cost))
    steps = timings["energy_steps_ms"]
    findings.append(judge("energy counter, longest step", max(steps, default=None)))
    findings.append(fact("energy counter, steps", True, f"{len(steps)}, median {middle(steps)} ms"))
    for name, rise in timings["rise"].items():
        findings.append(fact(f"power, {name}, to 90 %", True, rise))
    return findings


def _cpu_ms(readers: Mapping[str, Any], speed: str) -> float:
    return float(sum(r["cpu_ms"] for r in readers.values() if r["speed"] == speed))


def judge_tests(passed: int, failed: int) -> list[Finding]:
    """Judge the counts of pytest."""
    return [
        judge("tests on the GPU that passed", float(passed)),
        fact("tests that failed", not failed, failed),
    ]


def judge_residue(times: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Finding]:
    """Judge calls after a profile of the host, of the GPU, and after none."""
    ms = {name: median_call(runs) for name, runs in times.items()}
    findings = [fact(f"a call after {n}", v is not None, _ms(v)) for n, v in ms.items()]
    findings.append(judge("after a profile of the host", divide(ms["cpu"], ms["none"])))
    third = divide(ms["cuda"], ms["none"])
    findings.append(fact("after a profile of the GPU", True, f"{third:.4g} x" if third else "-"))
    return findings


def judge_overhead(times: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Finding]:
    """Judge generate() bare, with a streamer, under txtop's worker, and with the sampler beside."""
    ms = {name: median_call(runs) for name, runs in times.items()}
    p99 = {name: quantile(gaps_of(runs), 0.99) for name, runs in times.items()}
    findings = [
        fact(f"a call, {n}", v is not None, f"{_ms(v)}, p99 of a token {_ms(p99[n])}")
        for n, v in ms.items()
    ]
    return [
        *findings,
        judge("a streamer", divide(ms["streamer"], ms["bare"])),
        judge("the worker", divide(ms["worker"], ms["streamer"])),
        judge("the sampler", divide(ms["sampler"], ms["worker"])),
        judge("the sampler, p99", divide(p99["sampler"], p99["worker"])),
    ]


def _ms(value: float | None) -> str:
    return "no figure" if value is None else f"{value:.4g} ms"


def median_call(runs: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the mean of the processes' medians, so that each has the same weight."""
    medians = [middle(run["e2e_ms"]) for run in runs]
    recorded = [m for m in medians if m is not None]
    return fmean(recorded) if recorded else None


def gaps_of(runs: Sequence[Mapping[str, Any]]) -> list[float]:
    return [gap for run in runs for gap in run["gaps_ms"]]


def judge_grid(
    cells: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]], expected: int,
    device: str,
) -> list[Finding]:  # fmt: skip
    """Judge the grid of models, precisions and batches, and the memory of each cell."""
    findings = judge_statuses(cells, expected, device)
    unnamed, wrong_share, notes = [], [], []
    for cell in cells:
        if cell["status"] != "ok":
            continue
        kernels = [k for k in cell["kernels"].values() if k is not None]
        if not kernels or not all(set(k.split("+")) <= NAMED_KERNELS for k in kernels):
            unnamed.append(f"{name_cell(cell)}: {cell['kernels']}")
        for share in ("mbu", "mfu"):
            # An encoder-decoder has no roofline, an encoder no decoding.
            if share in cell["metrics"] and cell["family"] != "seq2seq":
                finding = judge(share, value_of(cell, share), name_cell(cell))
                if not finding.holds:
                    wrong_share.append(f"{finding.name}: {finding.detail}")
        texts = [*cell["notes"], *(n for m in cell["metrics"].values() for n in m["notes"])]
        notes += [f"{name_cell(cell)}: {n}" for n in texts if ACCOUNTING_ERROR in n]
    findings += [
        fact("kernels named", not unnamed, "; ".join(unnamed)),
        fact("0 < mbu, mfu < 100 %", not wrong_share, "; ".join(wrong_share[:6]), "gpu"),
        fact("no accounting error", not notes, "; ".join(notes)),
        fact("kernels", True, sorted({_kernels(c) for c in cells})),
    ]
    findings += judge_memory(cells, events)
    sources = {e["source"] for e in events if e["kind"] == "peaks"}
    findings.append(fact("peaks from the table", sources == {"table"}, sources, "gpu"))
    for model in sorted({str(c["model"]) for c in cells}):
        full, half = (
            next((value_of(c, "peak_memory_allocated_bytes") for c in cells
                  if str(c["model"]) == model and c["precision"] == p and c["batch_size"] == 1),
                 None)
            for p in ("fp32", "bf16")
        )  # fmt: skip
        findings.append(judge("allocated, bf16 over fp32", divide(half, full), model))
    bert = select(cells, model="bert-base-uncased", precision="bf16", batch_size=32)
    mfu = value_of(bert[0], "mfu") if bert else None
    findings.append(judge("mfu of BERT, bf16, batch 32", mfu))
    return findings


def _kernels(cell: Mapping[str, Any]) -> str:
    model = str(cell["model"]).rpartition("/")[2]
    return f"{model} {cell['precision']}: {cell['kernels']['prefill']}/{cell['kernels']['decode']}"


def judge_memory(
    cells: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]
) -> list[Finding]:
    """Judge weights <= allocated <= reserved <= device for each cell."""
    weights: dict[str, int] = {}
    current, started = 0, ""
    for event in events:
        if event["kind"] == "cell_started":
            started = event["cell"]
        if event["kind"] == "load":
            current = event["weight_bytes"]
        if started:
            weights[started] = current
    wrong, seen = [], 0
    for cell in cells:
        kinds = ("allocated", "reserved", "device")
        sizes = [value_of(cell, f"peak_memory_{kind}_bytes") for kind in kinds]
        if any(size is None for size in sizes):
            continue
        seen += 1
        chain = [float(weights.get(cell["id"], 0)), *(s or 0.0 for s in sizes)]
        if chain != sorted(chain) or chain[0] <= 0:
            wrong.append(f"{name_cell(cell)}: {chain}")
    return [
        fact("weights <= allocated <= reserved <= device", not wrong, "; ".join(wrong), "gpu"),
        fact(
            "cells with peaks of the device", seen == len(cells), f"{seen} of {len(cells)}", "gpu"
        ),
    ]


def judge_energy(
    cells: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]
) -> list[Finding]:
    """Judge power and joules of one cell against the telemetry in the log."""
    cell = cells[0]
    power = value_of(cell, "power_w", "mean")
    idle = idle_power(events)
    net = value_of(cell, "energy_net_j_per_token")
    integral, counter = integrate_cell(events, cell["id"])
    ended = [e for e in events if e["kind"] == "cell_finished"]
    warm = sum(e["kind"] == "iteration" and e["role"] == "warmup" for e in events)
    return [
        fact("cell ok", cell["status"] == "ok", f"{cell['status']} {cell['reason']}"),
        judge("power over idle", divide(power, idle)),
        judge("joules of the counter over integrated power", divide(counter, integral)),
        judge("net joules a token", net),
        fact("power", True, f"{power} W at work, {idle} W before"),
        fact("joules a token", True, value_of(cell, "energy_j_per_token")),
        fact("warm-up", True, f"{warm} iterations; ended by {[e['stopped_by'] for e in ended]}"),
    ]


def gpu_samples(events: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the telemetry of GPUs that carries power."""
    return [
        e
        for e in events
        if e["kind"] == "telemetry" and (e.get("values") or {}).get("power_w") is not None
    ]


def idle_power(events: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the mean power before the first weights were sent to the device."""
    busy = [e["t_ns"] for e in events if e["kind"] == "phase" and e["name"] == "to_device"]
    if not busy:
        return None
    before = [s["values"]["power_w"] for s in gpu_samples(events) if s["t_ns"] < busy[0]]
    return fmean(before) if before else None


def integrate_cell(
    events: Sequence[Mapping[str, Any]], cell: str
) -> tuple[float | None, float | None]:
    """Return the joules of a cell's measured time, by integrated power and by the counter.

    Both between the first and the last sample in that time.
    """
    measured = [
        e
        for e in events
        if e["kind"] == "iteration" and e["cell"] == cell and e["role"] == "measured"
    ]
    if not measured:
        return None, None
    low, high = measured[0]["t_ns"] - measured[0]["e2e_ns"], measured[-1]["t_ns"]
    inside = [s for s in gpu_samples(events) if low <= s["t_ns"] <= high]
    if len(inside) < 2:
        return None, None
    joules = sum(
        (a["values"]["power_w"] + b["values"]["power_w"]) / 2 * (b["t_ns"] - a["t_ns"]) / 1e9
        for a, b in pairwise(inside)
    )
    counters = [s["values"].get("energy_j") for s in inside]
    if counters[0] is None or counters[-1] is None:
        return joules, None
    return joules, counters[-1] - counters[0]
