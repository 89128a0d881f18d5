"""No process of txtop runs what lies in the current directory."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import tiny_models
from support.paths import ROOT
from support.terminal_process import TerminalProcess
from txtop.selftest.bare_arm import build_bare_command
from txtop.system import search_path

POISON = """\
import sys
with open({log!r}, "a") as log:
    print({name!r}, sys.orig_argv, file=log)
"""
SCRIPT = [str(Path(sys.executable).with_name("txtop"))]
MODULE = [sys.executable, "-m", "txtop"]
SMALL = ["--sequence-lengths", "8", "--new-tokens", "2", "--iterations", "2", "--warmup", "1"]
# Libraries that each process would import first, some of the standard library, and a package.
NAMES = (
    *("numpy.py", "msgspec.py", "psutil.py", "textual.py", "cyclopts.py", "torch/__init__.py"),
    *("random.py", "json.py", "argparse.py", "signal.py", "__future__.py"),
)
# An absolute part that is meant, a relative one, and an empty one: the current directory twice.
PYTHON_PATH = os.pathsep.join((str(ROOT), ".", ""))


@pytest.fixture
def poisoned(tmp_path: Path) -> Path:
    """A model directory with files named like modules, each of which notes that it ran."""
    folder = tiny_models.gpt2(tmp_path / "model")
    for name in NAMES:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(POISON.format(log=str(tmp_path / "ran"), name=name))
    return folder


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of a user whose state is the test's."""
    own = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    for name in ("PYTHONPATH", "PYTHONSAFEPATH"):
        own.pop(name, None)
    return own


def check_nothing_ran(folder: Path) -> None:
    assert not (folder / "ran").exists(), (folder / "ran").read_text()


@pytest.mark.fault(40)
@pytest.mark.parametrize(
    ("command", "python_path"),
    [
        # Runner, worker and sampler of a model whose path is relative.
        ([*MODULE, "run", "--models", ".", *SMALL, "--headless", "--json", "-"], str(ROOT)),
        # Both probes.
        ([*SCRIPT, "doctor", "--json"], str(ROOT)),
    ],
)
def test_a_model_directory_that_is_the_current_one_runs_nothing(
    command: list[str],
    python_path: str,
    poisoned: Path,
    environ: dict[str, str],
    tmp_path: Path,
) -> None:
    environ["PYTHONPATH"] = python_path
    ended = subprocess.run(command, cwd=poisoned, env=environ, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)
    check_nothing_ran(tmp_path)


@pytest.mark.fault(40)
@pytest.mark.parametrize("module", ["txtop", "txtop.runner", "txtop.worker", "txtop.sampler"])
def test_a_module_that_is_typed_there_runs_nothing(
    module: str, poisoned: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    environ["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-m", module, "--help"]
    subprocess.run(command, cwd=poisoned, env=environ, capture_output=True, check=True)
    check_nothing_ran(tmp_path)


@pytest.mark.slow
@pytest.mark.fault(40)
def test_the_bare_loop_of_the_self_test_runs_nothing(
    poisoned: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    environ["PYTHONPATH"] = str(ROOT)
    command = build_bare_command(Path("absent"), sequence_length=1, new_tokens=1, threads=1)
    ended = subprocess.run(command, cwd=poisoned, env=environ, capture_output=True, text=True)
    assert "absent" in ended.stderr, ended.stderr
    check_nothing_ran(tmp_path)


@pytest.mark.fault(40)
def test_the_screen_and_its_sampler_run_nothing(
    poisoned: Path, env: dict[str, str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(poisoned)
    code = "import sys; from txtop.__main__ import main; sys.argv[1:] = []; sys.exit(main())"
    with TerminalProcess(code, env={**env, "PYTHONPATH": str(ROOT)}) as process:
        process.wait_for("quick preset")
        process.wait_for("GiB")
        process.type("q")
        process.wait_end(5.0)
    check_nothing_ran(tmp_path)


@pytest.mark.fault(40)
def test_every_list_that_children_inherit_is_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    monkeypatch.setenv("PYTHONPATH", PYTHON_PATH)
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{os.pathsep}/usr/lib{os.pathsep}lib")
    monkeypatch.setenv("PATH", ".")
    search_path.leave_out_current_directory()
    assert os.environ["PYTHONPATH"] == str(ROOT)
    assert os.environ["LD_LIBRARY_PATH"] == "/usr/lib"
    assert "PATH" not in os.environ


def test_children_keep_the_docstrings_that_transformers_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    search_path.leave_out_current_directory()
    assert "PYTHONOPTIMIZE" not in os.environ


@pytest.mark.fault(40)
def test_children_run_the_same_txtop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout that is not installed is found in the current directory alone."""
    monkeypatch.chdir(ROOT)
    library = os.path.dirname(os.__file__)
    monkeypatch.setattr(sys, "path", ["", library])
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    monkeypatch.setenv("PYTHONPATH", "")
    search_path.leave_out_current_directory()
    assert sys.path == [library]
    assert os.environ["PYTHONPATH"] == str(ROOT)


@pytest.mark.fault(40)
def test_one_function_starts_every_python_process() -> None:
    package = ROOT / "txtop"
    starters = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "executable"
    ]
    assert starters == ["system/search_path.py"]
