"""Cells side by side in pretend places: workers that sleep, over real pipes."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from support.fake_run import FAKE, Run, plan, statuses
from support.waiting import wait_until
from txtop.analysis.metrics import FinalMetrics
from txtop.export.json import to_json
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.runner import control_protocol, isolation_run
from txtop.runner.conductor import Conductor
from txtop.runner.isolation_run import IsolationRun
from txtop.runner.matrix_run import MatrixRun
from txtop.session.reader import read_all
from txtop.session.verify import verify_log
from txtop.state.fold import fold_all
from txtop.state.isolation import is_slowed

PLACES = ("cuda:0", "cuda:1", "cuda:2", "cuda:3")


def placed(made: Plan, places: tuple[str, ...] = PLACES) -> Plan:
    return msgspec.structs.replace(made, places=places, fidelity_positions=0)


@pytest.fixture
def unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start the lanes at once, without judging the neighbours."""
    monkeypatch.setattr(IsolationRun, "run", lambda self: None)


def request(do: str) -> control_protocol.ControlRequest:
    return control_protocol.ControlRequest(do=do, who="test")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Sixteen cells of four models, and one whose worker is killed."""
    made = plan("m1", "m2", "m3", "m4", "killed", iterations=12, batches=(1, 2, 4, 8))
    cells = tuple(c for c in made.cells if c.model != "killed" or c.batch_size == 1)
    whole = placed(msgspec.structs.replace(made, cells=cells))
    run = Run(tmp_path_factory.mktemp("lanes") / "s", whole)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(isolation_run, "BLOCK_NS", 30_000_000)
        run.run()
    return run


def test_a_killed_worker_costs_its_cell_and_no_other(recorded: Run) -> None:
    assert recorded.ended == ("done", True)
    assert statuses(recorded.state) == ["ok"] * 16 + ["failed"]
    measured = [c for c in recorded.state.cells.values() if c.status == "ok"]
    assert all(len(c.samples.kept()) == 12 for c in measured)


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
    checked = verify_log(recorded.folder / "events.jsonl")
    assert checked.ended and not checked.wrong
    state = fold_all(read_all(recorded.folder)[0])
    assert [c.place for c in state.cells.values()] == [
        c.place for c in recorded.state.cells.values()
    ]
    exported = msgspec.json.decode(to_json(state, FinalMetrics()))
    assert [cell["place"] for cell in exported["cells"]] == [c.place for c in state.cells.values()]


def test_equal_neighbours_cost_nothing_and_every_cell_says_so(recorded: Run) -> None:
    assert [*recorded.state.isolation] == [*PLACES]
    exported = msgspec.json.decode(to_json(recorded.state, FinalMetrics()))
    for cell in exported["cells"]:
        place = cell["place"]
        assert f"measured in {place}, beside 3 other places" in cell["notes"]
        assert any(
            note.startswith(f"neighbours cost {place} nothing that can be shown")
            for note in cell["notes"]
        )


def test_a_place_that_neighbours_slow_down_is_named_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TXTOP_FAKE_GPU", str(tmp_path / "gpu"))
    monkeypatch.setattr(isolation_run, "BLOCK_NS", 60_000_000)
    made = plan("hogged", "m2", "m3", iterations=2)
    run = Run(tmp_path / "s", placed(made, PLACES[:3]))
    run.run()
    assert run.ended == ("done", True)
    slowed = {place: is_slowed(outcome) for place, outcome in run.state.isolation.items()}
    assert slowed == {"cuda:0": False, "cuda:1": True, "cuda:2": False}
    assert any(line.text.startswith("beside its neighbours cuda:1 takes") for line in run.state.log)


def test_a_check_that_fails_costs_the_judgement_alone(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", placed(plan("dies-in-load", "ok", iterations=2), PLACES[:2]))
    run.run()
    assert run.ended == ("done", True)
    assert statuses(run.state) == ["failed", "ok"]
    assert all("exited with 3" in outcome.failed for outcome in run.state.isolation.values())
    assert len(run.state.isolation) == 2


@pytest.mark.usefixtures("unjudged")
def test_resume_deals_what_is_missing_again(recorded: Run, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    folder.mkdir()
    body = (recorded.folder / "events.jsonl").read_bytes()
    (folder / "events.jsonl").write_bytes(body[: len(body) // 2])
    assert Conductor(None, folder, worker=FAKE, sampler=None).run() == ("done", True)
    state = fold_all(read_all(folder)[0])
    assert statuses(state) == ["ok"] * 16 + ["failed"]
    assert {c.place for c in state.cells.values()} <= set(PLACES)


@pytest.mark.usefixtures("unjudged")
def test_a_skip_is_of_the_cell_on_the_screen_and_a_stop_of_all(tmp_path: Path) -> None:
    (slow,) = plan("slow").cells
    other = msgspec.structs.replace(slow, id="c002", precision="bf16")
    made = placed(msgspec.structs.replace(plan("slow"), cells=(slow, other)), PLACES[:2])
    run = Run(tmp_path / "s", made).start()
    wait_until(lambda: [len(c.samples) for c in run.state.cells.values()] == [3, 3])
    skipped = run.state.cells[run.state.current or ""].cell.id
    run.conductor.control.handle(request("skip"))
    wait_until(lambda: run.state.cells[skipped].over)
    assert run.state.working == {"c001", "c002"} - {skipped}
    run.conductor.control.handle(request("stop"))
    assert run.join() == ("stopped", True)
    assert sorted(statuses(run.state)) == ["cancelled", "skipped"]


@pytest.mark.usefixtures("unjudged")
def test_a_lane_that_raises_ends_the_run_and_every_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_group = MatrixRun.run_group
    started: list[int] = []

    def raise_beside_another(self: MatrixRun, cells: list[Cell]) -> None:
        if cells[0].model != "broken":
            run_group(self, cells)
            return
        wait_until(lambda: any(len(c.samples) == 3 for c in run.state.cells.values()))
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
