"""The text copied off the screen: the right one, inert, and only on request."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from support.pilot import opened, text, until
from support.terminal_process import TerminalProcess
from support.ui_sessions import session, write
from txtop.cli.app import run_command_line
from txtop.ui.models import clipboard
from txtop.ui.models.cells import CellRow
from txtop.ui.models.view import LogRow
from txtop.ui.modes import ReplayMode, SideBySideMode

HOSTILE = "evil\x1b]52;c;aGk=\x07\u202e"


def test_a_cell_is_one_line_with_its_units() -> None:
    row = CellRow(
        "c", "done", "gpt2", "bf16", 8, "sdpa", 128, 32, 2,
        ttft="66.2", tpot="41.4", rate="190", rate_value=190.0, half="±0.3 %", gib="0.9",
        ratio="1.47x", badges=("≈ minor 0.004", "≈ minor"), note="few",
    )  # fmt: skip
    assert clipboard.format_cell_row(row) == (
        "gpt2 bf16 sdpa batch 8 length 128 32 tokens: 190 tok/s ±0.3 %  TTFT 66.2 ms  "
        "TPOT 41.4 ms  0.9 GiB  1.47x ≈ minor 0.004  few"
    )


def test_a_line_of_the_log_has_its_time_and_its_cell() -> None:
    lines = [LogRow("00:03", "gpt2", "died", "error"), LogRow("00:01", "", "marker", "info")]
    assert clipboard.format_log_rows(lines) == ["00:03  gpt2  died", "00:01  marker"]


@pytest.mark.fault(18)
def test_foreign_text_is_inert_and_no_more_than_a_terminal_takes() -> None:
    copied, whole = clipboard.join_sanitised([HOSTILE, "a\nb"])
    assert whole and copied == r"evil\x1b]52;c;aGk=\x07\u202e" + "\na b"
    copied, whole = clipboard.join_sanitised(f"{i:>999}" for i in range(100))
    assert not whole and copied.splitlines()[-1].strip() == "73"
    assert len(copied.encode()) <= clipboard.MAX_BYTES


async def test_the_row_under_the_cursor_else_the_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "rec", session(model=HOSTILE))
    async with opened(ReplayMode(path), size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: "2 cells" in text(app) or "evil" in text(app))
        await pilot.press("end")
        await until(pilot, lambda: "2 done" in text(app))
        assert app.clipboard == ""
        await pilot.press("y")
        await until(pilot, lambda: "copied the summary" in str(list(app._notifications)))
        summary = app.clipboard
        await pilot.press("1", "down", "y")
        await until(pilot, lambda: app.clipboard != summary)
        assert app.clipboard.startswith(r"evil\x1b]52") and " bf16 " in app.clipboard
        assert "\n" not in app.clipboard and "tok/s" in app.clipboard
        await pilot.press("escape", "5", "y")
        await until(pilot, lambda: "lines of the log" in str(list(app._notifications)))
        assert "loaded in 0.4 s" in app.clipboard
    assert run_command_line(["show", str(path)]) == 0
    assert summary == capsys.readouterr().out.rstrip("\n") and "\x1b" not in summary


async def test_two_sessions_have_two_summaries(tmp_path: Path) -> None:
    paths = [write(tmp_path / model, session(model=model)) for model in ("gpt2", "bert")]
    async with opened(SideBySideMode(*paths), size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: "bert" in text(app))
        await pilot.press("y")
        await until(pilot, lambda: app.clipboard.count("txtop session") == 2)


async def test_a_session_that_is_gone_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "rec", session())
    async with opened(ReplayMode(path)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        (path / "events.jsonl").unlink()
        await pilot.press("y")
        await until(pilot, lambda: any(n.severity == "error" for n in app._notifications))
        assert app.clipboard == "" and not app._exit


def test_a_terminal_is_sent_it_when_it_was_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "rec", session())
    code = (
        "from pathlib import Path; from txtop.ui import launch;"
        f" launch.run_replay(Path({str(path)!r}))"
    )
    env = {"XDG_CONFIG_HOME": str(tmp_path), "LANG": "C.UTF-8"}
    with TerminalProcess(code, env=env, size=(120, 40)) as process:
        process.wait_for("gpt2")
        process.type("\x1b[F")
        process.wait_for("2 done")
        assert b"\x1b]52" not in process.raw
        process.type("y")
        process.wait_for("copied the summary")
        copied = re.findall(rb"\x1b\]52;c;([A-Za-z0-9+/=]*)\x07", bytes(process.raw))
        assert len(copied) == 1 and b"gpt2" in base64.b64decode(copied[0])
        process.type("q")
        process.wait_end()
