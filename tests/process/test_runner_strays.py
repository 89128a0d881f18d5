"""Events that a worker must not send, and those it sends as it dies."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from support import streams
from support.fake_run import Run, plan, statuses
from support.paths import TESTS
from txtop.analysis.metrics import FinalMetrics
from txtop.export import json
from txtop.protocol import codec, events
from txtop.session.reader import read_all
from txtop.state.fold import fold_all

STRAY = """
import os, sys
sys.path.insert(0, {tests!r})
from support import fake_worker, streams
from txtop.protocol import codec, events

class Stray(fake_worker.Fake):
    def load(self, order):
        for event in streams.stream():
            if not hasattr(event, "cell") or event.cell != order.cell.id:
                os.write(1, codec.encode_event(event))
        super().load(order)
        if self.model == "measures-peaks":
            self.send(events.DevicePeaks(
                t_ns=1, device="A CPU", threads=1, source="probe",
                bandwidth_bytes_per_s=2e10, flops_per_s={{"fp32": 1e11}},
            ))

    def iterate(self, order, index):
        if self.model == "last-words" and order.role == "measured":
            os.write(2, b"the last words, without a newline")
            os.abort()
        if self.model == "noisy":
            os.write(2, b"a warning\\n")
        super().iterate(order, index)

fake = Stray("w")
import threading
threading.Thread(target=fake.read, daemon=True).start()
fake.run()
"""


@pytest.fixture
def stray() -> tuple[str, ...]:
    return (sys.executable, "-c", STRAY.format(tests=str(TESTS)))


def test_a_worker_has_no_say_in_another_cell(tmp_path: Path, stray: tuple[str, ...]) -> None:
    run = Run(tmp_path / "s", plan("aborts", "ok"), worker=stray)
    assert run.start().join() == ("done", True)
    assert statuses(run.state) == ["failed", "ok"]
    assert [len(cell.samples) for cell in run.state.cells.values()] == [3, 8]


def test_events_that_are_not_a_workers_change_neither_the_run_nor_its_log(
    tmp_path: Path, stray: tuple[str, ...]
) -> None:
    run = Run(tmp_path / "s", plan("ok"), worker=stray)
    assert run.start().join() == ("done", True) and statuses(run.state) == ["ok"]
    assert run.state.header is not None and run.state.header.session == "s"
    logged, problems = read_all(run.folder)
    assert not problems.lines() and not any(isinstance(e, events.Marker) for e in logged)
    assert sum(isinstance(e, events.SessionEnded) for e in logged) == 1 and not run.state.devices
    warned = {line.text for line in run.state.log if line.level == "warning"}
    assert any("ended is not for a worker to say" in text for text in warned)
    played = json.to_json(fold_all(logged), FinalMetrics())
    assert played == json.to_json(run.state, FinalMetrics())


def test_what_a_device_can_do_is_a_workers_to_say(tmp_path: Path, stray: tuple[str, ...]) -> None:
    run = Run(tmp_path / "s", plan("measures-peaks"), worker=stray)
    assert run.start().join() == ("done", True)
    logged, _ = read_all(run.folder)
    (peaks,) = (event for event in logged if isinstance(event, events.DevicePeaks))
    assert peaks.src == "worker:1" and fold_all(logged).peaks == {("A CPU", 1): peaks}


@pytest.mark.fault(26)
def test_last_words_without_a_newline_are_kept(tmp_path: Path, stray: tuple[str, ...]) -> None:
    run = Run(tmp_path / "s", plan("last-words", "ok"), worker=stray)
    assert run.start().join() == ("done", True)
    assert statuses(run.state) == ["failed", "ok"]
    finished = run.state.cells["c001"].finished
    assert finished is not None and finished.stderr == ["the last words, without a newline"]


def test_a_runner_log_that_cannot_be_written_ends_no_run(
    tmp_path: Path, stray: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def write(fd: int, data: bytes) -> int:
        if fd == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    run = Run(tmp_path / "s", plan("noisy"), worker=stray).start()
    assert run.join() == ("done", True) and statuses(run.state) == ["ok"]


def test_a_sampler_may_speak_until_the_end(tmp_path: Path) -> None:
    """An event sent while the sampler is being ended is a sample, not a stray event of a worker."""
    sample = codec.encode_event(streams.telemetry(1)).decode().strip()
    script = (
        "import sys, time\n"
        f"def say(): print({sample!r}, flush=True)\n"
        "say()\n"
        "for _ in sys.stdin: pass\n"
        "say(); time.sleep(0.1)\n"
    )
    run = Run(tmp_path / "s", plan("ok"), sampler=(sys.executable, "-c", script))
    assert run.start().join() == ("done", True)
    assert [line for line in run.state.log if line.level == "warning"] == []
    assert len(run.state.devices["host"].series["cpu_percent"][0]) == 2
