"""The text table: columns for the knobs that differ, and for money if there is a price."""

from __future__ import annotations

import re

import msgspec
import pytest

from support import streams
from txtop.analysis.metrics import FinalMetrics
from txtop.export import json, markdown
from txtop.export.html.page import render_page
from txtop.export.text import outputs, table
from txtop.formatting import format_figure
from txtop.plan.matrix import expand_matrix
from txtop.protocol import events
from txtop.session.catalog import resolve_session
from txtop.session.reader import read_all
from txtop.state.fold import fold_all
from txtop.state.session import SessionState


def state(cost_per_hour: float | None = None) -> SessionState:
    cells = expand_matrix(
        models=["gpt2"],
        precisions=["fp32"],
        attention=["sdpa"],
        batch_sizes=[2],
        sequence_lengths=[8],
        new_tokens=[4],
        threads=[1, 2],
        cache=["dynamic", "static"],
    )
    session_plan = msgspec.structs.replace(streams.plan(), cells=cells, cost_per_hour=cost_per_hour)
    return fold_all(streams.stream(session_plan))


def test_what_differs_has_a_column() -> None:
    names = [name for name, _ in table.list_columns(state())]
    assert names[:5] == ["model", "prec", "attn", "threads", "cache"]
    assert "compile" not in names and "cost" not in names
    rows = table.build_rows(state(), FinalMetrics())
    assert [row[3:5] for row in rows] == [
        ["1", "dynamic"], ["1", "static"], ["2", "dynamic"], ["2", "static"]
    ]  # fmt: skip


def test_long_labels_of_a_note_are_shortened_to_what_differs() -> None:
    cells = expand_matrix(
        models=["acme/a-model-with-quite-a-long-name", "acme/a-model-with-quite-a-long-title"],
        precisions=["bf16"],
        attention=["sdpa"],
        batch_sizes=[1],
        sequence_lengths=[8],
        new_tokens=[4],
        cache=["dynamic", "quantized:int4"],
    )
    long = fold_all(streams.stream(msgspec.structs.replace(streams.plan(), cells=cells)))
    ids = [cell.id for cell in cells]
    assert table._name_cells(long, [ids[0], ids[3]]) == [
        "…name · dynamic cache", "…title · quantized:int4 cache"
    ]  # fmt: skip
    (usual, *_) = table._name_cells(state(), ["c001"])
    assert usual.startswith("gpt2 fp32 batch 2"), "a short label is whole"


def test_cells_of_a_note_are_named_by_the_value_that_they_alone_have() -> None:
    made = state()
    two, static, both = ["c001", "c003"], ["c002", "c004"], ["c001", "c004"]
    of = {cell.id: (cell.threads, cell.cache) for cell in made.plan.cells}
    assert {of[name][1] for name in two} == {"dynamic"} and of["c002"] == (1, "static")
    assert table._name_cells(made, two) == ["dynamic cache"]
    assert table._name_cells(made, static) == ["static cache"]
    assert all(name.startswith("gpt2 fp32") for name in table._name_cells(made, both))
    assert len(table._name_cells(made, ["c001"])) == 1


def test_nothing_differs_in_a_plain_session() -> None:
    assert table.list_columns(fold_all(streams.stream())) == table.COLUMNS


def test_a_price_adds_what_a_million_tokens_cost() -> None:
    priced = state(cost_per_hour=3.6)
    names = [name for name, _ in table.list_columns(priced)]
    assert names[-3:] == ["cost", "$ per", "status"]
    finals = FinalMetrics()
    rate = finals.of(priced.cells["c001"])["tokens_per_s"].mean
    assert rate is not None
    row = table.build_rows(priced, finals)[0]
    assert row[-3:] == [format_figure(3.6 / 3600 / rate * 1e6), "Mtok", "ok"]
    assert "$/Mtok" in table.format_report(priced, finals)


