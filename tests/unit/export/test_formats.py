"""Each export format, loaded as its users load it and compared with the samples themselves."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

import msgspec
import pytest

from support import race_session, streams
from txtop.analysis.metrics import FinalMetrics
from txtop.cli import export
from txtop.errors import UsageError
from txtop.export.formats import WRITERS
from txtop.formatting import format_figure
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.session.catalog import resolve_session
from txtop.session.reader import read_all
from txtop.state.fold import fold_all
from txtop.state.session import SessionState

TTFT_S = 0.020
DECODES_S = [3 * (10 + index % 3) / 1000 for index in range(2, 14)]


def stream(session_plan: Plan | None = None) -> list[events.AnyEvent]:
    """Return the stream of `streams` without its trend: gaps of 10 to 12 ms in turn."""
    made = streams.stream(session_plan)
    for event in made:
        if isinstance(event, events.TokenTimings):
            gap_ns = (10 + event.index % 3) * streams.MS
            first = event.gaps_ns[:1] if event.first == 0 else []
            event.gaps_ns = first + [gap_ns] * (len(event.gaps_ns) - len(first))
        elif isinstance(event, events.Iteration):
            event.e2e_ns = (20 + 3 * (10 + event.index % 3)) * streams.MS
    return made


def written(format: str, state: SessionState | None = None) -> str:
    return WRITERS[format](state or fold_all(stream()), FinalMetrics()).decode()


def loaded(format: str) -> Any:
    return json.loads(written(format))


def test_jsonl_is_the_cells_of_the_export() -> None:
    lines = [json.loads(line) for line in written("jsonl").splitlines()]
    assert [c["id"] for c in lines] == [c["id"] for c in loaded("json")["cells"]]
    assert lines[0]["metrics"]["ttft_ms"]["mean"] == pytest.approx(20)


def test_a_list_or_an_object_in_a_field_of_csv_is_json() -> None:
    state = fold_all(read_all(resolve_session("smollm2-quantised"))[0])
    rows = list(csv.DictReader(io.StringIO(written("csv", state))))
    for name, kind in (("products", dict), ("product_kernels", list)):
        values = [json.loads(row[name]) for row in rows if row[name]]
        assert values and all(isinstance(value, kind) for value in values)


def test_a_trace_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no cell of this session was explained"):
        export.export("smollm2-quantised", format="chrome-trace", output=str(tmp_path / "t.json"))


def test_csv_has_one_row_a_cell() -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv"))))
    assert [row["model"] for row in rows] == ["gpt2", "t5-small"]
    expected = fmean(TTFT_S + d for d in DECODES_S) * 1000
    assert float(rows[0]["e2e_ms_mean"]) == pytest.approx(expected)
    assert float(rows[0]["e2e_ms_ci95_lo"]) < expected < float(rows[0]["e2e_ms_ci95_hi"])
    assert (rows[0]["e2e_ms_n"], rows[0]["status"]) == ("12", "ok")


@pytest.mark.fault(20)
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_formulas_pipes_and_scripts_are_neutralised(start: str) -> None:
    name = f"{start}cmd()|<script>alert(1)"
    state = fold_all(stream(streams.plan((name,))))
    (row,) = csv.DictReader(io.StringIO(written("csv", state)))
    assert row["model"].startswith("'")
    lines = written("md", state).splitlines()
    assert "<script" not in lines[2] and "()\\|" in lines[2]
    assert lines[2].replace("\\|", "").count("|") == lines[0].count("|")


def test_llama_bench_rates_follow_from_its_samples() -> None:
    pp, tg = loaded("llama-bench")[:2]
    assert (pp["n_prompt"], pp["n_gen"], tg["n_prompt"], tg["n_gen"]) == (8, 0, 0, 3)
    for test, tokens in ((pp, 8), (tg, 3)):
        rates = [test["n_batch"] * tokens / ns * 1e9 for ns in test["samples_ns"]]
        assert test["avg_ts"] == pytest.approx(fmean(rates))
    assert tg["samples_ns"] == [round(d * 1e9) for d in DECODES_S]
    assert pp["build_commit"] is None


def test_optimum_benchmark_report() -> None:
    report = loaded("optimum-benchmark")["c001"]["report"]
    assert list(report) == ["load_model", "prefill", "decode", "per_token", "generate"]
    assert report["decode"]["throughput"]["value"] == pytest.approx(2 * 3 / fmean(DECODES_S))
    assert report["prefill"]["latency"]["mean"] == pytest.approx(TTFT_S)
    assert report["per_token"]["latency"]["count"] == 36
    assert report["generate"]["memory"]["max_ram"] == pytest.approx(2**30 / 1e6)


def test_benchmark_v2_measurements() -> None:
    first = next(iter(loaded("benchmark_v2").values()))
    measurements = first["measurements"]
    assert measurements["e2e_latency"] == pytest.approx([TTFT_S + d for d in DECODES_S])
    assert measurements["time_to_first_token"] == pytest.approx([TTFT_S] * 12)
    assert measurements["inter_token_latency"] == pytest.approx([d / 3 for d in DECODES_S])
    assert [t[-1] for t in measurements["timestamps"]] == pytest.approx(measurements["e2e_latency"])
    assert first["metadata"]["success"] is True


def test_money_only_where_a_price_is_given() -> None:
    assert "cost_per_million_tokens" not in loaded("json")["cells"][0]["metrics"]
    priced = msgspec.structs.replace(streams.plan(), cost_per_hour=3.6)
    metrics = json.loads(written("json", fold_all(stream(priced))))["cells"][0]["metrics"]
    price, rate = metrics["cost_per_million_tokens"], metrics["tokens_per_s"]
    assert (price["unit"], price["mean"]) == ("$/Mtok", pytest.approx(1000 / rate["mean"]))
    assert price["ci95"] == pytest.approx([1000 / bound for bound in reversed(rate["ci95"])])


@pytest.mark.parametrize("format", ["llama-bench", "optimum-benchmark", "benchmark_v2"])
def test_samples_are_those_of_the_steady_part(format: str) -> None:
    """The first three of twelve iterations are twice as long, as in a longer warm-up."""
    made = stream()
    for event in made:
        if isinstance(event, events.Iteration) and event.role == "measured" and event.index < 5:
            event.e2e_ns *= 2
    state = fold_all(made)
    n = FinalMetrics().of(state.cells["c001"])["e2e_ms"].n
    assert n == 9
    exported = json.loads(written(format, state))
    counted = {
        "llama-bench": lambda: len(exported[0]["samples_ns"]),
        "optimum-benchmark": lambda: exported["c001"]["report"]["generate"]["latency"]["count"],
        "benchmark_v2": lambda: len(next(iter(exported.values()))["measurements"]["e2e_latency"]),
    }
    assert counted[format]() == n


@pytest.mark.parametrize("format", [name for name in WRITERS if name not in race_session.EXPORTS])
def test_the_command_writes_what_the_writer_makes(format: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "txtop", "export", "gpt2-precisions", "--output", str(out)]
    subprocess.run([*command, "--format", format], check=True, stdin=subprocess.DEVNULL)
    session = fold_all(read_all(resolve_session("gpt2-precisions", None))[0])
    assert out.read_bytes() == WRITERS[format](session, FinalMetrics())


def test_the_command_line_offers_every_format() -> None:
    assert get_args(export.ExportFormat) == tuple(WRITERS)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"), (0.0, "0.000"), (0.0042, "0.00420"), (0.0381, "0.0381"), (0.283, "0.283"),
        (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (12345.0, "12,300"),
        (4e-9, "0.000000004"),
    ],
)  # fmt: skip
def test_a_figure_has_three_digits_and_no_exponent(value: float | None, text: str) -> None:
    assert format_figure(value) == text
