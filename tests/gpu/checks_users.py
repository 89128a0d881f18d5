"""The judgements of call 3: what users come for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gpu.checks_modes import last_line
from gpu.figures import Finding, divide, fact, judge, name_cell, quantile, value_of

GOOD_BADGES = ("lossless-like", "minor")
CONTINUOUS_SINCE = "5.18"


def judge_pretrained_ab(export: Mapping[str, Any]) -> list[Finding]:
    """Judge an A/B of fp32 and bf16 of pretrained weights."""
    cells, comparison = export["cells"], export["comparisons"][0]
    fidelity = comparison["fidelity"] or {}
    badge = fidelity.get("badge")
    return [
        fact("both arms ok", [c["status"] for c in cells] == ["ok", "ok"],
             [c["reason"] for c in cells if c["reason"]]),
        fact("pretrained", {c["weights"] for c in cells} == {"pretrained"}),
        fact("a verdict or why not", comparison["verdict"] or comparison["notes"],
             f"{comparison['verdict']} {comparison['ratio']} {comparison['ci95']}"),
        fact("the badge of bf16", badge in GOOD_BADGES, f"{badge}, KLD {fidelity.get('kld')}",
             "gpu"),
        judge("perplexity, bf16 over fp32", fidelity.get("ppl_ratio")),
        judge("floor of the comparison", fidelity.get("kld_floor")),
    ]  # fmt: skip


def judge_int8_output(cells: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Judge the output of int8 against fp32."""
    findings = [fact("all cells ok", all(c["status"] == "ok" for c in cells),
                     [f"{name_cell(c)} {c['reason']}" for c in cells if c["reason"]])]  # fmt: skip
    compared = [c for c in cells if c["precision"].startswith("int8") and c["fidelity"]]
    findings.append(fact("int8 was compared", compared, [c["recipe"] for c in compared]))
    for cell in compared:
        fidelity = cell["fidelity"]
        # Without a KLD above the floor the output is as good as the same.
        kld = fidelity["kld"]
        if kld is None and fidelity["kld_floor"] is not None:
            kld = 0.0
        about = f"{fidelity['badge']}, top-1 {fidelity['top1']}"
        findings.append(judge("KLD of int8", kld, about))
    return findings


def judge_versions(
    versions: Sequence[str], comparison: Mapping[str, Any], code: int
) -> list[Finding]:
    """Judge `txtop compare` of two versions of transformers, two sessions a side."""
    findings = [
        fact("two versions", len(set(versions)) == 2, versions, "gpu"),
        fact("comparable", comparison["cells"] and comparison["outcome"] != "not comparable",
             comparison["outcome"]),
        fact("exit code", code in (0, 1, 3) and code == comparison["exit_code"], code),
    ]  # fmt: skip
    for cell in comparison["cells"]:
        contrast = cell["contrast"] or {}
        ratio, remarks = contrast.get("ratio"), [*cell["reasons"], *cell["notes"]]
        finding = judge("speed, other transformers", ratio, cell["cell"])
        if not finding.holds and cell["verdict"] == "regression":
            # Slower, and txtop says so: the figure is the library's.
            finding = fact(finding.name, True, f"{finding.detail}; said: regression", "timing")
        findings.append(finding)
        findings.append(fact(f"remarks on {cell['cell']}", True, remarks))
    return findings


