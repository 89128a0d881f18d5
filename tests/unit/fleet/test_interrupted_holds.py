"""A signal while a place is asked for gives back what the answer names."""

from __future__ import annotations

import io
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from support.command_line import TXTOP
from support.waiting import WAIT_S, wait_until
from txtop.fleet.engines import ray as ray_engine
from txtop.fleet.places import hold_places, parse_places


def leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is searched first."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return tmp_path


@pytest.fixture
def interrupted(programs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Interrupt the first wait for an answer, once its program has made the file `ready`."""
    ready = programs / "ready"
    waits = iter([ready])

    def interrupt() -> None:
        if next(waits, None) is None:
            return
        wait_until(ready.exists)
        os.kill(os.getpid(), signal.SIGUSR1)

    class InterruptedProcess(subprocess.Popen[Any]):
        def communicate(self, *arguments: Any, **options: Any) -> Any:
            interrupt()
            return super().communicate(*arguments, **options)

    class InterruptedPipe(io.TextIOWrapper):
        def readline(self, size: int = -1, /) -> str:
            interrupt()
            return super().readline(size)

    monkeypatch.setattr(io, "TextIOWrapper", InterruptedPipe)
    monkeypatch.setattr(subprocess, "Popen", InterruptedProcess)
    previous = signal.signal(signal.SIGUSR1, leave)
    yield
    signal.signal(signal.SIGUSR1, previous)


def write_program(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def require_leaving(engine: str) -> None:
    with pytest.raises(SystemExit):
        hold_places(parse_places([engine]), print)


@pytest.mark.usefixtures("interrupted")
def test_a_job_is_cancelled_whose_number_comes_after_the_signal(programs: Path) -> None:
    cancelled = programs / "cancelled"
    write_program(programs / "srun", "exit 1")
    write_program(programs / "sbatch", f"touch {programs}/ready; sleep 0.3; echo 7")
    write_program(programs / "scancel", f'echo "$@" >> {cancelled}')
    require_leaving("slurm")
    assert cancelled.read_text().splitlines() == ["--signal=TERM --full 7", "--full 7"]


@pytest.mark.usefixtures("interrupted")
def test_a_step_that_is_awaited_is_ended(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    ended = programs / "ended"
    write_program(programs / "sbatch", "exit 1")
    write_program(
        programs / "srun",
        f"trap 'echo >{ended}; exit' TERM; touch {programs}/ready\n"
        f"for _ in 1 2 3 4 5 6 7 8 9; do sleep 0.5; done",
    )
    require_leaving("slurm")
    assert ended.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_waits_for_its_job_gives_it_back(programs: Path, number: signal.Signals) -> None:
    cancelled = programs / "cancelled"
    for name, script in (
        ("srun", "exit 1"),
        ("sbatch", "echo 7"),
        ("scontrol", "echo JobState=PENDING Reason=Resources"),
        ("scancel", f'echo "$@" >> {cancelled}'),
    ):
        write_program(programs / name, script)
    command = [*TXTOP, "run", "--models", "gpt2", "--on", "slurm"]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert run.stderr is not None
    assert run.stderr.readline() == "job 7 waits: Resources\n"
    run.send_signal(number)
    assert run.wait(WAIT_S) == 128 + number
    assert cancelled.read_text().splitlines()[-1] == "--full 7"


@pytest.mark.usefixtures("interrupted")
def test_the_process_that_holds_nodes_gives_them_back(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = programs / "asked"
    program = write_program(
        programs / "helper",
        f'echo "$@" >> {asked}\n[ "$1" = hold ] || exit 0\n'
        f"trap 'exit 1' TERM; echo 'auto txtop-1 10.0.0.7/ab'; touch {programs}/ready\n"
        "for _ in 1 2 3 4 5 6 7 8 9; do sleep 0.5; done",
    )
    monkeypatch.setattr(ray_engine, "find_spec", lambda name: True)
    monkeypatch.setattr(ray_engine, "build_module_command", lambda _, *rest: [program, *rest])
    require_leaving("ray")
    assert asked.read_text().splitlines() == ["hold ", "release auto txtop-1 10.0.0.7/ab"]
