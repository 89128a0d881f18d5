"""A session in the formats that other programs read, by the name of each."""

from __future__ import annotations

from collections.abc import Callable

from txtop.analysis.metrics import FinalMetrics
from txtop.session import export
from txtop.session.formats import benchmark_v2, flat, llama_bench, markdown, optimum_benchmark
from txtop.state.session import SessionState

WRITERS: dict[str, Callable[[SessionState, FinalMetrics], bytes]] = {
    "json": export.to_json,
    "jsonl": flat.to_jsonl,
    "csv": flat.to_csv,
    "md": markdown.to_markdown,
    "llama-bench": llama_bench.to_llama_bench,
    "optimum-benchmark": optimum_benchmark.to_optimum_benchmark,
    "benchmark_v2": benchmark_v2.to_benchmark_v2,
}
