"""Write the JSON of `llama-bench -o json`.

Each cell is a prefill test (pp) and a decode test (tg).
"""

from __future__ import annotations

from datetime import UTC, datetime
from statistics import fmean, stdev
from typing import Any

import msgspec

from txtop.analysis.metrics import FinalMetrics, select_final_iterations
from txtop.export.batches_only import select_batch_cells
from txtop.sanitise import escape_json
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.units import NS_PER_S

# Fields of that format without a counterpart here.
UNKNOWN_FIELDS = (
    "build_commit",
    "build_number",
    "n_ubatch",
    "type_k",
    "type_v",
    "n_gpu_layers",
    "flash_attn",
)


def to_llama_bench(state: SessionState, finals: FinalMetrics) -> bytes:
    """Return the list of tests; times in ns, rates in tokens/s over the batch.

    Encoders have no tests.
    """
    tests = [test for cell in select_batch_cells(state) for test in _build_tests(state, cell)]
    return escape_json(msgspec.json.format(msgspec.json.encode(tests), indent=2)) + b"\n"


def _build_tests(session: SessionState, state: CellState) -> list[dict[str, Any]]:
    s, cell = state.samples, state.cell
    kept = [
        i
        for i in select_final_iterations(state)
        if s.ttft_ns[i] > 0 and s.tokens[i] and not state.lag
    ]
    prefill = [s.ttft_ns[i] for i in kept]
    decode = [(s.e2e_ns[i] - s.ttft_ns[i], s.tokens[i] - 1) for i in kept]
    decode = [(ns, steps) for ns, steps in decode if ns > 0 and steps > 0]
    tests = []
    if prefill:
        tokens = [cell.sequence_length] * len(prefill)
        tests.append(_build_test(session, state, cell.sequence_length, 0, prefill, tokens))
    if decode:
        times_ns, steps = zip(*decode, strict=True)
        tests.append(_build_test(session, state, 0, steps[0], list(times_ns), list(steps)))
    return tests


def _build_test(
    session: SessionState,
    state: CellState,
    prompt: int,
    new: int,
    samples_ns: list[int],
    tokens: list[int],
) -> dict[str, Any]:
    header, load, batch = session.header, state.load, state.cell.batch_size
    rates = [batch * n / ns * NS_PER_S for n, ns in zip(tokens, samples_ns, strict=True)]
    started_s = state.started_at_ns / NS_PER_S
    at = datetime.fromtimestamp(header.wall_s + started_s, UTC) if header else None
    on_gpu = load is not None and load.device != "cpu"
    return {
        **dict.fromkeys(UNKNOWN_FIELDS),
        "cpu_info": header.machine.cpu if header else None,
        "gpu_info": load.device_name if load and on_gpu else None,
        "backends": load.device if load else None,
        "model_filename": state.cell.model,
        "model_type": f"{state.cell.model_name} {state.cell.precision}",
        "model_size": load.weight_bytes if load else None,
        "model_n_params": load.parameters if load else None,
        "n_batch": batch,
        "n_threads": load.threads if load else None,
        "n_prompt": prompt,
        "n_gen": new,
        "n_depth": 0 if prompt else state.cell.sequence_length,
        "test_time": f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else None,
        "avg_ns": round(fmean(samples_ns)),
        "stddev_ns": round(stdev(samples_ns)) if len(samples_ns) > 1 else 0,
        "avg_ts": fmean(rates),
        "stddev_ts": stdev(rates) if len(rates) > 1 else 0.0,
        "samples_ns": samples_ns,
        "samples_ts": rates,
    }
