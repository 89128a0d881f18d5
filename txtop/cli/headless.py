"""The plain view: the same runner and reader as the screen, in lines on standard error.

Reports and exports go to standard output.
"""

from __future__ import annotations

import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TextIO

from txtop.analysis.metrics import FinalMetrics
from txtop.cli import session_list
from txtop.cli.exit_code import choose_exit_code
from txtop.cli.output import write_output
from txtop.cli.progress_lines import LinePrinter, print_progress
from txtop.errors import RunError
from txtop.export.json import to_json
from txtop.export.text import fitting, table
from txtop.runner.control_client import ControlClient
from txtop.runner.liveness import load_session
from txtop.runner.spawn import LaunchedRun, get_exit_code, read_last_log_line, was_killed
from txtop.session import catalog
from txtop.session.follower import Follower
from txtop.settings import OnHangup
from txtop.state.session import SessionState
from txtop.system import streams
from txtop.system.signals import handle_signals

POLL_S = 0.1


def run_headless(launched: LaunchedRun, *, on_hangup: OnHangup, json_file: str | None) -> int:
    """Follow a run that this process has started, in plain lines. Return the exit code.

    SIGINT and SIGTERM stop the run after the current step, a second one at once; SIGHUP stops it or
    lets it continue, by `on_hangup`. One that is ignored, as by nohup, stays so.
    """
    control = ControlClient(launched.path)

    def interrupted(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP and on_hangup == "continue":
            raise SystemExit(128 + number)
        control.send("stop", by=f"{signal.Signals(number).name} to txtop")

    handle_signals((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), interrupted)
    print_progress(f"session {launched.path.name}")
    follower = Follower(launched.path, control.tail)
    finals = FinalMetrics()
    lines = LinePrinter(follower.state, finals)
    while not follower.finished:
        if not follower.update() and launched.process.poll() is not None and not follower.update():
            break
        lines.print_new()
        time.sleep(POLL_S)
    lines.print_new()
    follower.close()
    with suppress(OSError):
        launched.process.stdin.close()  # type: ignore[union-attr]
    recorded = launched.process.wait() == 0
    return _finish_run(launched.path, follower.state, finals, json_file, recorded=recorded)


def announce_detached_run(launched: LaunchedRun) -> int:
    """Print the name of a run that continues without this process. Return the exit code."""
    name = launched.path.name
    print_progress(f"the run continues: txtop attach {name}   txtop stop {name}")
    print(name)
    return 0


def _finish_run(
    path: Path,
    state: SessionState,
    finals: FinalMetrics,
    json_file: str | None,
    *,
    recorded: bool = True,
) -> int:
    """Write the export and print the report. Return the exit code by how the run ended.

    The report goes to standard error if the export goes to standard output.

    Raises:
        RunError: the run failed, was not `recorded`, or has no end; or a file cannot be written.
    """
    out = sys.stderr if json_file == "-" else sys.stdout
    try:
        if json_file is not None and state.header is not None:
            write_output(json_file, to_json(state, finals))
    except RunError as error:
        hint = f"txtop export {path.name} --output FILE writes it elsewhere"
        raise RunError(error.cause, hint) from None
    finally:
        width = fitting.get_width(out)
        lost = _print_report(table.format_report(state, finals, path.name, width), out)
    if warning := session_list.format_size_warning(path.parent):
        print_progress(warning)
    last_line = read_last_log_line(path).removeprefix("txtop: ")
    code = choose_exit_code(state, recorded=recorded, last_line=last_line, killed=was_killed(path))
    if lost:
        raise RunError(f"cannot write the report ({lost})", f"txtop show {path.name} prints it")
    return code


def _print_report(report: str, out: TextIO) -> str:
    """Print a report. Return why it could not be printed, "" also if nobody wants to read it."""
    try:
        print(report, end="", file=out, flush=True)
    except OSError as error:
        streams.discard(out)
        return "" if isinstance(error, BrokenPipeError) else error.strerror or "lost"
    return ""


def report_closed_run(path: Path, json_file: str | None) -> int:
    """Print the report of a run whose screen was closed, or the command to return to it."""
    alive = ControlClient(path).status() is not None
    state, problems = load_session(path)
    if alive and state.ended is None:
        print_progress(f"the run continues: txtop attach {path.name}")
        if json_file is not None:
            print_progress(f"then: txtop export {path.name} --output {json_file}")
        return 0
    for line in problems.lines():
        print_progress(line)
    recorded = not get_exit_code(path)
    return _finish_run(path, state, FinalMetrics(), json_file, recorded=recorded)


def print_running_session(path: Path) -> int:
    """Print a running session in plain lines until its end. Return the exit code."""
    control = ControlClient(path)
    follower = Follower(path, control.tail)
    finals = FinalMetrics()
    lines = LinePrinter(follower.state, finals)
    while not follower.finished:
        if not follower.update() and control.status() is None and not follower.update():
            break
        lines.print_new()
        time.sleep(POLL_S * 5)
    lines.print_new()
    follower.close()
    return _finish_run(path, follower.state, finals, None)


def print_recorded_session(path: Path, warmup_cut: int | None = None) -> None:
    """Print a recorded session in plain lines: its log, then its report."""
    state, problems = load_session(path, warmup_cut)
    finals = FinalMetrics()
    LinePrinter(state, finals).print_new()
    for line in problems.lines():
        print_progress(line)
    name, width = catalog.get_session_id(path), fitting.get_width(sys.stdout)
    print(table.format_report(state, finals, name, width), end="")


def format_home(folder: Path | None) -> str:
    """Return the home screen as lines: the sessions, then the commands to begin with."""
    start_here = "start: txtop run --preset quick   replay: txtop replay   check: txtop doctor"
    return session_list.format_sessions(folder) + start_here + "\n"
