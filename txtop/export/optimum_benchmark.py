"""Write the report of optimum-benchmark for each cell.

Units are seconds, megabytes, and tokens/s or samples/s.
"""

from __future__ import annotations

from statistics import fmean, pstdev
from typing import Any

import msgspec

from txtop.analysis.metrics import FinalMetrics, select_final_iterations
from txtop.export.batches_only import select_batch_cells
from txtop.sanitise import escape_json
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.summary import compute_percentile
from txtop.units import NS_PER_S


def to_optimum_benchmark(state: SessionState, finals: FinalMetrics) -> bytes:
    """Return `{cell id: {config, report}}`.

    Peaks of memory are of the whole cell, so they are in `generate` or `forward` alone.
    """
    cells = {
        c.cell.id: {"config": msgspec.to_builtins(c.cell), "report": _build_report(c)}
        for c in select_batch_cells(state)
    }
    return escape_json(msgspec.json.format(msgspec.json.encode(cells), indent=2)) + b"\n"


def _build_report(state: CellState) -> dict[str, Any]:
    s, cell, kept = state.samples, state.cell, select_final_iterations(state)
    report = {"load_model": _build_target([state.load.load_s] if state.load else [])}
    whole = [s.e2e_ns[i] / NS_PER_S for i in kept]
    if state.family == "encoder":
        return report | {
            "forward": _build_target(whole, cell.batch_size, "samples/s", _build_memory(state))
        }
    timed = [i for i in kept if s.ttft_ns[i] > 0 and not state.lag]
    steps = max((s.tokens[i] for i in kept), default=0)
    prefill = [s.ttft_ns[i] / NS_PER_S for i in timed]
    decode = [(s.e2e_ns[i] - s.ttft_ns[i]) / NS_PER_S for i in timed if s.tokens[i] > 1]
    # A step of speculative decoding is no token.
    by_token = timed if cell.speculative == "none" else []
    gaps = [g / NS_PER_S for i in by_token for g in s.gaps(i)[1:]]
    batch = cell.batch_size
    return report | {
        "prefill": _build_target(prefill, batch * cell.sequence_length, "tokens/s"),
        "decode": _build_target(decode, batch * (steps - 1), "tokens/s"),
        "per_token": _build_target(gaps, batch, "tokens/s"),
        "generate": _build_target(whole, batch * steps, "tokens/s", _build_memory(state)),
    }


def _build_target(
    values: list[float], volume: int = 0, unit: str = "", memory: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Build a target as that tool computes it: spread over n, linear percentiles, no floors."""
    target: dict[str, Any] = dict.fromkeys(("latency", "throughput", "energy", "efficiency"))
    target["memory"] = memory
    if not values:
        return target
    ordered, mean = sorted(values), fmean(values)
    stdev = pstdev(values)
    target["latency"] = {
        "unit": "s",
        "values": values,
        "count": len(values),
        "total": sum(values),
        "mean": mean,
        **{f"p{p}": compute_percentile(ordered, p) for p in (50, 90, 95, 99)},
        "stdev": stdev,
        "stdev_": stdev / mean * 100 if mean else None,
    }
    if volume and mean:
        target["throughput"] = {"unit": unit, "value": volume / mean}
    return target


def _build_memory(state: CellState) -> dict[str, Any] | None:
    peak = state.memory
    if peak is None:
        return None
    figures = {
        "max_ram": peak.host_bytes,
        "max_global_vram": None,
        "max_process_vram": peak.device_bytes,
        "max_reserved": peak.reserved_bytes,
        "max_allocated": peak.allocated_bytes,
    }
    return {"unit": "MB"} | {k: None if v is None else v / 1e6 for k, v in figures.items()}
