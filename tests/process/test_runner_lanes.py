"""Cells side by side in pretend places: workers that sleep, over real pipes."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from support.fake_run import FAKE, Run, plan, statuses
from txtop.export.json import to_json
from txtop.analysis.metrics import FinalMetrics
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.runner import control_protocol
from txtop.runner.conductor import Conductor
from txtop.runner.matrix_run import MatrixRun
from txtop.session.reader import read_all
from txtop.session.verify import verify_session
from txtop.state.fold import fold_all

PLACES = ("cuda:0", "cuda:1", "cuda:2", "cuda:3")


def placed(made: Plan, places: tuple[str, ...] = PLACES) -> Plan:
    return msgspec.structs.replace(made, places=places, fidelity_positions=0)


def request(do: str) -> control_protocol.ControlRequest:
    return control_protocol.ControlRequest(do=do, who="test")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Sixteen cells of four models, and one whose worker is killed."""
    made = plan("m1", "m2", "m3", "m4", "killed", iterations=12, batches=(1, 2, 4, 8))
    cells = tuple(c for c in made.cells if c.model != "killed" or c.batch_size == 1)
    whole = placed(msgspec.structs.replace(made, cells=cells))
    run = Run(tmp_path_factory.mktemp("lanes") / "s", whole)
    run.run()
    return run


def test_a_killed_worker_costs_its_cell_and_no_other(recorded: Run) -> None:
    assert recorded.ended == ("done", True)
    assert statuses(recorded.state) == ["ok"] * 16 + ["failed"]
    assert all(len(c.samples.kept()) == 12 for c in recorded.state.cells.values() if c.place and c.status == "ok")


def test_no_two_cells_are_at_work_in_a_place_and_all_places_are_used(recorded: Run) -> None:
    at_work: dict[str, str] = {}
    most = 0
    for event in read_all(recorded.folder)[0]:
        if isinstance(event, events.CellStarted):
            assert event.place in PLACES and event.place not in at_work
            at_work[event.place] = event.cell
        elif isinstance(event, events.CellFinished):
            at_work = {place: cell for place, cell in at_work.items() if cell != event.cell}
        most = max(most, len(at_work))
    assert not at_work and most == 4


def test_cells_that_share_weights_share_a_worker(recorded: Run) -> None:
    workers: dict[str, set[str]] = {}
    for own in recorded.state.cells.values():
        workers.setdefault(own.cell.group, set()).add(f"{own.worker} {own.place}")
    assert all(len(names) == 1 for names in workers.values())
    assert len(set().union(*workers.values())) == len(workers)


def test_four_places_take_at_most_a_third_of_the_time_of_one(recorded: Run) -> None:
    measured = [c for c in recorded.state.cells.values() if c.cell.model != "killed"]
    alone_ns = sum(c.ended_at_ns - c.started_at_ns for c in measured)
    from_ns = min(c.started_at_ns for c in measured)
    assert max(c.ended_at_ns for c in measured) - from_ns <= alone_ns / 3


def test_the_recording_verifies_and_names_the_places(recorded: Run) -> None:
    state = fold_all(read_all(recorded.folder)[0])
    assert [c.place for c in state.cells.values()] == [
        c.place for c in recorded.state.cells.values()
    ]
    exported = msgspec.json.decode(to_json(state, FinalMetrics()))
    assert [cell["place"] for cell in exported["cells"]] == [c.place for c in state.cells.values()]


def test_resume_deals_what_is_missing_again(recorded: Run, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    folder.mkdir()
    body = (recorded.folder / "events.jsonl").read_bytes()
    (folder / "events.jsonl").write_bytes(body[: len(body) // 2])
    assert Conductor(None, folder, worker=FAKE, sampler=None).run() == ("done", True)
    state = fold_all(read_all(folder)[0])
    assert statuses(state) == ["ok"] * 16 + ["failed"]
    assert {c.place for c in state.cells.values()} <= set(PLACES)


def test_a_skip_is_of_the_cell_on_the_screen_and_a_stop_of_all(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", placed(plan("slow", "slow-too"), PLACES[:2])).start()
    stages = lambda: [c.stage for c in run.state.cells.values()]  # noqa: E731
    run.until(lambda: all(len(c.samples) == 3 for c in run.state.cells.values()))
    skipped = run.state.current
    run.conductor.control.handle(request("skip"))
    run.until(lambda: run.state.cells[skipped or ""].over)
    assert stages().count("finished") == 1
    run.conductor.control.handle(request("stop"))
    assert run.join() == ("stopped", True)
    assert sorted(statuses(run.state)) == ["cancelled", "skipped"]


def test_a_lane_that_raises_ends_the_run_and_every_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_group = MatrixRun.run_group
    started: list[int] = []

    def raise_beside_another(self: MatrixRun, cells: list[Cell]) -> None:
        if cells[0].model != "broken":
            return run_group(self, cells)
        run.until(lambda: any(len(c.samples) == 3 for c in run.state.cells.values()))
        started.extend(child.process.pid for child in run.conductor._supervisor._workers)
        raise RuntimeError("a lane broke")

    monkeypatch.setattr(MatrixRun, "run_group", raise_beside_another)
    run = Run(tmp_path / "s", placed(plan("slow", "broken"), PLACES[:2]))
    with pytest.raises(RuntimeError, match="a lane broke"):
        run.run()
    assert run.state.ended is not None and run.state.ended.reason == "failed"
    assert statuses(run.state) == ["cancelled", "waiting"]
    assert started
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
