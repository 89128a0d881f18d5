"""The runner's own log, of which the last line is quoted when a run ends without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from txtop.runner.spawn import RUNNER_LOG, read_last_log_line


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (None, "no word"),
        ("", "no word"),
        ("begun\nOSError: no room\n", "OSError: no room"),
        ("begun\nUSDT:2026-11-29 SyncActivityProfilerHandler.cpp:59] profiler_stop\n", "begun"),
        ("OSError: no room\nLoading:   0%|  | 0/57 [00:00<?, ?it/s]\r", "OSError: no room"),
        ("USDT:2026-11-29 SyncActivityProfilerHandler.cpp:59] profiler_stop\n", "no word"),
    ],
)
def test_the_last_line_is_the_runners_own(tmp_path: Path, log: str | None, line: str) -> None:
    if log is not None:
        (tmp_path / RUNNER_LOG).write_text(log)
    assert read_last_log_line(tmp_path) == line
