"""A session has the name that it is opened by, also after its folder or file was renamed."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import streams
from txtop.cli.app import run_command_line
from txtop.protocol import events
from txtop.session import catalog
from txtop.ui.home_source import build_listed_session
from txtop.ui.modes import ReplayMode, SideBySideMode


@pytest.fixture
def renamed(tmp_path: Path) -> Path:
    path = tmp_path / "monday.jsonl"
    made = streams.stream()
    assert isinstance(made[0], events.SessionHeader)
    made[0].session = made[0].name = "monday"
    streams.write(path, made)
    return path.rename(tmp_path / "tuesday.jsonl")


def test_the_list(renamed: Path) -> None:
    entry = catalog.read_entry(renamed)
    assert entry is not None and entry.name == "monday"
    assert build_listed_session(entry).label == "tuesday"


def test_the_replay(renamed: Path) -> None:
    one = ReplayMode(renamed)
    assert one.build(one.open()).name == "tuesday"
    two = SideBySideMode(renamed, renamed)
    both = two.build(two.open())
    assert (both.left.name, both.right.name) == ("tuesday", "tuesday")


def test_the_report(renamed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    assert run_command_line(["report", str(renamed), "--output", str(out)]) == 0
    assert "<h1>tuesday</h1>" in out.read_text()
