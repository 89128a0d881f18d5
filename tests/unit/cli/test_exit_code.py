"""Every way in which a run ends, and the exit code that docs/commands.md promises for it."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import Any, Literal

import pytest

from support.explanations import list_explained_events
from support.paths import ROOT
from support.ui_sessions import session, write
from txtop.analysis.metrics import FinalMetrics
from txtop.cli import headless
from txtop.cli.exit_code import choose_exit_code
from txtop.errors import RunError
from txtop.export.text import table
from txtop.export.text.explanation import format_explanations
from txtop.protocol.events import AnyEvent, CellFinished, CellStatus, Explanation, SessionEnded
from txtop.runner.control_client import SOCKET_NAME
from txtop.runner.spawn import RUNNER_LOG
from txtop.state.fold import fold_all
from txtop.state.session import SessionState

Reason = Literal["done", "stopped", "failed"]


def build_run(reason: Reason | None, status: CellStatus = "ok") -> SessionState:
    """Return a run whose last cell has `status`; with None for a reason its log has no end."""
    made: list[AnyEvent] = session(ended=False)
    t_ns = made[-1].t_ns
    made.append(CellFinished(t_ns=t_ns, cell="c001", status=status))
    if reason is not None:
        made.append(
            SessionEnded(t_ns=t_ns, reason=reason, wall_s=1.0, statistics_version=1, sha256="")
        )
    return fold_all(made)


@pytest.mark.fault(52)
@pytest.mark.parametrize(
    ("reason", "status", "recorded", "code"),
    [
        ("done", "ok", True, 0),
        ("done", "skipped", True, 0),
        *(("done", status, True, 1) for status in ("failed", "oom", "timeout", "rejected")),
        ("stopped", "cancelled", True, 130),
        ("stopped", "failed", True, 130),
        ("stopped", "ok", True, 130),
        ("done", "ok", False, 1),
        ("stopped", "cancelled", False, 1),
        ("failed", "ok", True, 1),
        ("failed", "ok", False, 1),
        (None, "cancelled", True, 1),
        (None, "cancelled", False, 1),
    ],
)
def test_a_run_ends_by_one_rule(
    reason: Reason | None, status: CellStatus, recorded: bool, code: int
) -> None:
    state = build_run(reason, status)
    try:
        assert choose_exit_code(state, recorded=recorded, last_line="a word") == code
    except RunError as error:
        assert error.exit_code == code and "a word" in str(error)


def test_a_cell_that_was_to_be_explained_and_is_not_is_a_failure_and_is_printed() -> None:
    made = list_explained_events()
    assert choose_exit_code(fold_all(made), recorded=True, last_line="") == 0
    failed = Explanation(t_ns=made[-1].t_ns, cell="c000", failed="killed\x1b[2J")
    kept = [event for event in made if not isinstance(event, Explanation)]
    state = fold_all([*kept[:-1], failed, kept[-1]])
    assert choose_exit_code(state, recorded=True, last_line="") == 1
    (line,) = format_explanations(state)
    assert "is not explained: killed" in line and "x on its screen" in line
    assert "\x1b" not in line


class _Gone:
    """A runner that does not answer."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def status(self) -> None:
        return None

    def tail(self, after: int) -> list[Any]:
        return []


@pytest.mark.fault(52)
@pytest.mark.parametrize("look", ["attach in lines", "a screen that was closed"])
def test_whoever_looks_gets_the_same_code(
    look: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = session()
    made[-1] = SessionEnded(
        t_ns=made[-1].t_ns, reason="stopped", wall_s=1.0, statistics_version=1, sha256=""
    )
    whole, cut = write(tmp_path / "whole", made), write(tmp_path / "cut", made[:-1])
    monkeypatch.setattr(headless, "ControlClient", _Gone)

    def show(path: Path) -> int:
        if look == "attach in lines":
            return headless.print_running_session(path)
        return headless.report_closed_run(path, None)

    assert show(whole) == 130
    (cut / RUNNER_LOG).write_text("W1129 12:00:00 torch/utils/_pytree.py:630] a warning\n")
    with pytest.raises(RunError, match=r"ended before the run was done: W1129 .*: txtop resume"):
        show(cut)
    (cut / SOCKET_NAME).write_text("/tmp/x")
    with pytest.raises(RunError) as killed:
        show(cut)
    assert str(killed.value) == (
        "the runner was killed before the run was done: txtop resume measures the rest"
    )


@pytest.mark.fault(51)
def test_the_export_is_written_before_anything_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(state: SessionState, finals: FinalMetrics, name: str, width: int | None) -> str:
        raise UnicodeEncodeError("ascii", "\u00b1", 0, 1, "no such character")

    path = write(tmp_path / "s", session())
    monkeypatch.setattr(table, "format_report", fail)
    target = tmp_path / "out.json"
    with pytest.raises(UnicodeEncodeError):
        headless.report_closed_run(path, str(target))
    assert target.stat().st_size > 1000


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), BrokenPipeError()]
)
def test_a_report_that_cannot_be_printed_is_a_failure_unless_nobody_reads_it(
    error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(text: str) -> int:
        raise error

    path = write(tmp_path / "s", session())
    monkeypatch.setattr(sys, "stdout", out := io.StringIO())
    monkeypatch.setattr(out, "write", refuse)
    if isinstance(error, BrokenPipeError):
        assert headless.report_closed_run(path, None) == 0
    else:
        with pytest.raises(RunError, match=r"No space left on device.*txtop show s prints it"):
            headless.report_closed_run(path, None)


@pytest.mark.parametrize(
    ("number", "why"), [(errno.ENOSPC, "is the disk full"), (errno.EFBIG, "`ulimit -f` bounds it")]
)
def test_what_was_not_recorded_has_its_own_reason(number: int, why: str) -> None:
    with pytest.raises(RunError, match=why):
        choose_exit_code(build_run("done"), recorded=False, last_line=os.strerror(number))


def test_an_export_that_cannot_be_written_is_to_be_had_from_the_session(tmp_path: Path) -> None:
    path = write(tmp_path / "s", session())
    with pytest.raises(RunError, match=r"cannot write /dev/full .*: txtop export s --output FILE"):
        headless.report_closed_run(path, "/dev/full")


@pytest.mark.fault(52)
def test_the_table_of_the_documentation_has_these_codes() -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    rows = text.split("| the run | code |\n")[1].split("\n\n")[0].splitlines()[1:]
    codes = [int(row.split("|")[2]) for row in rows]
    assert codes == [0, 129, 1, 130, 1, 3, 0]
