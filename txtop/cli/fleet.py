"""A run on several machines in plain lines: started, copied here, and reported place by place."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from txtop.analysis.metrics import FinalMetrics
from txtop.cli.common import DEFAULT_SCREEN, FleetOptions, ScreenOptions, StartOptions
from txtop.cli.exit_code import EXIT_FAILED, EXIT_INTERRUPTED, choose_exit_code
from txtop.cli.progress_lines import LinePrinter, print_progress
from txtop.cli.session_args import is_incomplete
from txtop.errors import RunError, UsageError
from txtop.export.text import fitting, table
from txtop.fleet.description import Description, list_differences
from txtop.fleet.fleet_run import (
    FleetCopies,
    check_places,
    choose_dealt,
    resume_members,
    start_fleet,
    stop_members,
)
from txtop.fleet.folder import LOST_AFTER_S, PLAN_NAME, FleetOrder, has_log, read_fleet
from txtop.fleet.log_copy import LogCopy
from txtop.fleet.model_copy import list_local_models, sync_models
from txtop.fleet.places import (
    RemotePlace,
    has_to_be_held,
    hold_places,
    parse_places,
    release_places,
    require_engines,
)
from txtop.forecast import dealing
from txtop.formatting import format_count
from txtop.options.command_line import format_cell_command
from txtop.options.parsing import parse_seconds
from txtop.options.plan_file import encode_plan_file
from txtop.options.run_options import RunOptions
from txtop.plan import labels
from txtop.plan.cell import Cell
from txtop.session.follower import Follower
from txtop.state.pending_work import list_pending_outputs
from txtop.state.session import SessionState
from txtop.system.signals import handle_signals, unwind_on_signals

POLL_S = 0.1
MAX_NAMED = 3


def run_on_places(
    options: RunOptions,
    fleet: FleetOptions,
    name: str | None,
    start: StartOptions,
    part: str | None = None,
    screen: ScreenOptions = DEFAULT_SCREEN,
) -> int:
    """Measure a plan on the places of `--on`. Return the exit code, the worst of all.

    Raises `UsageError` if a place refuses the plan; then nothing is measured anywhere.
    """
    _refuse_options(start)
    if part is not None:
        raise UsageError("--on and --part contradict each other", "--spread deals the parts")
    if fleet.each and fleet.spread:
        raise UsageError("--each and --spread contradict each other", "give one of them")
    lost_after_s = parse_seconds("--lost-after", fleet.lost_after or f"{LOST_AFTER_S:g}")
    command = shlex.split(fleet.on_command or "txtop")
    order = FleetOrder(command, encode_plan_file(options), fleet.spread, lost_after_s)
    # A terminal that is closed leaves no job behind.
    with unwind_on_signals():
        held = hold_places(parse_places(fleet.on or ()), print_progress)
        try:
            if fleet.sync_model:
                sync_models(held, list_local_models(options), print_progress)
            places = _choose_places(held, order)
            folder = start_fleet(places, order, name=name, session_dir=start.session_dir)
        except BaseException:
            release_places(held)
            raise
        release_places([place for place in held if place not in places])
    if start.detach:
        print_progress(f"the runs go on: txtop attach {folder.name} copies them")
        print(folder.name)
        return 0
    return show_fleet(folder, screen, headless=start.headless)


def _choose_places(held: tuple[RemotePlace, ...], order: FleetOrder) -> tuple[RemotePlace, ...]:
    """Return the places that measure, once each has checked the plan. Raises `UsageError`."""
    described = check_places(held, order)
    if order.spread:
        return _deal(held, described)
    if differences := list_differences(described):
        for line in ("places differ, so their figures are never pooled", *differences):
            print_progress(line)
    return held


def _deal(
    places: tuple[RemotePlace, ...], described: Mapping[str, Description]
) -> tuple[RemotePlace, ...]:
    """Return the places that get cells, and say how many each gets. Raises `UsageError`."""
    dealt, plan = choose_dealt(places, described)
    for place, cells in zip(dealt, dealing.deal_cells(plan, len(dealt)), strict=True):
        print_progress(f"{place.label:<12} {format_count(len(cells), 'cell')}")
    if idle := places[len(dealt) :]:
        groups = format_count(len(dealt), "group")
        names = ", ".join(place.label for place in idle)
        print_progress(f"idle: {names}; only {groups}, since {dealing.TOGETHER}")
    if apart := dealing.count_separated(plan, len(dealt)):
        count = format_count(apart, "cell")
        print_progress(f"the output of {count} is not compared: {dealing.APART}")
    return dealt


def resume_fleet(folder: Path, start: StartOptions, screen: ScreenOptions = DEFAULT_SCREEN) -> int:
    """Measure on each place what its copy lacks, and follow the fleet. Return the exit code."""
    _refuse_options(start)
    fleet = read_fleet(folder)
    lacking = [
        member
        for member in fleet.members
        if not has_log(folder / member.session) or is_incomplete(folder / member.session)
    ]
    if not lacking:
        print_progress(f"nothing of {folder.name} is missing")
        # A place that is held until its log was copied is given back below.
        if all(member.released or not has_to_be_held(member.place) for member in fleet.members):
            return _report_copies(FleetCopies(folder))
    with unwind_on_signals():
        replies = resume_members(folder, lacking, fleet.command, print_progress)
    refused = [reply for reply in replies if reply.code]
    for reply in refused:
        print_progress(f"{reply.place.label:<12} cannot resume: {reply.last_line}")
    if start.detach:
        if len(refused) < len(replies):
            print_progress(f"the runs go on: txtop attach {folder.name} copies them")
        return EXIT_FAILED if refused else 0
    code = show_fleet(folder, screen, headless=start.headless)
    return EXIT_FAILED if refused and code else code


def stop_fleet(folder: Path) -> int:
    """Stop the run of every place after the step at hand. Return 1 if none could be stopped."""
    fleet = read_fleet(folder)
    running = [member for member in fleet.members if not member.released]
    require_engines(member.place for member in running)
    replies = stop_members(running, fleet.command) if running else []
    for reply in replies:
        outcome = f"cannot be stopped: {reply.last_line}" if reply.code else "stopping"
        print_progress(f"{reply.place.label:<12} {outcome}")
    return 0 if any(not reply.code for reply in replies) else EXIT_FAILED


def _refuse_options(start: StartOptions) -> None:
    """Raise `UsageError` for options that a fleet cannot obey."""
    for option, given in (("--json", start.json_file), ("--on-hangup", start.on_hangup)):
        if given is not None:
            raise UsageError(f"--on and {option} contradict each other", "leave it out")


class _Member:
    """One place as it is followed: its copy, the state that is read from it, and its lines."""

    def __init__(self, label: str, copy: LogCopy) -> None:
        self.label, self.copy = label, copy
        self.finals = FinalMetrics()
        self.follower = Follower(copy.folder)
        self._lines = LinePrinter(self.follower.state, self.finals, f"{label:<12}")
        self._was_lagging = False

    def show_new(self) -> bool:
        """Print what is new. Return True if the log has wholly arrived and been read."""
        is_complete = self.copy.is_over
        changed = self.follower.update()
        self._lines.print_new()
        is_lagging = self.copy.is_lagging
        if is_lagging and not self._was_lagging:
            problem = f" ({self.copy.problem})" if self.copy.problem else ""
            print_progress(f"{self.label:<12} no data{problem}: reconnecting")
        elif self._was_lagging and not is_lagging and not is_complete:
            print_progress(f"{self.label:<12} receiving data again")
        self._was_lagging = is_lagging
        return is_complete and not changed


def show_fleet(
    folder: Path,
    screen: ScreenOptions,
    *,
    headless: bool = False,
    attached: bool = False,
    view_only: bool = False,
) -> int:
    """Copy the logs of a fleet, on the screen where there is one, else in plain lines.

    Return the exit code: 0 if the screen was left while runs go on.
    """
    from txtop.ui.terminal.capabilities import detect_capabilities

    if headless or not detect_capabilities().screen:
        return follow_fleet(folder)
    from txtop.ui.launch import run_fleet

    copies = FleetCopies(folder)
    copies.start()
    try:
        run_fleet(folder, copies, screen, attached=attached, view_only=view_only)
    finally:
        copies.close()
    if not all(copy.is_over for copy in copies.copies.values()):
        print_progress(f"the runs go on: txtop attach {folder.name} copies the rest")
        return 0
    return _report_copies(copies)


def _report_copies(copies: FleetCopies) -> int:
    """Read what was copied, and print a report for each place. Return the worst exit code."""
    members = [_Member(label, copy) for label, copy in copies.copies.items()]
    for member in members:
        while member.follower.update():
            pass
    code = _report(members)
    _report_missing(copies, members)
    return code


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
    print_progress(f"{format_count(len(members), 'place')}, copied to {folder}")
    copies.start()
    try:
        going_on = members
        while going_on:
            going_on = [member for member in going_on if not member.show_new()]
            time.sleep(POLL_S)
    finally:
        copies.close()
    code = _report(members)
    _report_missing(copies, members)
    return code


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


def _report_missing(copies: FleetCopies, members: list[_Member]) -> None:
    """Say what of which place is missing, its cells or its end, and the commands that get it."""
    folder = copies.folder
    for own, member in zip(copies.fleet.members, members, strict=True):
        state = member.follower.state
        left = [cell.cell for cell in state.cells.values() if not cell.over]
        there = shlex.join(["txtop", "resume", folder.name, "--session-dir", str(folder.parent)])
        if state.header is not None and not left:
            if undone := name_undone(state):
                print_progress(f"{own.label:<12} not done: {undone}")
                print_progress(f"{'':<12} to do it there: {there}")
            elif state.ended is None:
                print_progress(f"{own.label:<12} everything was measured, but the run has no end")
                print_progress(f"{'':<12} to end it there: {there}")
            continue
        names = ", ".join(map(labels.format_short_label, left[:MAX_NAMED]))
        more = f", {len(left) - MAX_NAMED} more" if len(left) > MAX_NAMED else ""
        what = (
            f"not measured: {names}{more}"
            if left
            else "nothing was received, so its cells are unknown"
        )
        print_progress(f"{own.label:<12} {what}")
        print_progress(f"{'':<12} to measure them there: {there}")
        whole = ["txtop", "run", "--plan", str(folder / PLAN_NAME)]
        whole += ["--part", own.part] if own.part else []
        for command in list_commands(state, left) or [shlex.join(whole)]:
            print_progress(f"{'':<12} elsewhere: {command}")


def name_undone(state: SessionState) -> str:
    """Name what a session lacks beside its cells; empty if that is nothing."""
    comparisons, answers, timings, explanations = list_pending_outputs(state)
    counted = (
        (len(comparisons), "comparison", " of outputs"),
        (len(answers), "task", ""),
        (len(timings), "GPU time", ""),
        (len(explanations), "explanation", ""),
    )
    return ", ".join(format_count(count, noun) + more for count, noun, more in counted if count)


def list_commands(state: SessionState, left: Sequence[Cell]) -> list[str]:
    """Return a command for each of the cells in `left`.

    Nothing if they are many or all of the plan, or if a command cannot describe one of them: then
    the whole plan has to be run.
    """
    if len(left) == len(state.cells) or len(left) > MAX_NAMED:
        return []
    commands = [format_cell_command(state.plan, cell) for cell in left]
    return commands if all(commands) else []
