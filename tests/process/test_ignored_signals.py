"""A signal that is ignored as txtop starts, as nohup does it, stays ignored in every process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from support.paths import ROOT, SHIM
from support.waiting import wait_until
from txtop.system.signals import handle_signals, unwind_on_signals
from txtop.ui.terminal.capabilities import TerminalGuard

IGNORED = (signal.SIGHUP, signal.SIGINT)


def ignore() -> None:
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)


def reads_caught(pid: int) -> set[int]:
    """Return which of `IGNORED` the process handles itself."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(status.split("SigCgt:")[1].split()[0], 16)
    return {number for number in IGNORED if caught >> (number - 1) & 1}


@pytest.mark.fault(44)
def test_a_run_under_nohup_survives_its_terminal(tmp_path: Path) -> None:
    """The command line, the runner, the sampler and the (made-up) worker."""
    command = [sys.executable, "-m", "txtop", "run", "--headless", "--models", "ok", "--name", "s"]
    command += ["--sequence-lengths", "8", "--iterations", "900", "--on-hangup", "stop"]
    environ = {
        **os.environ,
        "PYTHONPATH": f"{SHIM}{os.pathsep}{ROOT}",
        "TXTOP_SESSION_DIR": str(tmp_path),
    }
    with subprocess.Popen(
        command, env=environ, preexec_fn=ignore, stdout=-1, stderr=-1, text=True
    ) as run:
        log = tmp_path / "s" / "events.jsonl"
        wait_until(lambda: log.exists() and b'"role":"measured"' in log.read_bytes(), run.poll)
        assert reads_caught(run.pid) == set()
        family = psutil.Process(run.pid).children(recursive=True)
        assert len(family) == 3
        for process in (psutil.Process(run.pid), *family):
            process.send_signal(signal.SIGHUP)
        out, _ = run.communicate(timeout=60)
    assert run.returncode == 0, out
    assert "stopped before its end" not in out


@pytest.mark.fault(44)
def test_no_command_takes_up_what_is_ignored() -> None:
    former = {number: signal.signal(number, signal.SIG_IGN) for number in IGNORED}
    try:
        assert handle_signals(IGNORED, lambda number, frame: None) == {}
        with (
            open(os.devnull) as null,
            unwind_on_signals(),
            TerminalGuard(lambda: None, lambda: None, fd=null.fileno()),
        ):
            assert {signal.getsignal(number) for number in IGNORED} == {signal.SIG_IGN}
        assert {signal.getsignal(number) for number in IGNORED} == {signal.SIG_IGN}
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@pytest.mark.fault(44)
def test_what_is_not_ignored_is_handled_and_given_back() -> None:
    former = signal.getsignal(signal.SIGHUP)
    with unwind_on_signals():
        assert signal.getsignal(signal.SIGHUP) is not former
    assert signal.getsignal(signal.SIGHUP) is former
