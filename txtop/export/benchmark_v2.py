"""Write the results of transformers' benchmark_v2: `{hash: {metadata, measurements, config}}`."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

import msgspec

from txtop.analysis.metrics import FinalMetrics, select_final_iterations
from txtop.export.batches_only import select_batch_cells
from txtop.sanitise import escape_json
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.units import NS_PER_S


def to_benchmark_v2(state: SessionState, finals: FinalMetrics) -> bytes:
    """Return the file: times in seconds, one value an iteration.

    The hash is the SHA-256 of the cell's configuration.
    """
    results = {}
    for cell in select_batch_cells(state):
        config = _build_config(state, cell)
        key = hashlib.sha256(msgspec.json.encode(config)).hexdigest()
        results[key] = {
            "metadata": _build_metadata(state, cell),
            "measurements": _build_measurements(cell),
            "config": config,
        }
    return escape_json(msgspec.json.format(msgspec.json.encode(results), indent=2)) + b"\n"


def _build_config(session: SessionState, state: CellState) -> dict[str, Any]:
    cell = state.cell
    attention, _, backend = state.attention.partition(":")
    return {
        "name": cell.id,
        "model_id": cell.model,
        "dtype": cell.precision,
        "warmup_iterations": session.plan.warmup,
        "measurement_iterations": len(select_final_iterations(state)),
        "gpu_monitoring": None,
        "batch_size": cell.batch_size,
        "sequence_length": cell.sequence_length,
        "num_tokens_to_generate": None if state.family == "encoder" else cell.new_tokens,
        "attn_implementation": attention,
        "sdpa_backend": backend or None,
        "compile_mode": None if cell.compile == "none" else cell.compile,
        "kernelize": False,
    }


def _build_metadata(session: SessionState, state: CellState) -> dict[str, Any]:
    header, load = session.header, state.load
    on_gpu = load is not None and load.device != "cpu"
    return {
        "model_id": state.cell.model,
        "timestamp": datetime.fromtimestamp(header.wall_s, UTC).isoformat() if header else None,
        "commit_id": None,
        "hardware_info": {
            "gpu_name": load.device_name if load and on_gpu else None,
            "gpu_memory_total_gb": None,
            "cpu_count": header.machine.cores_logical if header else None,
            "memory_total_mb": header.machine.memory_bytes // 2**20 if header else None,
            "python_version": header.machine.python if header else None,
            "torch_version": load.versions.get("torch") if load else None,
        },
        "success": state.status == "ok" and not state.invalid,
    }


def _build_measurements(state: CellState) -> dict[str, Any]:
    s = state.samples
    kept = select_final_iterations(state)
    timed = [] if state.lag else [i for i in kept if s.ttft_ns[i] > 0]
    gaps = [list(s.gaps(i)) for i in timed]
    return {
        "e2e_latency": [s.e2e_ns[i] / NS_PER_S for i in kept],
        "time_to_first_token": [s.ttft_ns[i] / NS_PER_S for i in timed],
        "inter_token_latency": [
            sum(gap[1:]) / (s.tokens[i] - 1) / NS_PER_S
            for i, gap in zip(timed, gaps, strict=True)
            if len(gap) > 1
        ],
        "timestamps": [[ns / NS_PER_S for ns in accumulate(g)] for g in gaps],
        "shape_and_decoded_outputs": None,
        "gpu_metrics": None,
    }