def judge_old_refusal(text: str, code: int, cells: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Judge that a transformers without what continuous batching needs is named with its remedy."""
    reasons = " ".join(c["reason"] for c in cells)
    rejected = bool(cells) and all(c["status"] == "rejected" for c in cells)
    everything = f"{text}\n{reasons}"
    return [
        fact("refused", rejected or code == 2, [c["status"] for c in cells]),
        fact(f"names {CONTINUOUS_SINCE}", CONTINUOUS_SINCE in everything,
             reasons or last_line(text)),
    ]  # fmt: skip


def requests_of(events: Sequence[Mapping[str, Any]], cell: str) -> dict[int, Mapping[str, Any]]:
    """Return the answered, measured requests of a cell by their number."""
    return {
        e["index"]: e
        for e in events
        if e["kind"] == "request" and e["cell"] == cell and e["role"] == "measured"
    }


def judge_serving(
    cells: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]],
    scenarios: Sequence[str],
) -> list[Finding]:  # fmt: skip
    """Judge that every request of every scenario is answered; give the tails of their tokens."""
    by_scenario = {c["scenario"]: c for c in cells}
    findings = [fact("scenarios", set(scenarios) <= set(by_scenario), sorted(by_scenario))]
    for cell in cells:
        sent = cell["requests"] or {}
        ok = cell["status"] == "ok" and sent.get("sent") and not sent.get("unanswered")
        detail = f"{cell['status']} {cell['reason']} {sent}"
        findings.append(fact(f"{cell['scenario']}: all answered", ok, detail))
        tail = gap_p99_ms(events, cell["id"])
        rate = value_of(cell, "requests_per_s")
        findings.append(
            fact(f"{cell['scenario']}: tail", True, f"p99 ITL {tail} ms, {rate} requests a second,"
                 f" GPU busy {value_of(cell, 'gpu_utilization')} %")
        )  # fmt: skip
    return findings


def gap_p99_ms(events: Sequence[Mapping[str, Any]], cell: str) -> float | None:
    """Return the 99th percentile of the gaps between tokens over all requests of a cell."""
    gaps = [g / 1e6 for r in requests_of(events, cell).values() for g in r.get("gaps_ns", [])]
    return quantile(gaps, 0.99)


def judge_same_outputs(
    cells: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]
) -> list[Finding]:
    """Judge that a request has the same output in every scenario, in fp32.

    In 16 bits a batch of another shape rounds differently, and greedy tokens part.
    """
    answered = {c["scenario"]: requests_of(events, c["id"]) for c in cells}
    first = answered.get("single") or next(iter(answered.values()), {})
    findings = []
    for scenario, requests in answered.items():
        if requests is first:
            continue
        common = sorted(set(requests) & set(first))
        same = sum(
            requests[i].get("output_sha256") == first[i].get("output_sha256") for i in common
        )
        about = f"{scenario}, of {len(common)}"
        share = divide(float(same), float(len(common)))
        findings.append(judge("fp32 requests with the same output", share, about))
    return findings or [fact("two scenarios", False, list(answered))]


def judge_continuous_peak(
    cells: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]
) -> list[Finding]:
    """Judge that a peak that is the size of the card is withheld, or that a note says so."""
    totals = [
        e["values"]["memory_total_bytes"]
        for e in events
        if e["kind"] == "telemetry" and (e.get("values") or {}).get("memory_total_bytes")
    ]
    findings = []
    for cell in cells:
        if cell["scenario"] != "continuous":
            continue
        reserved = value_of(cell, "peak_memory_reserved_bytes")
        notes = [n for n in cell["notes"] if re.search("cache|memory|blocks", n)]
        if reserved is None or notes:
            findings.append(fact("continuous peak", True, f"{reserved}, notes {notes}"))
        else:
            share = divide(reserved, totals[0] if totals else None)
            findings.append(judge("reserved by continuous batching, of the GPU", share))
    return findings


def judge_screen(frames: Sequence[str], gpu_name: str) -> list[Finding]:
    """Judge the frames of a run in a terminal: the gauges of the GPU, and the end of the run."""
    text = "\n".join(frames)
    last = frames[-1] if frames else ""
    model = next((w for w in gpu_name.split() if any(c.isdigit() for c in w)), gpu_name)
    return [
        fact("a picture", any(f.strip() for f in frames), f"{len(frames)} frames"),
        fact("the machine's panel", "this machine" in text),
        fact("cells are done at the end", "✓" in last or "done" in last),
        fact("no traceback", "Traceback" not in text),
        fact("this GPU by name", model and model in text, gpu_name, "gpu"),
        fact("a gauge of the GPU", re.search(r"GPU\s+\d+ ?%|GPU.*%", text), "", "gpu"),
        fact("its clock", re.search(r"\d[\d,]* (MHz|GHz)", text), "", "gpu"),
        fact("its temperature", re.search(r"\d+ ?°?C\b", text), "", "gpu"),
        fact("throttle none", re.search(r"throttle\w*\s+none", text), "", "gpu"),
    ]


def judge_left_behind(
    processes: Sequence[str], before: Mapping[str, str], after: Mapping[str, str]
) -> list[Finding]:
    """Judge that no process of ours is on the GPU, and that clocks and modes are as before."""
    changed = {k: (v, after.get(k)) for k, v in before.items() if after.get(k) != v}
    return [
        fact("no process left", not processes, processes),
        fact("settings of the GPU", bool(before), f"{len(before)}"),
        fact("settings as before", not changed, changed),
    ]


def read_settings(text: str) -> dict[str, str]:
    """Return the modes and limits that `nvidia-smi -q` prints, without readings that change."""
    names = (
        "Persistence Mode", "Compute Mode", "Current Power Limit", "Requested Power Limit",
        "Current", "MIG Mode", "ECC Mode", "Application Clocks", "Applications Clocks",
    )  # fmt: skip
    settings: dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        if not line.strip():
            continue
        name, separator, value = line.partition(" : ")
        if not separator:
            section = line.strip()
            continue
        key = name.strip()
        if key in ("Current", "Graphics", "Memory") and section not in (
            "MIG Mode", "ECC Mode", "Applications Clocks", "Application Clocks",
        ):  # fmt: skip
            continue
        if key in names or section in names:
            settings[f"{section}/{key}"] = value.strip()
    return settings
