"""The judgements of call 2: attention, compilation, caches, int8, faults, two contexts."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from gpu.figures import (
    Finding,
    divide,
    fact,
    is_model,
    judge,
    name_cell,
    select,
    value_of,
)

# A line of TORCH_LOGS: level, month and day, time, process.
LOG_TIME = re.compile(r"[VDIWE](\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.(\d+)")
LEFT_OUT = re.compile(r"left out (\d+) cells? \(.*\): (.+)")
RECORDED = "Recording function"
RECOMPILED = "recompile_limit"


def judge_attention(cells: Sequence[Mapping[str, Any]], text: str, expected: int) -> list[Finding]:
    """Judge that each cell ran the kernel that it asked for, or was rejected with a reason.

    Lines of `text` say which cells were left out before loading.
    """
    left_out = LEFT_OUT.findall(text)
    failed = [f"{name_cell(c)}: {c['reason']}" for c in cells if c["status"] == "failed"]
    other = [c for c in cells if c["status"] not in ("ok", "rejected", "failed")]
    mute = [name_cell(c) for c in cells if c["status"] == "rejected" and not c["reason"]]
    wrong = []
    for cell in cells:
        if cell["status"] != "ok" or cell["attention"] in ("sdpa", "flex"):
            continue
        asked = cell["attention"].removeprefix("sdpa:")
        ran = [k for k in cell["kernels"].values() if k is not None]
        if not ran or any(k != asked for k in ran):
            wrong.append(f"{name_cell(cell)}: {cell['kernels']}")
    lines = [
        f"{name_cell(c)}: {c['status']} {c['reason']} {c['kernels']}, "
        f"TPOT {value_of(c, 'tpot_ms')} ms"
        for c in cells
    ]
    count = len(cells) + sum(int(number) for number, _ in left_out)
    return [
        fact("cells, with those left out", count == expected, f"{count} of {expected}"),
        *(fact("left out", reason, f"{number}: {reason}") for number, reason in left_out),
        fact("some cells ran", any(c["status"] == "ok" for c in cells)),
        fact("no cell failed", not failed, "; ".join(failed)),
        fact("every cell ended", not other, [name_cell(c) for c in other]),
        fact("a rejection has its reason", not mute, mute),
        fact("ran == asked", not wrong, "; ".join(wrong)),
        *(fact("cell", True, line) for line in lines),
    ]


def judge_refusal(
    about: str, code: int, text: str, cells: Sequence[Mapping[str, Any]], loaded: bool
) -> list[Finding]:
    """Judge that a plan that no GPU can run is refused before anything is loaded.

    A refused command line has no cells; cells that were left to the worker are all rejected.
    """
    statuses = {c["status"] for c in cells}
    reason = next((c["reason"] for c in cells if c["reason"]), "") or last_line(text)
    return [
        fact(f"{about}: refused", code == 2 or statuses == {"rejected"}, f"{code} {statuses}"),
        fact(f"{about}: before loading", not loaded),
        fact(f"{about}: with a reason", reason, reason),
    ]


def last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def judge_compiled(
    cells: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]], log: str,
    expected: int,
) -> list[Finding]:  # fmt: skip
    """Judge compiled cells: their kernels, their speed, and what was compiled while measuring."""
    wrong = [f"{name_cell(c)}: {c['status']} {c['reason']}" for c in cells if c["status"] != "ok"]
    eager = [name_cell(c) for c in cells if "eager" in c["kernels"].values()]
    recompiled = [line for line in log.splitlines() if RECOMPILED in line]
    findings = [
        fact("cells", len(cells) == expected, f"{len(cells)} of {expected}"),
        fact("all cells ok", not wrong, "; ".join(wrong)),
        fact("no kernel is called eager", not eager, eager),
        fact(f"no {RECOMPILED}", not recompiled, recompiled[:1]),
        judge("graphs recorded while measuring", float(count_recorded(events, log))),
        fact("graphs recorded in all", True, log.count(RECORDED)),
    ]
    for cache in ("dynamic", "static"):
        plain, graphs = (
            next(iter(select(cells, model="gpt2", compile=mode, cache=cache)), None)
            for mode in ("none", "reduce-overhead")
        )
        if plain is None or graphs is None:
            continue
        ratio = divide(value_of(graphs, "tpot_ms"), value_of(plain, "tpot_ms"))
        if cache == "static":
            findings.append(judge("TPOT, reduce-overhead over none", ratio, cache))
        else:
            # A cache that grows with each token has no graph to replay.
            findings.append(fact(f"TPOT, reduce-overhead over none, {cache}", True, ratio))
    findings += [
        fact("cell", True, f"{name_cell(c)}: {c['kernels']}, TPOT {value_of(c, 'tpot_ms')} ms,"
             f" e2e {value_of(c, 'e2e_ms')} ms, compile {value_of(c, 'load_compile_s')} s,"
             f" GPU busy {busy_share(c)}")
        for c in cells
    ]  # fmt: skip
    return findings


def busy_share(cell: Mapping[str, Any]) -> Any:
    """Return the share of a step in which the GPU computed, by phase; None without a profile."""
    times = cell.get("device_time") or {}
    return {k: times[k]["busy_share"] for k in ("prefill", "decode") if times.get(k)} or None


def count_recorded(events: Sequence[Mapping[str, Any]], log: str) -> int:
    """Count the CUDA graphs that were recorded between measured iterations' starts and ends."""
    header = next((e for e in events if e["kind"] == "header"), None)
    if header is None:
        return 0
    offset_s = header["wall_s"] - header["t_ns"] / 1e9
    year = time.localtime(header["wall_s"]).tm_year
    spans = [
        (offset_s + (e["t_ns"] - e["e2e_ns"]) / 1e9, offset_s + e["t_ns"] / 1e9)
        for e in events
        if e["kind"] == "iteration" and e["role"] == "measured"
    ]
    recorded = 0
    for line in log.splitlines():
        match = LOG_TIME.search(line)
        if match is None or RECORDED not in line:
            continue
        month, day, hour, minute, second = map(int, match.groups()[:5])
        at_s = time.mktime((year, month, day, hour, minute, second, 0, 0, -1))
        at_s += float(f"0.{match[6]}")
        recorded += any(low <= at_s <= high for low, high in spans)
    return recorded


