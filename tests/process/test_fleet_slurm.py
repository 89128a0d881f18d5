"""Places that Slurm gives: jobs, and steps of an allocation, held as long as a run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command_line import txtop
from support.held_places import build_arguments, require_equal_copies, start
from support.slurm_node import find_missing, run_slurm
from support.waiting import WAIT_S, wait_until

if find_missing():
    pytest.skip(find_missing(), allow_module_level=True)

COMMAND = f"{sys.executable} -m txtop"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with run_slurm(tmp_path_factory.mktemp("slurm")) as client:
        yield client


def list_jobs(client: dict[str, str]) -> list[str]:
    command = ["squeue", "-h", "-o", "%i", "-t", "PENDING,RUNNING"]
    environment = {**os.environ, **client}
    return subprocess.run(command, env=environment, capture_output=True, text=True).stdout.split()


@pytest.mark.slow
def test_each_job_holds_a_place_and_is_given_back(tmp_path: Path, slurm: dict[str, str]) -> None:
    done = txtop(*build_arguments(tmp_path, "slurm*2", "b=slurm:-c 2"), **slurm)
    assert done.returncode == 0, done.stderr
    require_equal_copies(tmp_path, "slurm-1", "slurm-2", "b")
    assert list_jobs(slurm) == [] and not [*Path("/tmp").glob("txtop-*.batch")]


@pytest.mark.slow
def test_a_job_that_is_cancelled_is_named(tmp_path: Path, slurm: dict[str, str]) -> None:
    arguments = build_arguments(tmp_path, "a=slurm", "b=slurm", iterations=500)
    environment = {**os.environ, **slurm}
    run = start(arguments, **slurm)
    assert run.stderr is not None
    lines: list[str] = []
    for line in run.stderr:
        lines.append(line)
        if re.match(r"a .*started$", line):
            first = min(list_jobs(slurm), key=int)
            subprocess.run(["scancel", first], env=environment, check=True)
    assert run.wait(WAIT_S) == 1, "".join(lines)
    assert any(re.match(rf"a +Slurm's job {first} has ended \(CANCELLED\)", x) for x in lines), (
        lines
    )
    require_equal_copies(tmp_path, "b")
    assert list_jobs(slurm) == []


@pytest.mark.slow
def test_inside_an_allocation_its_steps_are_the_places(
    tmp_path: Path, slurm: dict[str, str]
) -> None:
    inside = ["salloc", "-Q", "-n", "2", *COMMAND.split(), *build_arguments(tmp_path, "slurm*2")]
    environment = {**os.environ, **slurm}
    done = subprocess.run(inside, env=environment, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    require_equal_copies(tmp_path, "slurm-1", "slurm-2")
    assert list_jobs(slurm) == [] and not [*Path("/tmp").glob("txtop-*.[0-9]*")]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_a_job_waits_cancels_them_all(
    tmp_path: Path, slurm: dict[str, str], number: signal.Signals
) -> None:
    run = start(build_arguments(tmp_path, "slurm", "b=slurm:-c 4"), **slurm)
    assert run.stderr is not None
    told = next((line for line in run.stderr if "waits" in line), "")
    assert "Resources" in told and len(list_jobs(slurm)) == 2
    run.send_signal(number)
    assert run.wait(WAIT_S) == 128 + number
    assert list_jobs(slurm) == []


def test_what_slurm_refuses_is_told_and_nothing_stays(
    tmp_path: Path, slurm: dict[str, str]
) -> None:
    done = txtop(*build_arguments(tmp_path, "slurm", "b=slurm:-p nowhere"), **slurm)
    assert done.returncode == 2
    assert "sbatch refuses: " in done.stderr and "partition" in done.stderr
    wait_until(lambda: not list_jobs(slurm))
    assert not (tmp_path / "here").exists()


@pytest.mark.slow
def test_a_fleet_whose_jobs_were_given_back_is_resumed_in_new_ones(
    tmp_path: Path, slurm: dict[str, str]
) -> None:
    arguments = build_arguments(tmp_path, "a=slurm", "b=slurm", iterations=1000)
    run = start(arguments, **slurm)
    assert run.stderr is not None
    for line in run.stderr:
        if re.match(r"a .*started", line):
            run.send_signal(signal.SIGINT)
            break
    run.stderr.read()
    assert run.wait(WAIT_S) == 130 and list_jobs(slurm) == []
    here = ("--session-dir", str(tmp_path / "here"))
    again = txtop("attach", "f", *here, **slurm)
    assert again.returncode == 130, again.stderr
    resumed = txtop("resume", "f", *here, **slurm)
    assert resumed.returncode == 0, resumed.stderr
    require_equal_copies(tmp_path, "a", "b")
    assert list_jobs(slurm) == []
