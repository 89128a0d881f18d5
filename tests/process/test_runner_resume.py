"""A session that was cut off, at any byte and on any boot, is resumed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from support import streams
from support.fake_run import FAKE, Run, plan, statuses
from support.waiting import wait_until
from txtop.analysis.metrics import FinalMetrics
from txtop.errors import RunError, SessionError
from txtop.export.json import to_json
from txtop.protocol import codec, events
from txtop.protocol.events import AnyEvent
from txtop.runner import machine_info
from txtop.runner.conductor import Conductor
from txtop.session.reader import read_all
from txtop.session.repair import TORN_NAME, repair_log
from txtop.session.writer import LOG_NAME, LogWriter, create_session_folder
from txtop.state.fold import fold_all
from txtop.state.session import SessionState


def resumed(folder: Path) -> SessionState:
    """Conduct the missing cells with the fake worker and return the state that the log gives."""
    conductor = Conductor(None, folder, worker=FAKE, sampler=None)
    assert conductor.run() == ("done", True)
    return fold_all(read_all(folder)[0])


@pytest.mark.fault(6)
def test_a_log_cut_at_any_byte_is_mended_without_losing_one(tmp_path: Path) -> None:
    log, torn = tmp_path / LOG_NAME, tmp_path / TORN_NAME
    made = streams.stream(streams.plan(("gpt2",), iterations=1))
    body = streams.write(log, made)
    ends = {i + 1 for i, byte in enumerate(body) if byte == 0x0A}
    for cut in range(len(body) + 1):
        log.write_bytes(body[:cut])
        torn.unlink(missing_ok=True)
        lost = repair_log(log)
        after = log.read_bytes()
        aside = torn.read_bytes() if torn.exists() else b""
        if cut + 1 in ends:
            assert after == body[: cut + 1] and not lost
        else:
            assert after + aside == body[:cut] and lost == len(aside)
        assert not after or after.endswith(b"\n")
        assert repair_log(log) == 0 and log.read_bytes() == after


@pytest.mark.fault(6)
def test_a_tail_of_nul_bytes_or_without_end_is_set_aside(tmp_path: Path) -> None:
    log = tmp_path / LOG_NAME
    body = streams.write(log, streams.stream())
    for tail in (b"\0" * 5000, b"x" * (3 << 20)):
        log.write_bytes(body + tail)
        assert repair_log(log) == len(tail)
        assert log.read_bytes() == body
    assert (tmp_path / TORN_NAME).read_bytes() == b"\0" * 5000 + b"x" * (3 << 20)


@pytest.mark.fault(6)
def test_what_is_appended_after_a_cut_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    create_session_folder(folder)
    made = streams.stream()
    body = streams.write(folder / LOG_NAME, made)
    (folder / LOG_NAME).write_bytes(body[:-7])
    writer = LogWriter(folder)
    writer.last_seq = made[-2].seq
    writer.record(events.Marker(t_ns=1, label="after"))
    assert writer.close() and writer.torn_bytes == len(body) - 7 - body.rfind(b"\n", 0, -1) - 1
    logged, problems = read_all(folder)
    assert not problems.lines()
    assert logged[:-1] == made[:-1] and isinstance(logged[-1], events.Marker)
    assert logged[-1].seq == made[-1].seq


def test_resume_measures_only_what_is_missing(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", plan("ok", "aborts", "oom", iterations=5, batches=(1, 4)))
    run.run()
    first, *_ = run.state.cells.values()
    assert statuses(run.state) == ["ok", "ok", "failed", "failed", "oom", "oom"]
    before = read_all(run.folder)[0]
    state = fold_all(before)
    Conductor(None, run.folder, worker=FAKE, sampler=None).run()
    logged, problems = read_all(run.folder)
    assert not problems.lines()
    assert logged[: len(before)] == before
    assert [e.seq for e in logged] == list(range(1, len(logged) + 1))
    again = [e.cell for e in logged[len(before) :] if isinstance(e, events.CellStarted)]
    assert again == ["c003", "c004"]
    state = fold_all(logged)
    assert state.cells["c001"].samples == first.samples
    assert any(line.text.startswith("resumed") for line in state.log)


@pytest.mark.fault(4)
def test_a_session_cut_anywhere_is_finished_by_resume(tmp_path: Path) -> None:
    run = Run(tmp_path / "whole", plan("ok", iterations=5, batches=(1, 4)))
    run.run()
    body = (run.folder / LOG_NAME).read_bytes()
    header = body.index(b"\n") + 1
    for part in range(9):
        folder = tmp_path / f"cut{part}"
        create_session_folder(folder)
        cut = header + (len(body) - header) * part // 8 - (part == 8)
        (folder / LOG_NAME).write_bytes(body[:cut])
        kept = read_all(folder)[0]
        state = resumed(folder)
        logged, problems = read_all(folder)
        assert not problems.lines() and logged[: len(kept)] == kept
        assert statuses(state) == ["ok", "ok"]
        assert [len(c.samples.kept()) for c in state.cells.values()] == [5, 5]
        assert state.ended is not None and state.ended.reason == "done"


def test_a_cell_that_is_measured_again_starts_from_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", plan("ok", iterations=5))
    run.run()
    lines = (run.folder / LOG_NAME).read_bytes().splitlines(keepends=True)
    third = [i for i, line in enumerate(lines) if b'"iteration"' in line][2]
    (run.folder / LOG_NAME).write_bytes(b"".join(lines[: third + 1]))
    cut = fold_all(read_all(run.folder)[0])
    assert len(cut.cells["c001"].samples) == 3 and cut.ended is None
    state = resumed(run.folder)
    assert state.cells["c001"].samples.role == ["first", "warmup", "warmup"] + ["measured"] * 5
    live = to_json(state, FinalMetrics())
    assert json.loads(live)["cells"][0]["metrics"]["e2e_ms"]["n"] == 5


@pytest.mark.fault(12)
def test_a_reboot_starts_a_segment_and_no_time_goes_across(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "s", plan("ok", iterations=5, batches=(1, 4)))
    run.run()
    log = run.folder / LOG_NAME
    logged, _ = read_all(run.folder)
    cut = next(i for i, e in enumerate(logged) if isinstance(e, events.CellFinished)) + 1
    late = 10**15
    for event in logged[:cut]:
        event.t_ns += late
    log.write_bytes(b"".join(codec.encode_event(event) for event in logged[:cut]))
    before = fold_all(logged[:cut])
    monkeypatch.setattr(machine_info, "read_boot_id", lambda: "another boot")
    state = resumed(run.folder)
    assert state.boot_ids[-1] == "another boot" and len(set(state.boot_ids)) == 2
    assert statuses(state) == ["ok", "ok"]
    passed_ns = state.clock_ns - before.clock_ns
    assert 0 < passed_ns < 60 * 10**9
    second = state.cells["c002"]
    assert before.clock_ns <= second.started_at_ns < second.ended_at_ns <= state.clock_ns
    assert any("after a reboot" in line.text for line in state.log)


@pytest.mark.fault(10)
def test_a_session_that_is_being_written_is_not_resumed(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", plan("slow")).start()
    wait_until(lambda: run.state.current)
    with pytest.raises(RunError, match=f"is being written by process {os.getpid()}"):
        Conductor(None, run.folder, worker=FAKE, sampler=None)
    run.conductor.interrupt("SIGTERM")
    run.join()


def test_a_log_without_a_header_is_not_resumed(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    create_session_folder(folder)
    (folder / LOG_NAME).write_bytes(b'{"kind":"header","schema":[1,')
    with pytest.raises(SessionError, match="is empty"):
        Conductor(None, folder, worker=FAKE, sampler=None)


def test_what_changed_since_the_header_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "s", plan("ok", iterations=5))
    run.run()
    logged: list[AnyEvent] = read_all(run.folder)[0]
    cut = next(i for i, e in enumerate(logged) if isinstance(e, events.CellStarted))
    (run.folder / LOG_NAME).write_bytes(b"".join(map(codec.encode_event, logged[:cut])))
    real = machine_info.read_versions()
    monkeypatch.setattr(machine_info, "read_versions", lambda: {**real, "torch": "99.0"})
    state = resumed(run.folder)
    lines = [line.text for line in state.log if "not as when the session began" in line.text]
    assert len(lines) == 1 and lines[0].endswith("is 99.0") and "torch" in lines[0]
