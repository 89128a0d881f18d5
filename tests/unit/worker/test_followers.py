"""The end of another rank, as rank 0 and the runner report it."""

from __future__ import annotations

import subprocess
import sys
from collections import deque

import pytest

from txtop.protocol import events
from txtop.runner.child_process import ChildProcess
from txtop.runner.worker_failure import diagnose_death
from txtop.worker.failures import EXIT_RANK_LOST, Failure
from txtop.worker.ranks import followers
from txtop.worker.ranks.followers import Followers

LOST = "rank 1 died (killed by signal 9)"


def fail(reason: str, status: events.CellStatus = "failed") -> Failure:
    return Failure(status, reason, "", None, sticky=True)


@pytest.mark.parametrize(
    ("code", "text"),
    [(-9, LOST), (-11, "rank 1 died (killed by signal 11)"), (3, "rank 1 died (exited with 3)")],
)
def test_a_death_is_named_by_its_rank(code: int, text: str) -> None:
    assert followers.describe_death(1, code) == text


def test_what_a_rank_reports_carries_its_number() -> None:
    finished = events.CellFinished(
        t_ns=1, cell="c", status="oom", reason="out of memory on the device", wanted_bytes=8
    )
    assert followers.find_failure(2, finished) == Failure(
        "oom", "rank 2: out of memory on the device", "", 8, True
    )
    rejected = events.CellRejected(t_ns=1, cell="c", reason="no cuda device", hint="h")
    assert followers.find_failure(1, rejected) == Failure(
        "failed", "rank 1: no cuda device", "h", None, True
    )
    compared = events.Fidelity(t_ns=1, cell="c", reference="r", failed="broken")
    assert followers.find_failure(1, compared) == fail("rank 1: broken")
    assert followers.find_failure(1, events.Log(t_ns=1, text="x")) is None


@pytest.mark.parametrize("cause", [fail(LOST), fail("rank 1: out of memory", "oom")])
def test_the_cause_is_told_from_the_connections_that_it_costs(cause: Failure) -> None:
    gone = Followers("w", 1, {})
    assert gone.find_trouble() is None
    gone._troubles |= {2: fail("rank 2: RuntimeError: Connection closed by peer"), 1: cause}
    assert gone.find_trouble() == cause


def test_a_rank_0_that_cannot_report_ends_with_the_words_and_the_runner_reads_them() -> None:
    code = (
        "from txtop.worker.ranks import followers\n"
        "from txtop.worker.failures import Failure\n"
        "followers.GRACE_S = 0.0\n"
        f"lost = Failure('failed', {LOST!r}, '', None, True)\n"
        "followers.Followers('w', 1, {})._note(1, lost)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    lines = process.stderr.read().decode().splitlines()
    child = ChildProcess("worker:1", process, 0, stderr=deque(lines))
    assert diagnose_death(child) == (EXIT_RANK_LOST, LOST, False)
    process.stderr.close()


def test_a_reported_rank_does_not_end_rank_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followers, "GRACE_S", 0.0)
    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)
    gone = Followers("w", 1, {})
    gone._troubles[1] = fail(LOST)
    assert gone.find_trouble() == fail(LOST)
    gone._note(1, fail(LOST))
    assert ended == []
