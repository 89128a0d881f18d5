"""No process of txtop runs what lies in the current directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import tiny_models

POISON = """\
import sys
with open({log!r}, "a") as log:
    print({name!r}, sys.orig_argv, file=log)
"""
# A library that each process would import first, two of the standard library, and a package.
SCRIPT = [str(Path(sys.executable).with_name("txtop"))]
MODULE = [sys.executable, "-m", "txtop"]
SMALL = ["--sequence-lengths", "8", "--new-tokens", "2", "--iterations", "2", "--warmup", "1"]
NAMES = ("numpy.py", "msgspec.py", "psutil.py", "random.py", "json.py", "torch/__init__.py")


@pytest.fixture
def poisoned(tmp_path: Path) -> Path:
    """A model directory with files named like modules, each of which notes that it ran."""
    folder = tiny_models.gpt2(tmp_path / "model")
    for name in NAMES:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(POISON.format(log=str(tmp_path / "ran"), name=name))
    return folder


@pytest.mark.fault(40)
@pytest.mark.parametrize(
    ("start", "python_path"),
    [(SCRIPT, None), (SCRIPT, f"{os.pathsep}/nowhere"), (MODULE, "."), (MODULE, None)],
)
def test_a_model_directory_that_is_the_current_one_runs_nothing(
    start: list[str], python_path: str | None, poisoned: Path, tmp_path: Path
) -> None:
    """Command line, runner, worker and sampler of a run, and the probes of `doctor`."""
    environ = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    environ.pop("PYTHONPATH", None)
    if python_path is not None:
        environ["PYTHONPATH"] = python_path
    command = [*start, "doctor", "--json"]
    if python_path is None:
        command = [*start, "run", "--models", ".", *SMALL, "--headless", "--json", "-"]
    ended = subprocess.run(command, cwd=poisoned, env=environ, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()
