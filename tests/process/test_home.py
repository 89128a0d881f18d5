"""Every command where there is no home directory, no entry in passwd, or a home of no use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import tiny_models
from support.paths import ROOT
from support.warm_workers import build_warm_program

COMMANDS = (
    *("sessions", "show gpt2-precisions", "config", "config --path", "config --init", "attach"),
    *("resume", "stop", "replay gpt2-precisions", "export gpt2-precisions --format csv"),
    *("verify gpt2-precisions", "compare gpt2-precisions gpt2-precisions", "completion bash"),
    *(
        "report gpt2-precisions --output report.html",
        "run --models ./m --sequence-lengths 16 --new-tokens 4 --headless",
        "",
    ),
    *("run --models gpt2 --headless --session-dir ~nobody-here/s", "run --help"),
)
# One process for all commands: each import costs more than what it is to show.
ALL_IN_TURN = """
import contextlib, io, json, pwd, sys
def no_entry(*_): raise KeyError("getpwuid(): uid not found")
pwd.getpwuid = pwd.getpwnam = no_entry
from txtop.__main__ import main
ends = {}
for line in json.loads(sys.argv.pop()):
    sys.argv[1:] = line.split()
    out, errors = io.StringIO(), io.StringIO()
    out.buffer = io.BytesIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = main()
    ends[line] = [code, out.getvalue(), errors.getvalue()]
print(json.dumps(ends))
"""


@pytest.fixture(params=[None, "", "relative", "/dev/null/home"])
def ends(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, tuple[int, str, str]]:
    """Exit code, output and errors of each command with this `HOME`, which no user can write."""
    tiny_models.gpt2(tmp_path / "m", weights=False)
    # As root even a home that does not exist can be written: this one cannot be.
    script = tmp_path.with_suffix(".py")
    script.write_text(
        f"from txtop.system import home\nhome.NOWHERE = '/dev/null/home'\n{ALL_IN_TURN}"
    )
    # What an import does without a home, a process shows that imports there.
    cold = request.param is None
    command = [sys.executable, str(script)] if cold else build_warm_program(script)
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
    if request.param is not None:
        environ["HOME"] = request.param
    done = subprocess.run(
        [*command, json.dumps(COMMANDS)],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(tmp_path)) == ["m", "report.html"]
    result: dict[str, tuple[int, str, str]] = json.loads(done.stdout)
    return result


@pytest.mark.fault(53)
def test_every_command_works_or_says_the_next_step(ends: dict[str, tuple[int, str, str]]) -> None:
    fail = {
        "config --init": (2, "XDG_CONFIG_HOME moves it"),
        "attach": (4, "txtop run starts one"),
        "resume": (4, "txtop sessions lists them"),
        "stop": (4, "txtop run starts one"),
        "run --models ./m --sequence-lengths 16 --new-tokens 4 --headless": (
            1,
            "name a folder of yours with --session-dir",
        ),
        "run --models gpt2 --headless --session-dir ~nobody-here/s": (2, "write it from /"),
        "compare gpt2-precisions gpt2-precisions": (3, ""),
    }
    for line, (code, out, errors) in ends.items():
        expected, step = fail.get(line, (0, ""))
        assert code == expected, (line, errors)
        assert step in errors and "Traceback" not in errors
        if step:
            assert len(errors.splitlines()) == 1 and not out, (line, errors)
    assert "atplotlib" not in ends["report gpt2-precisions --output report.html"][2]
    assert "/dev/null/home/.config/txtop" in ends["config --path"][1]
