"""Cells that served requests, in the printed and the exported forms of a session."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support import streams
from support.streams import MS
from txtop.analysis.compare import SessionComparison, compare_sessions
from txtop.analysis.metrics import FinalMetrics
from txtop.analysis.ratios import compute_ratios
from txtop.cli.app import run_command_line
from txtop.export.batches_only import BATCH_FORMATS, describe_left_out
from txtop.export.formats import WRITERS
from txtop.export.html.page import render_page
from txtop.export.json import build_export
from txtop.export.schema import Export
from txtop.export.text import serving_table, table
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import build_plan
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.session.catalog import resolve_session
from txtop.session.reader import read_all
from txtop.state.fold import fold_all
from txtop.state.session import SessionState

QUEUE_MS = 5


def plan(count: int = 30, **changes: Any) -> Plan:
    options: dict[str, Any] = {"scenario": ["static", "dynamic"], "rate": ["8"], **changes}
    built = build_plan(
        RunOptions(
            models=["gpt2"], sequence_lengths=[8], new_tokens=[4], iterations=count, **options
        )
    )
    return msgspec.structs.replace(built, warmup=1)


def served(
    session_plan: Plan,
    slow: float = 1.0,
    rate: float = 8.0,
    full: bool = False,
    faster: float = 1.0,
) -> list[AnyEvent]:
    """Return the session of `streams`, in which cells with a load answer requests: 5 ms of queue,
    then 20 ms to the first token and 10 ms to each of three more, all `slow` times as long.
    """
    loads = {cell.id: cell.serving for cell in session_plan.cells if cell.serving is not None}
    bf16 = {cell.id for cell in session_plan.cells if cell.precision == "bf16"}
    made: list[AnyEvent] = []
    for event in streams.stream(session_plan):
        name = getattr(event, "cell", "")
        if name not in loads or not isinstance(event, events.Iteration | events.TokenTimings):
            if isinstance(event, events.CellFinished) and name in loads:
                event.stopped_by = "saturated" if full else "requests"
            made.append(event)
            continue
        if isinstance(event, events.TokenTimings):
            continue
        if event.index == 2:
            of = None if loads[name].concurrency else rate
            made.append(
                events.OfferedLoad(
                    t_ns=event.start_ns,
                    cell=name,
                    requests=session_plan.iterations or 0,
                    rate=of,
                    clients=loads[name].concurrency,
                )
            )
        times = slow / (faster if name in bf16 else 1.0) * (1 + event.index % 3 / 100) * MS
        first, gap, queue = (round(duration_ms * times) for duration_ms in (20, 10, QUEUE_MS))
        arrival = event.start_ns
        made.append(
            events.Request(
                t_ns=event.t_ns,
                cell=name,
                index=max(0, event.index - 2),
                role=event.role,
                arrival_ns=arrival,
                sent_ns=arrival,
                start_ns=arrival + queue,
                first_ns=arrival + queue + first,
                end_ns=arrival + queue + first + 3 * gap,
                prompt_tokens=8,
                tokens=4,
                gaps_ns=[gap] * 3,
                batch=1,
                computed=16,
            )
        )
    return made


def state(session_plan: Plan | None = None, **changes: Any) -> SessionState:
    return fold_all(served(session_plan or plan(), **changes))


def exported(session: SessionState) -> Export:
    return build_export(session, FinalMetrics())


def test_a_mixed_session_has_a_second_table_for_what_served() -> None:
    lines = table.format_report(state(), FinalMetrics()).splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("batch"))
    second = next(i for i, line in enumerate(lines) if line.startswith("server"))
    assert "dynamic 8/s" in lines[first + 2] and "dynamic" not in lines[first + 1]
    assert lines[first + 3] == "" and lines[second + 2] == ""
    assert lines[second + 1].startswith("gpt2 fp32 dynamic 8/s")
    row = dict(
        zip(
            [name for name, _ in serving_table.list_serving_columns(state())],
            serving_table.build_serving_rows(state(), FinalMetrics())[0],
            strict=True,
        )
    )
    assert (row["answered"], row["p95 ms"], row["padding %"]) == ("30 of 30", "after 130", "25.0")
    assert row["queue ms"] == "5.05"
    assert not any("iterations" in line for line in lines if line.startswith("gpt2 fp32 dynamic"))


def test_a_cache_that_was_never_seen_in_use_has_no_share() -> None:
    session = state()
    served_cell = session.cells["c002"].served
    idle = events.ServerStatus(t_ns=0, cell="c002", waiting=0, slots=8, kv_used=0.0)
    served_cell.update_status(idle, 0)
    assert "KV %" not in dict(serving_table.list_serving_columns(session))
    busy = msgspec.structs.replace(idle, kv_used=0.25, running=[(0, 1, 4)])
    served_cell.update_status(busy, 1)
    served_cell.update_status(idle, 2)
    names = [name for name, _ in serving_table.list_serving_columns(session)]
    row = serving_table.build_serving_rows(session, FinalMetrics())[0]
    assert dict(zip(names, row, strict=True))["KV %"] == "25.0"


def test_a_session_of_batches_has_one_table() -> None:
    session = fold_all(streams.stream())
    assert (
        serving_table.list_serving_columns(session) == ()
        and serving_table.format_serving_table(session, FinalMetrics()) == []
    )
    assert WRITERS["md"](session, FinalMetrics()).count(b"\n| :--") == 1


def test_what_could_not_be_answered_is_saturated_in_the_status() -> None:
    report = table.format_report(state(full=True), FinalMetrics())
    assert "ok, saturated" in report and "saturated: more came than was answered" in report
    assert "saturated" not in table.format_report(state(), FinalMetrics())


@pytest.mark.parametrize(
    ("kernel", "asked", "noted"),
    [("cudnn", "dynamic", True), ("flash", "dynamic", False), ("cudnn", "continuous", False)],
)
def test_a_kernel_that_plans_each_shape_is_a_note_where_lengths_vary(
    kernel: str, asked: str, noted: bool
) -> None:
    session = state(plan(scenario=[asked]))
    cell = session.cells["c001"]
    cell.kernels = events.Kernels(t_ns=0, cell="c001", prefill=kernel, decode=kernel)
    notes = [n for n in exported(session).cells[0].notes if "TORCH_CUDNN_SDPA_DEPRIORITIZED" in n]
    assert len(notes) == noted


def test_the_last_line_of_a_cell_says_rate_queue_and_first_token() -> None:
    session = state()
    line = table.format_cell_line(session.cells["c002"], FinalMetrics(), 0)
    assert line.startswith("gpt2 fp32 dynamic 8/s length 8: ")
    assert "tok/s" in line and "queue 5.05 ms" in line and "TTFT" in line and "n = 30" in line


def test_only_cells_that_served_have_requests_in_the_export() -> None:
    batches, requests = exported(state()).cells
    assert (batches.scenario, batches.serving, batches.requests, batches.tokens) == (
        "static", None, None, None
    )  # fmt: skip
    assert requests.serving is not None and requests.requests is not None and requests.tokens
    assert (requests.scenario, requests.serving.rate) == ("dynamic", 8.0)
    assert requests.requests.sent == requests.requests.answered + requests.requests.unanswered
    assert (requests.tokens.prompt, requests.tokens.output) == (240, 120)


def test_every_metric_of_a_server_is_in_its_unit() -> None:
    metrics = exported(state(plan(slo="ttft=30ms,e2e=1s"))).cells[1].metrics
    units = {name: metric.unit for name, metric in metrics.items()}
    assert {name: units[name] for name in units if name in UNITS} == UNITS


UNITS = {
    "queue_ms": "ms",
    "ttft_ms": "ms",
    "e2e_ms": "ms",
    "output_tokens_per_s": "tok/s",
    "requests_per_s": "req/s",
    "in_service": "requests",
    "occupancy": "share",
    "padding_waste": "share",
    "load_lateness": "share",
    "goodput_requests_per_s": "req/s",
    "goodput_share": "share",
}


def test_the_schema_has_what_served() -> None:
    from txtop.export.schema import build_json_schema

    parts = build_json_schema()["$defs"]
    assert {"scenario", "serving", "requests", "tokens"} <= set(parts["CellExport"]["properties"])
    assert set(parts["Serving"]["properties"]) >= {"rate", "share", "slo", "pairs"}


def test_csv_has_a_column_for_each_figure_of_the_load() -> None:
    with_slo = plan(slo="e2e=1s")
    rows = list(
        csv.DictReader(io.StringIO(WRITERS["csv"](state(with_slo), FinalMetrics()).decode()))
    )
    assert [row["serving_rate"] for row in rows] == ["", "8.0"]
    assert [row["requests_answered"] for row in rows] == ["", "30"]
    assert (rows[1]["tokens_output"], rows[1]["serving_slo"]) == ("120", "e2e 1000 ms")
    assert not any("Serving(" in value for row in rows for value in row.values())


def test_markdown_has_two_tables() -> None:
    first, second, *lists = WRITERS["md"](state(), FinalMetrics()).decode().split("\n\n")
    assert all(line.startswith("- ") for part in lists for line in part.splitlines())
    assert first.startswith("| model") and second.startswith("| server")
    for part in (first, second):
        lines = part.splitlines()
        assert len({line.count("|") for line in lines}) == 1


@pytest.mark.parametrize("format", BATCH_FORMATS)
def test_formats_of_batches_leave_requests_out_with_a_line(format: str) -> None:
    mixed, alone = state(), state(plan(scenario=["static"], rate=None))
    with_, without = (WRITERS[format](session, FinalMetrics()) for session in (mixed, alone))
    assert with_ == without
    assert describe_left_out(mixed, format).startswith("left out 1 cell that served requests")
    assert describe_left_out(alone, format) == describe_left_out(mixed, "csv") == ""


def test_a_format_of_decoders_leaves_encoders_out_with_a_line() -> None:
    encoders = fold_all(read_all(resolve_session("bert-lengths"))[0])
    count = len(encoders.cells)
    assert describe_left_out(encoders, "llama-bench").startswith(f"left out {count} cells of enc")
    assert describe_left_out(encoders, "optimum-benchmark") == ""


def test_the_command_says_what_it_leaves_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    streams.write(tmp_path / "s.jsonl", served(plan()))
    assert run_command_line(["export", str(tmp_path / "s.jsonl"), "--format", "llama-bench"]) == 0
    out, err = capsys.readouterr()
    assert len(json.loads(out)) == 2 and "llama-bench knows full batches alone" in err


def test_the_report_shows_load_rate_and_latency() -> None:
    body = render_page(state(plan(rate=["8", "4"])), FinalMetrics()).decode()
    assert "Cells that served requests" in body and "dynamic 8/s" in body
    assert "E2E of requests against how many were answered per second" in body
    assert "dynamic 8/s length 8 E2E of its requests" in body
    assert "queue 5.05 ms" in body
    plain = render_page(fold_all(streams.stream()), FinalMetrics()).decode()
    assert "Cells that served requests" not in plain and "curve" not in plain


def speeds(session: SessionState) -> list[str]:
    names = [name for name, _ in table.list_columns(session)]
    return [row[names.index("speed")] for row in table.build_rows(session, FinalMetrics())]


def both(**changes: Any) -> Plan:
    return plan(scenario=["dynamic"], precisions=["fp32", "bf16"], **changes)


def test_at_one_rate_it_is_latency_that_tells_which_is_faster() -> None:
    session = state(both(), faster=2.0)
    assert speeds(session) == ["—", "2.00x"]
    assert "speed at one rate" in table.format_report(session, FinalMetrics())
    assert "speed at one rate" not in table.format_report(state(), FinalMetrics())
    (ratio,) = compute_ratios(state(both(), faster=2.0))
    assert ratio.contrast.verdict == "faster" and ratio.contrast.n_new == 10


def test_clients_and_full_servers_are_told_by_their_rate() -> None:
    by_clients = both(rate=None, concurrency=[2])
    for session in (state(by_clients), state(both(), full=True)):
        assert speeds(session) == ["—", "1.00x"]
    assert compute_ratios(state(both(), full=True)) == []


def test_shares_of_two_servers_are_two_loads() -> None:
    made = served(both(), faster=2.0)
    for event in made:
        if isinstance(event, events.OfferedLoad) and event.cell == "c002":
            event.rate = 12.0
    assert speeds(fold_all(made)) == ["—", "—"] and compute_ratios(fold_all(made)) == []


def against(base: SessionState, new: SessionState) -> SessionComparison:
    return compare_sessions([base], [new], 0.03)


@pytest.mark.parametrize(
    ("slow", "verdict"), [(1.3, "slower"), (1.0, "equivalent"), (0.7, "faster")]
)
def test_servers_are_compared_by_the_time_of_requests(slow: float, verdict: str) -> None:
    compared = against(state(), state(slow=slow)).cells[1]
    assert (compared.verdict, compared.unit) == (verdict, "tok/s")
    assert compared.base_rate and compared.notes[0].startswith("by E2E of requests")


def test_another_load_is_another_cell() -> None:
    for other in (
        plan(rate=["9"]),
        plan(scenario=["static", "continuous"]),
        plan(max_batch=4),
    ):
        _, old, new = against(state(), state(other)).cells
        assert {old.reasons, new.reasons} == {("only in base",), ("only in new",)}
    promised = against(state(), state(plan(slo="e2e=1s"))).cells
    assert [cell.verdict for cell in promised][1] == "equivalent"


def test_few_answers_say_nothing() -> None:
    few = plan(count=19)
    assert against(state(few), state(few, slow=2.0)).cells[1].verdict == "insufficient"


def test_a_comparison_shows_the_rate_that_the_table_shows() -> None:
    session = state()
    compared = against(session, session).cells[1]
    cell = next(c for c in session.cells.values() if c.cell.serving is not None)
    parts = FinalMetrics().of(cell)["output_tokens_per_s"]
    assert compared.base_rate == compared.new_rate == pytest.approx(parts.mean)


def test_a_share_of_another_capacity_cannot_be_compared() -> None:
    compared = against(state(), state(rate=10.0)).cells[1]
    assert compared.reasons == ("another load: 8.00 per second against 10.0",)
    assert against(state(), state(rate=8.2)).cells[1].reasons == ()


def test_a_server_that_became_too_slow_is_a_regression() -> None:
    comparison = against(state(), state(slow=3.0, full=True))
    assert comparison.outcome == "regression"
    assert "saturated in new alone" in comparison.cells[1].notes
    full = against(state(full=True), state(full=True)).cells[1]
    assert full.verdict == "not comparable" and "--concurrency" in full.reasons[0]