def judge_static_cache(
    mixed: Sequence[Sequence[Mapping[str, Any]]], alone: Sequence[Sequence[Mapping[str, Any]]],
    length: int,
) -> list[Finding]:  # fmt: skip
    """Judge that the short cell is the same after a long one as alone."""
    after = [next(iter(select(cells, sequence_length=length)), None) for cells in mixed]
    first = [next(iter(select(cells, sequence_length=length)), None) for cells in alone]
    if None in after or None in first:
        return [fact("the short cell is there", False, [len(c) for c in (*mixed, *alone)])]
    means = {}
    for metric in ("tpot_ms", "peak_memory_allocated_bytes"):
        sides = ([value_of(c, metric) for c in side if c is not None] for side in (after, first))
        means[metric] = [
            None if any(v is None for v in side) else sum(v or 0.0 for v in side) / len(side)
            for side in sides
        ]
    bad = [name_cell(c) for c in (*after, *first) if c is not None and c["status"] != "ok"]
    return [
        fact("all cells ok", not bad, bad),
        judge("TPOT, after a longer static cache", divide(*means["tpot_ms"])),
        judge(
            "allocated, after a longer static cache", divide(*means["peak_memory_allocated_bytes"])
        ),
    ]


def judge_int8(cells: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Judge int8 beside bf16: a slower one has a note, and compiling does not make it slower."""
    ended = [
        f"{name_cell(c)}: {c['reason']}" for c in cells if c["status"] not in ("ok", "rejected")
    ]
    findings = [fact("no int8 cell failed", not ended, "; ".join(ended))]
    for cell in cells:
        if not cell["precision"].startswith("int8"):
            continue
        base = next(
            (
                c
                for c in cells
                if c["precision"] == "bf16"
                and all(c[k] == cell[k] for k in ("model", "batch_size"))
            ),
            None,
        )
        ratio = divide(value_of(cell, "e2e_ms"), value_of(base, "e2e_ms") if base else None)
        text = f"{ratio:.3g} x of bf16's time" if ratio else f"{cell['status']} {cell['reason']}"
        findings.append(fact(f"int8, {name_cell(cell)}", True, text))
        if cell["compile"] == "none" and ratio is not None and ratio > 1:
            about = [n for n in cell["notes"] if "int8" in n or "torchao" in n or "quantis" in n]
            findings.append(fact(f"a note on slow int8, {name_cell(cell)}", about, about, "gpu"))
        if cell["compile"] == "default":
            eager = next(
                (
                    c
                    for c in cells
                    if c["compile"] == "none"
                    and all(c[k] == cell[k] for k in ("model", "batch_size", "precision"))
                ),
                None,
            )
            times = value_of(cell, "e2e_ms"), value_of(eager, "e2e_ms") if eager else None
            # An eager cell that was rejected as senseless leaves nothing to compare with.
            if None not in times:
                findings.append(
                    judge("int8 compiled over int8 eager", divide(*times), name_cell(cell))
                )
    return findings


def judge_out_of_memory(
    cells: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]
) -> list[Finding]:
    """Judge a cell that asks for too much and the one after it, which a fresh worker measures."""
    by_batch = sorted(cells, key=lambda c: -c["batch_size"])
    ends = {e["cell"]: e for e in events if e["kind"] == "cell_finished"}
    end = ends.get(by_batch[0]["id"], {}) if by_batch else {}
    workers = {e["cell"]: e.get("worker") for e in events if e["kind"] == "cell_started"}
    ids = [c["id"] for c in by_batch]
    return [
        fact("two cells", len(cells) == 2, len(cells)),
        fact("the large one: oom", by_batch and by_batch[0]["status"] == "oom", end),
        fact(
            "the allocation that failed is named", end.get("wanted_bytes"), end.get("wanted_bytes")
        ),
        fact("the small one: ok", by_batch and by_batch[-1]["status"] == "ok"),
        fact("a fresh worker", len({workers.get(i) for i in ids}) == 2, workers),
    ]


def judge_killed(
    run: Sequence[Mapping[str, Any]], killed: bool, freed_s: float | None
) -> list[Finding]:
    """Judge a run whose worker was killed in its first cell."""
    statuses = [c["status"] for c in run]
    return [
        fact("the worker was killed", killed),
        fact("one cell failed", statuses.count("failed") == 1, statuses),
        fact("the other cell is ok", statuses.count("ok") == 1, statuses),
        judge("seconds until the memory is free", freed_s),
    ]


def judge_lost_device(
    cells: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]
) -> list[Finding]:
    """Judge a cell that breaks its CUDA context and the one after it."""
    ends = [e for e in events if e["kind"] == "cell_finished"]
    lost = next((c for c in cells if is_model(c, "lost")), None)
    other = next((c for c in cells if not is_model(c, "lost")), None)
    workers = {e.get("worker") for e in events if e["kind"] == "cell_started"}
    reason = lost["reason"] if lost else ""
    return [
        fact("the cell failed", lost and lost["status"] == "failed", reason),
        fact("the device is named as lost", re.search("CUDA|device|assert", reason), reason, "gpu"),
        fact("the next cell is ok", other and other["status"] == "ok", other and other["reason"]),
        fact("by another worker", len(workers) > 1, sorted(map(str, workers)), "gpu"),
        fact("ends", True, [{k: e.get(k) for k in ("status", "phase", "exit_code", "sticky")}
                            for e in ends]),
    ]  # fmt: skip


def judge_visible(
    hidden: tuple[int, Sequence[Mapping[str, Any]], str],
    by_uuid: tuple[int, Sequence[Mapping[str, Any]]] | None,
    wrong: tuple[int, Sequence[Mapping[str, Any]], str],
) -> list[Finding]:
    """Judge runs with CUDA_VISIBLE_DEVICES empty, a GPU's UUID, and a number that no GPU has.

    Each is exit code, cells and the text on standard error and in notes.
    """
    code, cells, text = hidden
    warned = re.search(r"(?i)\bcpu\b.*\bgpu\b|\bgpu\b.*\bcpu\b", text)
    findings = [
        fact("hidden: on the CPU", [c["device"] for c in cells] == ["cpu"], code),
        fact("hidden: with a warning", warned, warned and warned[0], "gpu"),
    ]
    if by_uuid is not None:
        code, cells = by_uuid
        statuses = [c["status"] for c in cells]
        findings.append(fact("by UUID: ok", statuses == ["ok"], f"{code} {statuses}"))
    code, cells, text = wrong
    clear = "Traceback" not in text and (
        re.search(r"(?i)CUDA_VISIBLE_DEVICES|no GPU|no CUDA|cannot use", text) is not None
    )
    findings.append(fact("no such GPU: a clear line", clear, last_line(text), "gpu"))
    return findings


def judge_two_contexts(
    export: Mapping[str, Any], events: Sequence[Mapping[str, Any]]
) -> list[Finding]:
    """Judge an A/B of the same arm twice, in two contexts on one GPU."""
    comparison = export["comparisons"][0]
    verdict, cells = comparison["verdict"], export["cells"]
    findings = [
        fact("both arms ok", [c["status"] for c in cells] == ["ok", "ok"]),
        fact("no winner between the same", verdict not in ("faster", "slower"), verdict, "timing"),
        judge("blocks of an A/B", float(comparison["blocks"])),
        fact("ratio", True, f"{comparison['ratio']} {comparison['ci95']}, discarded"
             f" {comparison['blocks_discarded']}"),
    ]  # fmt: skip
    for cell in cells:
        device = value_of(cell, "peak_memory_device_bytes")
        allocated = value_of(cell, "peak_memory_reserved_bytes")
        if device is None or allocated is None:
            findings.append(fact(f"device peak, {cell['id']}", True, "withheld"))
            continue
        context = one_context(events)
        about = f"{cell['id']}, {device / 2**20:.0f} MiB"
        share = divide(device, allocated + context) if context else None
        findings.append(judge("device peak over one arm's", share, about))
    return findings


def one_context(events: Sequence[Mapping[str, Any]]) -> float:
    """Return the bytes of a CUDA context, 0.6 GiB as on Hopper, and of what was there before."""
    used = [
        e["values"]["memory_used_bytes"]
        for e in events
        if e["kind"] == "telemetry" and (e.get("values") or {}).get("memory_used_bytes")
    ]
    return 0.6 * 2**30 + (used[0] if used else 0.0)
