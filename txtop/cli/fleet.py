"""A run on several machines in plain lines: started, copied here, and reported place by place."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from txtop.analysis.metrics import FinalMetrics
from txtop.cli.common import FleetOptions, StartOptions
from txtop.cli.exit_code import EXIT_FAILED, EXIT_INTERRUPTED, choose_exit_code
from txtop.cli.progress_lines import LinePrinter, print_progress
from txtop.errors import RunError, UsageError
from txtop.export.text import fitting, table
from txtop.fleet.fleet_run import FleetCopies, check_places, start_fleet
from txtop.fleet.log_copy import LogCopy
from txtop.fleet.places import hold_places, parse_places, release_places
from txtop.options.plan_file import encode_plan_file
from txtop.options.run_options import RunOptions
from txtop.session.follower import Follower
from txtop.system.signals import handle_signals

POLL_S = 0.1
# Telemetry comes five times a second: a longer silence is worth a line.
LAG_S = 3.0


def run_on_places(
    options: RunOptions, fleet: FleetOptions, name: str | None, start: StartOptions
) -> int:
    """Measure the whole plan on each place of `--on`. Return the exit code, the worst of all.

    Raises `UsageError` if a place refuses the plan; then nothing is measured anywhere.
    """
    for option, given in (("--json", start.json_file), ("--on-hangup", start.on_hangup)):
        if given is not None:
            raise UsageError(f"--on and {option} contradict each other", "leave it out")
    places = parse_places(fleet.on or ())
    command = shlex.split(fleet.on_command or "txtop")
    plan = encode_plan_file(options)
    places = hold_places(places, print_progress)
    try:
        check_places(places, command, plan)
        folder = start_fleet(places, command, plan, name=name, session_dir=start.session_dir)
    except BaseException:
        release_places(places)
        raise
    if start.detach:
        print_progress(f"the runs go on: txtop attach {folder.name} copies them")
        print(folder.name)
        return 0
    return follow_fleet(folder)


class _Member:
    """One place as it is followed: its copy, the state that is read from it, and its lines."""

    def __init__(self, label: str, copy: LogCopy) -> None:
        self.label, self.copy = label, copy
        self.finals = FinalMetrics()
        self.follower = Follower(copy.folder)
        self._lines = LinePrinter(self.follower.state, self.finals, f"{label:<12}")
        self._lags = False

    def show_new(self) -> bool:
        """Print what is new. Return True if the log has wholly arrived and been read."""
        is_complete = self.copy.state in ("complete", "given up")
        changed = self.follower.update()
        self._lines.print_new()
        lags = not is_complete and self.copy.silent_s > LAG_S
        if lags and not self._lags:
            problem = f" ({self.copy.problem})" if self.copy.problem else ""
            print_progress(f"{self.label:<12} nothing comes any more{problem}: trying again")
        elif self._lags and not lags and not is_complete:
            print_progress(f"{self.label:<12} it comes again")
        self._lags = lags
        return is_complete and not changed


def follow_fleet(folder: Path) -> int:
    """Copy the logs of a fleet and print their lines until all have ended. Return the exit code.

    The first SIGINT or SIGTERM stops every run after the step at hand; the second, and SIGHUP,
    leave them alone.
    """
    copies = FleetCopies(folder)
    members = [_Member(label, copy) for label, copy in copies.copies.items()]
    stopping = threading.Event()

    def stop_all() -> None:
        for answer in copies.stop_runs():
            if answer.code:
                print_progress(f"{answer.place.label:<12} cannot be stopped: {answer.last_line}")

    def interrupted(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP or stopping.is_set():
            print_progress(f"the runs go on: txtop attach {folder.name} copies the rest")
            raise SystemExit(128 + number)
        stopping.set()
        threading.Thread(target=stop_all, name="stop", daemon=True).start()

    handle_signals((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), interrupted)
    print_progress(f"{len(members)} places, copied to {folder}")
    copies.start()
    try:
        going_on = members
        while going_on:
            going_on = [member for member in going_on if not member.show_new()]
            time.sleep(POLL_S)
    finally:
        copies.close()
    return _report(members)


def _report(members: list[_Member]) -> int:
    """Print a report for each place. Return the worst exit code."""
    codes = []
    width = fitting.get_width(sys.stdout)
    for member in members:
        state, session = member.follower.state, member.copy.folder.name
        print(table.format_report(state, member.finals, session, width))
        try:
            if member.copy.state == "given up":
                raise RunError(member.copy.problem)
            codes.append(choose_exit_code(state, recorded=True, last_line="see runner.log there"))
        except RunError as error:
            print_progress(f"{member.label:<12} {member.copy.problem or error}")
            codes.append(EXIT_FAILED)
        member.follower.close()
    return next((code for code in (EXIT_FAILED, EXIT_INTERRUPTED) if code in codes), max(codes))
