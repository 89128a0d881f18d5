"""The formats that other programs read, by name.

Apart from the package, whose parts the lists and tables of a terminal use without them.
"""

from __future__ import annotations

from collections.abc import Callable

from txtop.analysis.metrics import FinalMetrics
from txtop.export import (
    benchmark_v2,
    chrome_trace,
    csv,
    json,
    llama_bench,
    markdown,
    optimum_benchmark,
    snippet,
)
from txtop.state.session import SessionState

WRITERS: dict[str, Callable[[SessionState, FinalMetrics], bytes]] = {
    "json": json.to_json,
    "jsonl": csv.to_jsonl,
    "csv": csv.to_csv,
    "md": markdown.to_markdown,
    "llama-bench": llama_bench.to_llama_bench,
    "optimum-benchmark": optimum_benchmark.to_optimum_benchmark,
    "benchmark_v2": benchmark_v2.to_benchmark_v2,
    "chrome-trace": chrome_trace.to_chrome_trace,
    "python": snippet.to_python,
    "plan": snippet.to_plan,
}
