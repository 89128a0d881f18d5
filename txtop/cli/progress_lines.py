"""The lines of the plain view: what a run says and how far it is, on standard error."""

from __future__ import annotations

import sys
import time
from contextlib import suppress

from txtop.analysis.explanation import describe_present_step
from txtop.analysis.metrics import FinalMetrics
from txtop.export.text import table, tuning
from txtop.forecast.last_phase import format_about, format_seconds_left
from txtop.forecast.probe_time import estimate_probe_s
from txtop.formatting import format_clock, format_share
from txtop.plan import labels
from txtop.sanitise import sanitise
from txtop.state import accuracy
from txtop.state.session import SessionState
from txtop.units import NS_PER_S

PROGRESS_INTERVAL_S = 10.0
# Of a comparison, before its pace tells how long the rest takes.
LEAST_SHARE = 1 / 3


class LinePrinter:
    """Printer of a state's new log lines, and of its progress every `PROGRESS_INTERVAL_S`.

    Each begins with its `source`, where there are several.
    """

    def __init__(self, state: SessionState, finals: FinalMetrics, source: str = "") -> None:
        self._state, self._finals = state, finals
        self._source = f"{source} " if source else ""
        self._printed = 0
        self._printed_s = time.monotonic()
        self._activity = ""

    def print_new(self) -> None:
        """Print the log lines since the last call; new progress if none came for a while."""
        state = self._state
        for line in state.log[self._printed :]:
            cell = state.cells.get(line.cell or "")
            text = (
                line.text
                if cell is None
                else f"{labels.format_short_label(cell.cell)}: {line.text}"
            )
            if cell is not None and cell.status == "ok" and line.at_ns == cell.ended_at_ns:
                text = table.format_cell_line(cell, self._finals, state.plan.seed)
            if cell is not None and line.at_ns == cell.started_at_ns:
                probe_s = estimate_probe_s(state, cell)
                text += f"; this probe: {format_about(probe_s)}" if probe_s is not None else ""
            if cell is not None and state.ab_test is not None:
                text = f"{state.ab_test.letter(cell.cell.id)} {text}"
            print_progress(f"{self._source}{format_clock(line.at_ns)} {text}")
            self._printed_s = time.monotonic()
        self._printed = len(state.log)
        now = describe_activity(state)
        is_due = time.monotonic() - self._printed_s > PROGRESS_INTERVAL_S
        if is_due and now not in ("", self._activity):
            self._printed_s, self._activity = time.monotonic(), now
            print_progress(f"{self._source}{format_clock(state.clock_ns)} {now}")


def describe_activity(state: SessionState) -> str:
    """Return the current activity and its progress; empty between two activities."""
    if state.answering is not None:
        answerer, task = state.answering
        label = labels.format_short_label(state.cells[answerer].cell)
        return f"{label}: {accuracy.describe_progress(state, answerer, task)}"
    if state.comparing is not None:
        comparing = state.comparing
        share = comparing.done / comparing.total if comparing.total else 0.0
        label = labels.format_short_label(state.cells[comparing.cell].cell)
        left = ""
        if share >= LEAST_SHARE:
            spent_s = (state.clock_ns - state.comparing_from_ns) / NS_PER_S
            left = f", {format_seconds_left(spent_s / share - spent_s)}"
        return f"{label}: comparing its output, {format_share(share)}{left}"
    cell = state.cells.get(state.current or "")
    if cell is None:
        return describe_present_step(state)
    if state.ab_test is not None and state.ab_test.kept_blocks:
        return "; ".join(map(state.ab_test.words, state.ab_test.sequences))
    label = labels.format_short_label(cell.cell)
    stage = "first call" if cell.stage == "first" else cell.stage
    if state.race is not None and state.race.blocks:
        course = tuning.describe_course(state.race)
        return course if stage == "measuring" else f"{label}: {stage}; {course}"
    n = len(cell.samples.kept())
    if cell.cell.serving is not None and cell.stage == "measuring":
        status, requested = cell.served.status, cell.cell.serving.requests
        queue = f", {status.waiting} waiting, {len(status.running)} running" if status else ""
        return f"{label}: {n} of {requested} answered{queue}"
    total = f"/{state.plan.fixed_iterations}" if state.plan.fixed_iterations else ""
    progress = f" {n}{total}" if cell.stage == "measuring" else ""
    return f"{label}: {stage}{progress}"


def print_progress(text: str) -> None:
    """Print a line on standard error, if somebody reads it."""
    with suppress(OSError):
        print(sanitise(text), file=sys.stderr, flush=True)
