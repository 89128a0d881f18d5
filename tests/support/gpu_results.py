"""Made-up results of the acceptance run on a GPU, for the tests of its judgements."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gpu.figures import Finding

Cells = list[dict[str, Any]]
Events = list[dict[str, Any]]
GIB = 2**30


def failing(findings: Iterable[Finding]) -> list[str]:
    """Return the names of what does not hold, without what it is about."""
    return [f.name for f in findings if not f.holds]


def number(value: float) -> dict[str, Any]:
    return {"median": value, "mean": value, "notes": []}


def cell(name: str = "c001", **changes: Any) -> dict[str, Any]:
    """Return a cell of the export as a GPU would give it."""
    metrics = {
        "tpot_ms": 5.0,
        "e2e_ms": 160.0,
        "mbu": 20.0,
        "mfu": 30.0,
        "power_w": 300.0,
        "energy_j_per_token": 0.2,
        "energy_net_j_per_token": 0.1,
        "peak_memory_allocated_bytes": 1.0 * GIB,
        "peak_memory_reserved_bytes": 1.5 * GIB,
        "peak_memory_device_bytes": 2.0 * GIB,
        **changes.pop("metrics", {}),
    }
    return {
        "id": name,
        "model": "gpt2",
        "family": "causal",
        "weights": "random",
        "precision": "bf16",
        "recipe": None,
        "attention": "sdpa",
        "kernels": {"prefill": "cudnn", "decode": "cudnn"},
        "device": "cuda",
        "scenario": "static",
        "requests": None,
        "batch_size": 1,
        "sequence_length": 128,
        "compile": "none",
        "cache": "dynamic",
        "status": "ok",
        "reason": "",
        "invalid": False,
        "fidelity": None,
        "notes": [],
        "metrics": {k: number(v) for k, v in metrics.items() if v is not None},
        **changes,
    }


def spoil(cells: Cells, index: int, **changes: Any) -> None:
    metrics = changes.pop("metrics", {})
    cells[index].update(changes)
    cells[index]["metrics"].update({k: number(v) for k, v in metrics.items()})


def ab(verdict: str = "equivalent", blocks: int = 10, **comparison: Any) -> dict[str, Any]:
    fidelity = {"badge": "minor", "kld": 0.002, "ppl_ratio": 1.001, "kld_floor": 1e-6}
    sides = [cell("c001", weights="pretrained"), cell("c002", weights="pretrained")]
    one = {"verdict": verdict, "blocks": blocks, "ratio": 1.0, "ci95": None, "notes": []}
    return {
        "cells": sides,
        "comparisons": [{**one, "blocks_discarded": 0, "fidelity": fidelity, **comparison}],
    }
