"""The reason of a worker that was killed is its own words, not its progress."""

from __future__ import annotations

import subprocess

import pytest

from txtop.runner.child_process import ChildProcess
from txtop.runner.worker_failure import diagnose_death

EMPTY = "Loading weights:   0%|          | 0/57 [00:00<?, ?it/s]"
FULL = "Loading weights: 100%|██████████| 57/57 [00:01<00:00, 41.2it/s, loaded=all]"


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (f"\r{EMPTY}\r{FULL}", []),
        (f"\r{EMPTY}\r{FULL}\r", []),
        ("1205it [00:03, 391.20it/s]", []),
        ("Fetching: 3.1MB [01:00:02, 1.50s/MB]", []),
        (f"{EMPTY}Segmentation fault", ["Segmentation fault"]),
        ("first\rlast\r", ["last"]),
        ("[00:12, a time that is no rate]", ["[00:12, a time that is no rate]"]),
    ],
)
def test_a_progress_bar_is_no_reason(line: str, kept: list[str]) -> None:
    process = subprocess.Popen(["sh", "-c", "kill -KILL $$"], stdin=subprocess.PIPE)
    process.wait()
    child = ChildProcess("worker:1", process, 0)
    child.keep_error_line(line.encode())
    reason = ": ".join(["the worker killed by SIGKILL", *kept])
    assert (list(child.stderr), diagnose_death(child)[1]) == (kept, reason)
