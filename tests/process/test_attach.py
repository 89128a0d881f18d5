"""Screens attached to a run from other terminals: the same figures, and leaving changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.paths import SHIM
from support.terminal_process import TerminalProcess
from support.waiting import WAIT_S, wait_until
from txtop.runner.control_client import ControlClient
from txtop.session.reader import read_all
from txtop.state.fold import fold_all

ATTACH = "import sys; sys.argv[1:] = ['attach', 's']; from txtop.__main__ import main; main()"
FIGURES = ("tok/s", "TTFT", "TPOT", "ITL", "load", "fp32")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str | None]:
    return {
        "PYTHONPATH": str(SHIM),
        "TXTOP_SESSION_DIR": str(tmp_path),
        "SSH_CONNECTION": None,
    }


@pytest.fixture
def run(tmp_path: Path, env: dict[str, str | None]) -> Iterator[ControlClient]:
    """Start a run that nobody watches."""
    set_here = {key: value for key, value in env.items() if value is not None}
    command = [sys.executable, "-m", "txtop", "run", "--models", "ok", "--name", "s", "--detach"]
    command += ["--sequence-lengths", "8", "--iterations", "400", "--batch-sizes", "1", "4"]
    done = subprocess.run(
        command, env={**os.environ, **set_here}, capture_output=True, text=True, timeout=WAIT_S
    )
    assert done.returncode == 0 and done.stdout == "s\n" and "txtop attach s" in done.stderr
    control = ControlClient(tmp_path / "s")
    yield control
    control.send("stop")
    control.send("stop")


def figures(screen: TerminalProcess) -> list[str]:
    return [line for line in screen.text.splitlines() if any(word in line for word in FIGURES)]


def test_two_terminals_show_the_same_and_leaving_either_changes_nothing(
    tmp_path: Path, env: dict[str, str | None], run: ControlClient
) -> None:
    # It waits for the screens, however long these take to come.
    assert run.send("pause")
    screen_env = {name: value for name, value in env.items() if name != "PYTHONPATH"}
    with (
        TerminalProcess(ATTACH, size=(120, 40), env=screen_env) as first,
        TerminalProcess(ATTACH, size=(120, 40), env=screen_env) as second,
    ):
        for screen in (first, second):
            screen.wait_for("paused")
        assert run.send("resume")
        for screen in (first, second):
            screen.wait_for("measuring")
        assert run.send("pause")
        for screen in (first, second):
            screen.wait_for(lambda s=screen: "paused" in s.text and "TPOT" in s.text)
        until_s = time.monotonic() + WAIT_S
        while figures(first) != figures(second):
            assert time.monotonic() < until_s, (figures(first), figures(second))
            first.read_for(0.3)
            second.read_for(0.3)
        assert len(figures(first)) > 5
        first.type("q")
        first.wait_for("keep running in the background")
        first.type("l")
        first.wait_for(first.ended)
        status = run.status()
        assert status is not None and status.state == "running" and status.paused
        second.hang_up()
        wait_until(second.ended, "a screen without a terminal goes on")
    assert run.send("resume")
    wait_until(lambda: run.status() is None)
    state = fold_all(read_all(tmp_path / "s")[0])
    assert state.ended is not None and state.ended.reason == "done"
    assert [len(cell.samples.kept()) for cell in state.cells.values()] == [400, 400]
    assert not any("stop" in line.text for line in state.log)