def test_the_heading_states_the_limit_of_the_cgroup() -> None:
    made = streams.stream()
    assert "16 GiB, " in table.format_report(fold_all(made), FinalMetrics())
    header = made[0]
    assert isinstance(header, events.SessionHeader)
    logical = header.machine.cores_logical
    header.machine = msgspec.structs.replace(
        header.machine, memory_limit_bytes=2 << 30, cores_allowed=1
    )
    heading = table.format_report(fold_all(made), FinalMetrics())
    assert f"1 of {logical} cores, 2 of 16 GiB, " in heading


@pytest.mark.fault(11)
def test_a_wall_clock_that_jumps_changes_no_figure() -> None:
    """The clock is set back years during the run; three kinds of event carry it, as a label."""
    plain, jumped = streams.stream(), streams.stream()
    header, segment, ended = jumped[0], jumped[1], jumped[-1]
    assert isinstance(header, events.SessionHeader) and isinstance(segment, events.Segment)
    assert isinstance(ended, events.SessionEnded)
    segment.wall_s, ended.wall_s = header.wall_s + 9e7, header.wall_s - 9e8
    stamped = [e for e in jumped if hasattr(e, "wall_s")]
    assert {type(e) for e in stamped} == {events.SessionHeader, events.Segment, events.SessionEnded}
    state = fold_all(jumped)
    assert json.to_json(state, FinalMetrics()) == json.to_json(fold_all(plain), FinalMetrics())
    assert state.clock_ns == fold_all(plain).clock_ns


def test_outputs_stand_with_their_weights_and_operators() -> None:
    state = fold_all(read_all(resolve_session("smollm2-quantised"))[0])
    heading, rows = outputs.build_table(state)
    names = [name for name, _ in heading]
    assert "similarities" not in names, "no row has any"
    by_cell = {row[0]: dict(zip(names, row, strict=True)) for row in rows}
    int4, reference = (by_cell[f"SmolLM2-135M-Instruct {name}"] for name in ("int4", "fp32"))
    assert int4["weights MB"] == "116" and int4["products by"] == "_weight_int4pack_mm_for_cpu"
    assert (int4["KLD"], int4["top-1"], int4["perplexity"]) == ("0.348", "65.6 %", "1.374x")
    assert reference["output"] == "reference" and reference["KLD"] == "—"
    text = markdown.to_markdown(state, FinalMetrics()).decode()
    assert "| 116 | \\_weight\\_int4pack\\_mm\\_for\\_cpu | 0.348 |" in text
    page = render_page(state, FinalMetrics()).decode()
    for row in rows:
        fields = re.findall("<td[^>]*>([^<]*)</td>", page.partition(f">{row[0]}</td>")[2])
        assert fields[: len(row) - 1] == row[1:]


def test_weights_that_are_dequantised_in_each_call_are_named_beside_the_operators() -> None:
    state = fold_all(read_all(resolve_session("smollm2-quantised"))[0])
    for cell in state.cells.values():
        if cell.kernels is not None and cell.cell.precision == "nf4":
            cell.kernels.dequantises, cell.kernels.products = True, []
    by_cell = {row[0]: row for row in outputs.build_table(state)[1]}
    assert by_cell["SmolLM2-135M-Instruct nf4"][2] == "dense products of dequantised weights"
    assert by_cell["SmolLM2-135M-Instruct fp32"][2] == "—"


def test_random_weights_have_no_table_of_outputs() -> None:
    state = fold_all(read_all(resolve_session("gpt2-precisions"))[0])
    assert outputs.format_outputs(state) == []


def test_random_weights_beside_real_ones_have_no_figures_of_output() -> None:
    state = fold_all(read_all(resolve_session("smollm2-quantised"))[0])
    names = [name for name, _ in outputs.build_table(state)[0]]
    for event in list(state.fidelity.values())[1:]:
        event.weights = "random"
    rows = outputs.build_table(state)[1]
    assert sum(row[names.index("KLD")] != "—" for row in rows) == 1
