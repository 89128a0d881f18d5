"""The size of the live terminal goes before that of the environment."""

from __future__ import annotations

import re

import pytest

from support.paths import ROOT
from support.terminal_process import TerminalProcess

MAIN = "import sys; sys.argv[1:] = {}; from txtop.__main__ import main; sys.exit(main())"


def measure(process: TerminalProcess) -> tuple[int, int]:
    """Return the columns and lines that are drawn on."""
    rows = process.text.splitlines()
    drawn = [number for number, row in enumerate(rows, 1) if row.strip()]
    return max((len(row.rstrip()) for row in rows), default=0), max(drawn, default=0)


@pytest.mark.fault(48)
@pytest.mark.parametrize(
    ("stale", "size"), [((80, 24), (140, 40)), ((160, 45), (80, 24)), ((1, 1), (100, 30))]
)
def test_a_screen_fills_its_terminal_before_and_after_a_resize(
    env: dict[str, str | None], stale: tuple[int, int], size: tuple[int, int]
) -> None:
    told = {"COLUMNS": str(stale[0]), "LINES": str(stale[1]), "PYTHONPATH": str(ROOT)}
    with TerminalProcess(
        MAIN.format(["replay", "gpt2-precisions"]), env={**env, **told}, size=size
    ) as process:
        process.wait_for(lambda: measure(process) == size)
        process.resize(110, 35)
        process.wait_for(lambda: measure(process) == (110, 35))
        process.type("q")
        process.wait_end(5.0)


@pytest.mark.fault(48)
def test_a_terminal_that_tells_its_size_late_is_believed(env: dict[str, str | None]) -> None:
    """As `docker exec -t` does: first 0 by 0, then the real size."""
    told = {"COLUMNS": "70", "LINES": "20", "PYTHONPATH": str(ROOT)}
    with TerminalProcess(
        MAIN.format(["replay", "gpt2-precisions"]), env={**env, **told}, size=(0, 0)
    ) as process:
        process.wait_for(lambda: b"gpt2" in process.raw)
        process.resize(120, 40)
        process.wait_for(lambda: measure(process) == (120, 40))
        process.type("q")
        process.wait_end(5.0)


@pytest.mark.fault(48)
def test_help_is_as_wide_as_its_terminal(env: dict[str, str | None]) -> None:
    told = {"COLUMNS": "200", "LINES": "20", "PYTHONPATH": str(ROOT)}
    with TerminalProcess(MAIN.format(["run", "--help"]), env={**env, **told}) as process:
        process.wait_end(20.0)
        lines = re.sub(r"\x1b\[[0-9;]*m|\r", "", process.raw.decode()).splitlines()
    assert len(lines) > 50 and max(map(len, lines)) <= 80
