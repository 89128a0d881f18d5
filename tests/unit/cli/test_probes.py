"""The probes of `txtop doctor` come line by line, and one that fails says why."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from txtop.cli import probes

# Prints a line, and the next one when the reader has had it: a reader that waits for the end of
# the command gets one line and what was wrong.
PATIENT = """
import pathlib, sys, time
print('{"capability":"first","state":"ok","detail":"x"}', flush=True)
for _ in range(500):
    if pathlib.Path(sys.argv[1]).exists():
        print('{"capability":"second","state":"ok","detail":"x"}')
        sys.exit(0)
    time.sleep(0.01)
sys.exit("the first line was not read")
"""
BROKEN = "import sys; print('warned', file=sys.stderr); sys.exit('cannot load libcuda')"


def test_each_line_of_a_probe_comes_before_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = tmp_path / "read"
    scripts = {"txtop.sampler": BROKEN, "txtop.worker": PATIENT}
    monkeypatch.setattr(
        probes,
        "build_probe_command",
        lambda module: [sys.executable, "-c", scripts[module], str(read)],
    )
    names = []
    for entry in probes.probe_capabilities(tmp_path):
        names.append(entry.capability)
        if entry.capability == "first":
            read.touch()
        if entry.capability == "sampler":
            assert (entry.state, entry.detail) == ("broken", "cannot load libcuda")
    assert names[:2] == ["terminal", "session folder"]
    assert sorted(names[2:]) == ["first", "sampler", "second"]


@pytest.mark.parametrize(
    ("script", "detail"),
    [("", "printed nothing"), ("print('hello')", "malformed"), ("import os; os.abort()", "-6")],
)
def test_a_probe_that_says_nothing_sound_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, detail: str
) -> None:
    monkeypatch.setattr(
        probes, "build_probe_command", lambda _module: [sys.executable, "-c", script]
    )
    entries = list(probes.probe_capabilities(tmp_path))[2:]
    assert [entry.state for entry in entries] == ["broken", "broken"]
    assert all(detail in entry.detail for entry in entries)
