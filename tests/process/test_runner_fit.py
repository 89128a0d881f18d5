"""A search for what fits: its probes are chosen as it runs, and each failure costs a probe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.fake_run import FAKE, Run
from support.waiting import wait_until
from txtop.analysis.edge import find_edges
from txtop.export.text.table import describe_end
from txtop.plan.cell import Cell
from txtop.plan.plan import EdgeSearch, Plan
from txtop.protocol import events
from txtop.runner import worker_client
from txtop.runner.conductor import Conductor
from txtop.runner.worker_client import WorkerClient
from txtop.session.reader import read_all
from txtop.session.verify import verify_log
from txtop.state.fold import fold_all
from txtop.state.session import SessionState
from txtop.stats.edge_search import Bracket


def build_plan(model: str) -> Plan:
    base = Cell(id="", model=model, sequence_length=8, new_tokens=4, device="cpu")
    search = EdgeSearch(largest="batch-size", base=base, limit_bytes=1 << 34)
    first = Cell(id="p01", model=model, sequence_length=8, new_tokens=4, device="cpu")
    return Plan(cells=(first,), iterations=2, warmup=1, edge_search=search)


def batches(state: SessionState) -> list[int]:
    return [cell.cell.batch_size for cell in state.cells.values()]


def test_a_search_without_a_forecast_finds_both_sides(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", build_plan("holds-12"))
    run.run()
    assert batches(run.state) == [1, 16, 8, 12, 14, 13]
    (edge,) = find_edges(run.state)
    assert edge.is_found and edge.largest and edge.smallest
    assert (edge.largest.cell.batch_size, edge.smallest.cell.batch_size) == (12, 13)
    logged, problems = read_all(run.folder)
    assert not problems.lines()
    assert [e.added.id for e in logged if isinstance(e, events.Probe)] == list(run.state.cells)
    assert batches(fold_all(logged)) == batches(run.state)
    assert not verify_log(run.folder).wrong


@pytest.mark.parametrize(
    ("model", "status"),
    [("oom", "oom"), ("rejects", "rejected"), ("dies-in-load", "failed"), ("aborts", "failed")],
)
def test_a_search_outlives_every_failure(model: str, status: str, tmp_path: Path) -> None:
    run = Run(tmp_path / "s", build_plan(model))
    assert run.start().join() == ("done", True)
    (edge,) = find_edges(run.state)
    assert edge.largest is None and edge.is_found is (status == "oom")
    assert [cell.status for cell in run.state.cells.values()] == [status]


def test_a_search_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", build_plan("holds-3"))
    run.run()
    log = run.folder / "events.jsonl"
    whole, lines = batches(run.state), log.read_bytes().splitlines(keepends=True)
    probes = [i for i, line in enumerate(lines) if b'"kind":"probe"' in line]
    log.write_bytes(b"".join(lines[: probes[2] + 2]))
    Conductor(None, run.folder, worker=FAKE, sampler=None).run()
    logged, problems = read_all(run.folder)
    assert not problems.lines()
    assert batches(fold_all(logged)) == whole == [1, 16, 8, 4, 2, 3]


def test_a_search_goes_on_where_a_skip_ended_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iterate, asked = WorkerClient.iterate, []

    def iterate_and_skip(
        client: WorkerClient, worker: Any, cell: Cell, *what: Any, **batch: Any
    ) -> None:
        if cell.batch_size == 8 and not asked:
            for name in ("p02", cell.id):
                asked.append(run.ask("skip", name))
        iterate(client, worker, cell, *what, **batch)

    monkeypatch.setattr(WorkerClient, "iterate", iterate_and_skip)
    run = Run(tmp_path / "s", build_plan("holds-12"))
    run.run()
    (edge,) = find_edges(run.state)
    assert [own.status for own in run.state.cells.values()] == ["ok", "oom", "skipped"]
    assert edge.skipped is run.state.cells["p03"] and edge.bracket == Bracket(1, 16)
    texts = [line.text for line in run.state.log]
    assert texts.count("nothing was skipped: what it was meant for was over") == 1
    assert "txtop resume NAME goes on" in describe_end(run.state, "NAME")
    Conductor(None, run.folder, worker=FAKE, sampler=None).run()
    assert batches(fold_all(read_all(run.folder)[0])) == [1, 16, 8, 12, 14, 13]


def test_a_stop_ends_a_probe_in_the_middle_of_a_long_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prefill of a batch at the edge takes minutes and hears nothing meanwhile."""
    monkeypatch.setattr(worker_client, "STOP_GRACE_S", 0.1)
    run = Run(tmp_path / "s", build_plan("deaf")).start()
    wait_until(lambda: "p01" in run.state.cells and run.state.cells["p01"].samples)
    run.conductor.control.stop("the test")
    assert run.join() == ("stopped", True)
    assert [cell.status for cell in run.state.cells.values()] == ["cancelled"]
