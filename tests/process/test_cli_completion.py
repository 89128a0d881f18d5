"""The completion scripts, run in the shells themselves."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from support.waiting import WAIT_S
from txtop.cli.app import run_command_line


@pytest.fixture
def script(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Path:
    """Return the script for the shell that the test names."""
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


def typed(shell: list[str], setup: str, *pieces: str, until: str) -> str:
    """Return the output of an interactive shell into which `pieces` are typed when it is quiet.

    Stops when `until` is printed, at the latest after `WAIT_S`.
    """
    pid, fd = pty.fork()
    if pid == 0:
        environ = {"PATH": os.environ["PATH"], "TERM": "dumb", "INPUTRC": "/dev/null", "PS1": "$ "}
        os.execvpe(shell[0], shell, environ)
    try:
        os.write(fd, f"{setup}; echo re''ady\n".encode())
        seen, left, end_s = "", list(pieces), time.monotonic() + WAIT_S
        while until not in seen and time.monotonic() < end_s:
            if select.select([fd], [], [], 0.3)[0]:
                seen += os.read(fd, 4096).decode(errors="replace")
            elif left and "ready" in seen:
                os.write(fd, left.pop(0).encode())
        return seen
    finally:
        os.write(fd, b"\x03\x04")
        os.close(fd)
        os.waitpid(pid, 0)


CASES = [("ru", "run"), ("run --pres", "run --preset"), ("replay --glyphs br", "braille")]


BASH_CASES = [
    *CASES,
    ("run --attention sdpa:fl", "run --attention sdpa:flash"),
    ("run --attention sdpa:flash sdpa:ma", "run --attention sdpa:flash sdpa:math"),
    ("run --precisions fp32 bf", "run --precisions fp32 bf16"),
]


@pytest.mark.parametrize("script", ["bash"], indirect=True)
@pytest.mark.parametrize(("begun", "completed"), BASH_CASES)
def test_bash_completes(script: Path, begun: str, completed: str) -> None:
    setup = f'source {script}; txtop() {{ echo "got:$*."; }}'
    shell = ["bash", "--norc", "--noprofile", "-i"]
    seen = typed(shell, setup, f"txtop {begun}\t", "\n", until=f"{completed}.")
    assert f"{completed}." in seen


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not here")
@pytest.mark.parametrize("script", ["zsh"], indirect=True)
@pytest.mark.parametrize("way", ["file", "source"])
@pytest.mark.parametrize(("begun", "completed"), CASES)
def test_zsh_completes(script: Path, way: str, begun: str, completed: str) -> None:
    """Both as a file in a folder of `fpath`, as docs/commands.md describes, and sourced."""
    folder = script.parent / "functions"
    folder.mkdir()
    setup = f"autoload -Uz compinit; compinit -u -d {folder}/dump; source {script}"
    if way == "file":
        script.rename(folder / "_txtop")
        setup = f"fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -d {folder}/dump"
    setup += '; txtop() { echo "got:$*." }'
    shell = ["zsh", "-f", "-i"]
    seen = typed(shell, setup, f"txtop {begun}", "\t", "\n", until=f"{completed}.")
    assert f"{completed}." in seen


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not here")
@pytest.mark.parametrize("script", ["fish"], indirect=True)
@pytest.mark.parametrize(("begun", "completed"), CASES)
def test_fish_completes(script: Path, begun: str, completed: str) -> None:
    code = f"source {script}; complete -C 'txtop {begun}'"
    done = subprocess.run(["fish", "--no-config", "-c", code], capture_output=True, text=True)
    assert completed.rpartition(" ")[2] in [
        line.split("\t")[0] for line in done.stdout.splitlines()
    ]


def test_a_shell_without_a_script_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["completion", "tcsh"]) == 2
    assert "bash" in capsys.readouterr().err
