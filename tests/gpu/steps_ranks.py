"""Call 4: one model over two GPUs, by tensors and by layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpu.figures import Finding, fact, value_of
from gpu.running import Site, Skip
from gpu.step import Step
from gpu.steps_plain import nvidia_smi, table, weights

WAYS = ("none", "tp=2", "pp")


def check_ranks(site: Site) -> list[Finding]:
    site.need_cuda()
    if nvidia_smi(site, "-L").count("GPU ") < 2:
        raise Skip("one GPU")
    run = site.txtop(
        "run", "--models", "Llama-3.2-1B", "--precisions", "bf16", "--parallel", *WAYS,
        "--warmup", "3", "--iterations", "10", "--fidelity-positions", "0", *weights(site),
        profile=True,
    )  # fmt: skip
    return [*judge_ranks(run.cells), *table(run.done.out)]


def judge_ranks(cells: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Judge one model as it is, over two ranks, and over two GPUs of one process."""
    findings = [fact("cells", len(cells) == len(WAYS), len(cells))]
    for cell in cells:
        way, ranks = cell["parallel"], cell.get("ranks")
        findings.append(fact(f"{way}: ok", cell["status"] == "ok", cell["reason"]))
        if way == "none":
            continue
        parts = [part.get("allocated_bytes") for part in ranks["memory"]] if ranks else []
        first = value_of(cell, "peak_memory_allocated_bytes")
        findings.append(fact(f"{way}: two GPUs", ranks and ranks["count"] == 2, ranks))
        findings.append(
            fact(f"{way}: memory of each", first and len(parts) == 1 and parts[0], [first, *parts])
        )
    rates = [value_of(cell, "tokens_per_s") for cell in cells]
    return [*findings, fact("tokens a second", all(rates), rates)]


STEPS = (Step("4.2 several GPUs", 150, check_ranks, rehearsed=False),)
