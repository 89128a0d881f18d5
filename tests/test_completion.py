"""The scripts that make a shell complete txtop, in the shells themselves."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from txtop.cli import run_command_line


@pytest.fixture
def script(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Path:
    """The script for the shell that the test names."""
    assert run_command_line(["completion", request.param]) == 0
    path = tmp_path / f"txtop.{request.param}"
    path.write_text(capsys.readouterr().out)
    return path


@pytest.mark.parametrize("script", ["bash", "zsh", "fish"], indirect=True)
def test_the_shell_reads_its_script(script: Path) -> None:
    shell = script.suffix[1:]
    assert "attach" in script.read_text() and "headless" in script.read_text()
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not here")
    done = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def typed_in_bash(setup: str, keys: str, until: str, seconds: float = 10.0) -> str:
    """What an interactive bash prints once `keys` were typed, at the latest after so long."""
    pid, fd = pty.fork()
    if pid == 0:
        environ = {"PATH": os.environ["PATH"], "TERM": "dumb", "INPUTRC": "/dev/null", "PS1": "$ "}
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], environ)
    try:
        os.write(fd, f"{setup}; echo re''ady\n".encode())
        seen, told, end_s = "", False, time.monotonic() + seconds
        while until not in seen and time.monotonic() < end_s:
            if not told and "ready" in seen:
                told = True
                os.write(fd, keys.encode())
            if select.select([fd], [], [], 0.1)[0]:
                seen += os.read(fd, 4096).decode(errors="replace")
        return seen
    finally:
        os.write(fd, b"\x03\x04")
        os.close(fd)
        os.waitpid(pid, 0)


@pytest.mark.parametrize("script", ["bash"], indirect=True)
@pytest.mark.parametrize(
    ("typed", "completed"),
    [("ru\t", "run"), ("run --pres\t", "run --preset"), ("replay --glyphs br\t", "braille")],
)
def test_bash_completes(script: Path, typed: str, completed: str) -> None:
    setup = f'source {script}; txtop() {{ echo "got:$*."; }}'
    assert f"{completed}." in typed_in_bash(setup, f"txtop {typed}\n", f"{completed}.")


def test_a_shell_without_a_script_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["completion", "tcsh"]) == 2
    assert "bash" in capsys.readouterr().err
