"""The conductor with a fake worker over the real pipe, and the log that it writes in every case."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support import tiny_models
from support.fake_run import Run, plan, statuses
from support.paths import TESTS
from support.waiting import WAIT_S, wait_until
from support.warm_workers import build_warm_command
from txtop.analysis.metrics import FinalMetrics
from txtop.export.json import to_json
from txtop.export.text import table
from txtop.plan.cell import Cell
from txtop.protocol import events
from txtop.runner import session_start, worker_client
from txtop.runner.control_client import SOCKET_NAME, ControlClient
from txtop.runner.recorder import now_ns
from txtop.runner.worker_client import WorkerClient
from txtop.session.reader import read_all
from txtop.session.verify import verify_log
from txtop.session.writer import LOG_NAME, create_session_folder
from txtop.state.fold import fold_all

RAW = ("\x1b", "\x9b", "\x07", "\u202e", "\u200b")


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """Yield a path as short as a socket's path must be."""
    path = Path(f"/tmp/txtop-test-{os.getpid()}.sock")
    yield path
    path.unlink(missing_ok=True)


def test_every_cell_is_measured_and_the_log_says_all_of_it(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", plan("ok", iterations=5, batches=(1, 4)))
    run.run()
    assert run.ended == ("done", True)
    assert statuses(run.state) == ["ok", "ok"]
    first, second = run.state.cells.values()
    assert first.samples.role == ["first", "warmup", "warmup"] + ["measured"] * 5
    assert not first.shares_weights and second.shares_weights
    assert second.load is first.load and first.worker == second.worker
    assert first.finished is not None and first.finished.stopped_by == "iterations"
    body = (run.folder / LOG_NAME).read_bytes()
    last = json.loads(body.splitlines()[-1])
    assert last["kind"] == "ended"
    assert last["sha256"] == hashlib.sha256(body[: body.rindex(b'{"kind":"ended"')]).hexdigest()
    logged, problems = read_all(run.folder)
    assert [e.seq for e in logged] == list(range(1, len(logged) + 1)) and not problems.lines()


def test_the_live_fold_and_the_log_give_the_same_bytes(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", plan("ok", "aborts", "rejects", iterations=35))
    run.run()
    live = to_json(run.state, FinalMetrics())
    report = table.format_report(run.state, FinalMetrics())
    played = fold_all(read_all(run.folder)[0])
    assert to_json(played, FinalMetrics()) == live
    assert table.format_report(played, FinalMetrics()) == report
    assert json.loads(live)["cells"][0]["metrics"]["tpot_ms"]["n"] == 35


@pytest.mark.fault(26)
def test_a_worker_that_aborts_costs_its_cell_alone(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", plan("aborts", "dies-in-load", "ok"))
    run.run()
    assert run.ended == ("done", True)
    assert statuses(run.state) == ["failed", "failed", "ok"]
    aborted, died, _ = (cell.finished for cell in run.state.cells.values())
    assert aborted is not None and died is not None
    assert aborted.exit_code == -signal.SIGABRT and "SIGABRT" in aborted.reason
    assert len(aborted.stderr) == 40 and aborted.stderr[-1].startswith("line 59 ")
    assert not any(mark in line for line in aborted.stderr for mark in RAW)
    assert died.exit_code == 3 and died.phase == "weights"
    assert run.state.failed == 2


def test_what_refuses_or_breaks_a_load_does_so_for_all_cells_of_its_weights(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", plan("rejects", "oom", "ok", batches=(1, 2)))
    run.run()
    assert statuses(run.state) == ["rejected", "rejected", "oom", "oom", "ok", "ok"]
    reasons = [cell.reason for cell in run.state.cells.values()]
    assert reasons[1] == "no such model" and reasons[3].startswith("the same weights as oom")


def test_junk_from_a_worker_is_reported_and_changes_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", plan("junk"))
    run.run()
    assert statuses(run.state) == ["ok"]
    assert len(run.state.cells["c001"].samples) == 8
    warned = [line.text for line in run.state.log if line.level == "warning"]
    assert len(warned) == 4 and all("an invalid event" in text for text in warned)


@pytest.mark.fault(18)
@pytest.mark.fault(19)
def test_escapes_from_a_worker_are_inert_in_log_table_and_export(tmp_path: Path) -> None:
    run_plan = plan("escapes", "ok")
    run = Run(tmp_path / "s", run_plan)
    run.run()
    raw = (run.folder / LOG_NAME).read_text()
    report = table.format_report(run.state, FinalMetrics())
    exported = to_json(run.state, FinalMetrics()).decode()
    for text in (raw, report, exported):
        assert not any(mark in text for mark in RAW)
    assert "\\x1b[31mred" in report and "[@click=app.quit]" in report
    for line in raw.splitlines():
        texts = json.dumps(json.loads(line), ensure_ascii=False)
        assert not any(mark in texts for mark in RAW)


@pytest.mark.parametrize("ended", ["c001", "c002"])
def test_a_skip_that_comes_after_its_cell_is_said_to_do_nothing(
    ended: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first of two cells, and after the last."""
    finish = WorkerClient.finish

    def finish_and_skip(client: WorkerClient, cell: Cell, *what: Any, **facts: Any) -> None:
        finish(client, cell, *what, **facts)
        if cell.id == ended:
            run.ask("skip")

    monkeypatch.setattr(WorkerClient, "finish", finish_and_skip)
    run = Run(tmp_path / "s", plan("ok", iterations=3, batches=(1, 2)))
    run.run()
    assert statuses(run.state) == ["ok", "ok"]
    late = "nothing was skipped: the skip came too late"
    assert [line.text for line in run.state.log].count(late) == 1


def test_a_skip_of_a_cell_that_is_over_leaves_the_next_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The screen still shows the first cell as the second is at work."""
    iterate, asked = WorkerClient.iterate, []

    def iterate_and_skip(
        client: WorkerClient, worker: Any, cell: Cell, *what: Any, **batch: Any
    ) -> None:
        if cell.id == "c002" and not asked:
            asked.append(run.ask("skip", "c001"))
            run.ask("marker")
        iterate(client, worker, cell, *what, **batch)

    monkeypatch.setattr(WorkerClient, "iterate", iterate_and_skip)
    run = Run(tmp_path / "s", plan("ok", iterations=3, batches=(1, 2)))
    run.run()
    assert statuses(run.state) == ["ok", "ok"] and asked == [{"ok": True}]
    over = "nothing was skipped: what it was meant for was over"
    assert [line.text for line in run.state.log].count(over) == 1
    assert not verify_log(run.folder).wrong


def test_skip_leaves_the_worker_for_the_next_cell(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", plan("slow", "ok", batches=(1, 2))).start()
    for name in ("c001", "c002"):
        wait_until(lambda n=name: n in run.state.cells and len(run.state.cells[n].samples) == 3)
        assert run.ask("skip") == {"ok": True}
        wait_until(lambda n=name: run.state.cells[n].over)
    assert run.join() == ("done", True)
    assert statuses(run.state) == ["skipped", "skipped", "ok", "ok"]
    assert run.state.cells["c001"].worker == run.state.cells["c002"].worker
    assert run.state.cells["c001"].samples.kept() == []
    assert run.state.failed == 0


def test_pause_holds_between_iterations_and_resume_goes_on(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", plan("ok", iterations=300)).start()
    wait_until(lambda: "c001" in run.state.cells and len(run.state.cells["c001"].samples) > 20)
    run.ask("pause")
    wait_until(lambda: run.state.paused)
    time.sleep(0.4)
    held = len(run.state.cells["c001"].samples)
    time.sleep(0.4)
    assert len(run.state.cells["c001"].samples) == held < 300 and run.state.paused
    run.ask("resume")
    assert run.join() == ("done", True)
    assert len(run.state.cells["c001"].samples.kept()) == 300


@pytest.mark.fault(36)
@pytest.mark.parametrize(
    ("model", "asks", "grace_s"),
    [("slow", 1, 60.0), ("deaf", 2, 60.0), ("deaf", 1, 0.1), ("stuck-in-load", 1, 60.0)],
)
def test_a_stop_discards_the_open_iteration(
    tmp_path: Path, model: str, asks: int, grace_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that goes on and on is cut off: by a second stop, or once the grace is over."""
    monkeypatch.setattr(worker_client, "STOP_GRACE_S", grace_s)
    run = Run(tmp_path / "s", plan(model, "ok")).start()
    expected = 0 if model == "stuck-in-load" else 3
    wait_until(
        lambda: (
            "c001" in run.state.cells
            and run.state.cells["c001"].phase
            and len(run.state.cells["c001"].samples) == expected
        )
    )
    for _ in range(asks):
        run.ask("stop")
    assert run.join() == ("stopped", True)
    assert statuses(run.state) == ["cancelled", "waiting"]
    assert len(run.state.cells["c001"].samples) == expected
    assert run.state.ended is not None and run.state.ended.reason == "stopped"


def test_the_socket_answers_and_refuses_nonsense(tmp_path: Path, socket_path: Path) -> None:
    run = Run(tmp_path / "s", plan("ok", iterations=400), socket_path=socket_path)
    (run.folder / SOCKET_NAME).write_text(str(socket_path))
    run.start()
    control = ControlClient(run.folder)
    wait_until(lambda: run.state.current)
    status = control.status()
    assert status is not None and status.pid == os.getpid() and status.state == "running"
    assert status.write_error is None and not status.durability_lost and status.last_seq > 0
    assert control.send("marker", label="here") and not control.send("explode")
    assert socket_path.stat().st_mode & 0o077 == 0
    assert control.send("stop")
    assert run.join()[0] == "stopped"
    assert [label for _, label in run.state.markers] == ["here"]
    assert control.status() is None


def test_a_stalled_disk_delays_no_worker_and_no_answer(
    tmp_path: Path, socket_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fsync takes 3 s; the gaps of a real worker do not change and `status` answers."""
    model = str(tiny_models.gpt2(tmp_path / "tiny", weights=False, layers=6))
    real, stalls = os.fsync, []

    def fsync(fd: int) -> None:
        if armed.is_set() and not stalls:
            stalls.append(time.perf_counter_ns())
            time.sleep(3.0)
            stalls.append(time.perf_counter_ns())
        real(fd)

    armed = threading.Event()
    monkeypatch.setattr(os, "fsync", fsync)
    run_plan = plan(model, iterations=100_000)
    run = Run(
        tmp_path / "s",
        run_plan,
        socket_path=socket_path,
        worker=build_warm_command(),
        sampler=(sys.executable, "-m", "txtop.sampler", "--interval", "0.2"),
    )
    (run.folder / SOCKET_NAME).write_text(str(socket_path))
    run.start()
    wait_until(lambda: "c001" in run.state.cells and run.state.cells["c001"].samples.kept())
    time.sleep(1.0)
    armed.set()
    wait_until(lambda: stalls)
    control = ControlClient(run.folder)
    waits_ns = []
    while len(stalls) < 2:
        before_ns = time.perf_counter_ns()
        status = control.status()
        waits_ns.append(time.perf_counter_ns() - before_ns)
        assert status is not None
        time.sleep(0.1)
    time.sleep(0.5)
    run.ask("stop")
    assert run.join() == ("stopped", True)
    began, over = stalls
    # What waits for the disk waits for all of the stall.
    stall_ns = over - began
    assert len(waits_ns) > 5 and max(waits_ns) < stall_ns / 2

    samples = run.state.cells["c001"].samples
    before, during = [], []
    # Blocks that count for nothing, as others use this machine, were measured all the same.
    for i in [i for i, role in enumerate(samples.role) if role == "measured"]:
        gaps = list(samples.gaps(i))[1:]
        if began <= samples.start_ns[i] <= over:
            during += gaps
        elif samples.start_ns[i] < began:
            before += gaps
    assert len(during) > 50
    # A busy machine alone makes gaps twice as long.
    assert sorted(during)[len(during) // 2] < 4 * sorted(before)[len(before) // 2]
    stamps = [e.t_ns for e in read_all(run.folder)[0] if isinstance(e, events.Iteration)]
    inside = [t for t in stamps if began <= t <= over]
    holes = [b - a for a, b in itertools.pairwise(inside)]
    assert max(holes) < stall_ns / 2 and inside[-1] - inside[0] > 0.8 * stall_ns


def test_children_end_with_a_runner_that_is_killed(tmp_path: Path) -> None:
    import psutil

    folder = tmp_path / "s"
    create_session_folder(folder)
    script = (
        "from support import fake_run as t; from pathlib import Path;"
        f"t.Conductor(t.plan('slow'), Path({str(folder)!r}), worker=t.FAKE).run()"
    )
    runner = subprocess.Popen([sys.executable, "-c", script], cwd=TESTS)
    mine = psutil.Process(runner.pid)
    wait_until(lambda: len(mine.children()) == 2)
    children = mine.children()
    runner.kill()
    runner.wait()
    gone, alive = psutil.wait_procs(children, timeout=WAIT_S)
    assert len(gone) == 2 and not alive


def test_a_runner_that_can_hear_nobody_ends_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "s", plan("junk"))

    def broken(_child: object, _why: str) -> None:
        raise KeyError("a mistake of ours")

    monkeypatch.setattr(run.conductor._io_loop, "_on_malformed", broken)
    run.conductor._io_loop._on_event = lambda child, event: broken(child, "")
    with pytest.raises(KeyError):
        run.run()
    last = read_all(run.folder)[0][-1]
    assert isinstance(last, events.SessionEnded) and last.reason == "failed"


def test_a_model_that_is_nowhere_costs_its_own_cell_alone(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", plan("ok", "/nowhere/at/all"))
    run.run()
    assert statuses(run.state) == ["ok", "rejected"]
    refused = run.state.cells["c002"].rejected
    assert refused is not None and refused.reason == "no model at /nowhere/at/all"
    assert refused.may_pass


def test_what_is_known_of_a_model_is_recorded_since_a_reader_may_not_have_it(
    tmp_path: Path,
) -> None:
    run = Run(tmp_path / "s", plan("gpt2", "nobody-knows-it"))
    session_start.begin_session(run.conductor.recorder, run.conductor.plan, "s", None)
    assert run.state.header is not None and run.state.header.expected is not msgspec.UNSET
    first, second = run.state.header.expected.values()
    assert first.family == "causal" and first.memory is not None
    assert first.memory[1] > 400 << 20, "124 M weights in fp32"
    assert (second.family, second.memory) == (None, None)


def test_a_refusal_names_the_options_of_the_command_that_ran(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", plan("ok"))
    hint = "--sequence-lengths of at most 9"

    def refuse() -> str:
        recorder = run.conductor.recorder
        event = events.CellRejected(t_ns=now_ns(), cell="c001", reason="too long", hint=hint)
        recorder.record(event)
        return event.hint

    session_start.begin_session(run.conductor.recorder, run.conductor.plan, "s", None)
    assert refuse() == hint
    explained = msgspec.structs.replace(run.conductor.plan, explain=True)
    session_start.begin_session(run.conductor.recorder, explained, "s", None)
    assert refuse() == "--sequence-length of at most 9"
