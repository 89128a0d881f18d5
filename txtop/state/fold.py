"""Fold events into a session's state: one function for each event, without clock or I/O.

The run, followers and players call it. It is apart from the state itself, so that code which only
reads a session does not depend on the handling of events.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from txtop.formatting import format_count, format_number, join_reason
from txtop.plan.cell import Cell
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.state import accuracy_fold, disturbed_blocks, isolation, measured_fold, turns_fold
from txtop.state.ab import ABTest
from txtop.state.cell import FAILED_STATUSES, UNSET_NS, CellState, Samples
from txtop.state.session import INVALID_OUTPUT, SessionState, WatchedDevice, merge_peaks

WORKER = "worker:"
WORKER_PROCESS = f"process:{WORKER}"


def _fold_progress(session: SessionState, state: CellState, event: events.Progress) -> None:
    state.progress = event


def _fold_phase(session: SessionState, state: CellState, event: events.Phase) -> None:
    state.phase = event.name
    state.phase_starts.append((event.name, session.clock_ns))
    if event.name == "to_device":
        session.first_to_device_ns = session.first_to_device_ns or session.clock_ns


def _fold_load(session: SessionState, state: CellState, event: events.ModelLoaded) -> None:
    state.load = session.loads[state.cell.group] = event
    kind = "partly random" if event.weights == "partial" else event.weights
    session.say(f"loaded in {event.load_s:.1f} s, {kind} weights", cell=event.cell)
    for note in event.notes:
        session.say(note, cell=event.cell)


def _fold_workload(session: SessionState, state: CellState, event: events.Workload) -> None:
    state.workload = event
    state.stage = "first"
    state.cell = state.cell.count_prompts(event.prompt_tokens, event.new_tokens)


def _fold_kernels(session: SessionState, state: CellState, event: events.Kernels) -> None:
    state.kernels = event


def _fold_speculation(session: SessionState, state: CellState, event: events.Speculation) -> None:
    state.speculation = event
    if event.differs_at is None:
        session.say(f"{event.compared} tokens as in plain greedy decoding", cell=event.cell)


def _fold_memory(session: SessionState, state: CellState, event: events.Memory) -> None:
    if session.plan.margin is not None or session.race is not None:
        # What the whole device has in use holds all arms.
        event = msgspec.structs.replace(event, device_bytes=None)
    state.memory = event


def _fold_token_timings(
    session: SessionState, state: CellState, event: events.TokenTimings
) -> None:
    if event.index != state.open_index:
        state.open_index = event.index
        del state.open_gaps_ns[:]
    if event.first == len(state.open_gaps_ns):
        state.open_gaps_ns.extend(event.gaps_ns)


def _fold_iteration(session: SessionState, state: CellState, event: events.Iteration) -> None:
    samples = state.samples
    samples.role.append(event.role)
    samples.start_ns.append(event.start_ns)
    samples.at_ns.append(session.clock_ns)
    samples.e2e_ns.append(event.e2e_ns)
    samples.ttft_ns.append(UNSET_NS if event.ttft_ns is None else event.ttft_ns)
    samples.encoder_ns.append(UNSET_NS if event.encoder_ns is None else event.encoder_ns)
    samples.tokens.append(event.tokens)
    samples.prompt_tokens.append(event.prompt_tokens or UNSET_NS)
    if event.index == state.open_index:
        samples.gaps_ns.extend(state.open_gaps_ns)
    samples.gaps_from.append(len(samples.gaps_ns))
    state.open_index = -1
    del state.open_gaps_ns[:]
    state.lag = state.lag or event.lag
    state.invalid += event.invalid
    if event.cache_bytes is not None:
        state.cache_bytes = event.cache_bytes
    if event.drafted is not None and event.steps is not None:
        state.drafted += event.drafted
        state.accepted += event.tokens - event.steps
    if event.invalid:
        session.withdraw(event.cell, INVALID_OUTPUT)
    if event.role == "measured":
        if not state.measured_from_ns:
            state.measured_from_ns = max(0, session.clock_ns - event.e2e_ns)
        state.measured_to_ns = session.clock_ns
        state.stage = "measuring"
    else:
        state.stage = "warming"


def _format_rate(rate: float) -> str:
    return f"{rate:.3g}" if rate < 999.5 else format_number(rate)


def _fold_offered_load(session: SessionState, state: CellState, event: events.OfferedLoad) -> None:
    first = state.served.offered is None
    if first:
        # The cache that warm-up used is not part of the load.
        state.served.kv_most = None
    state.served.offered = event
    state.stage = "measuring"
    if first:
        state.measured_from_ns = session.clock_ns
        rate = "" if event.rate is None else f" at {_format_rate(event.rate)} per second"
        clients = "" if event.clients is None else f" from {format_count(event.clients, 'client')}"
        session.say(f"{format_count(event.requests, 'request')}{rate}{clients}", cell=event.cell)


def _fold_server_status(
    session: SessionState, state: CellState, event: events.ServerStatus
) -> None:
    state.served.update_status(event, session.clock_ns)


def _fold_request(session: SessionState, state: CellState, event: events.Request) -> None:
    """Fold a request as an iteration whose clock starts at its scheduled arrival."""
    state.served.add(event)
    samples = state.samples
    ttft_ns = UNSET_NS if event.first_ns is None else event.first_ns - event.arrival_ns
    samples.role.append(event.role)
    samples.start_ns.append(event.arrival_ns)
    samples.at_ns.append(session.clock_ns)
    samples.e2e_ns.append(max(1, event.end_ns - event.arrival_ns))
    samples.ttft_ns.append(ttft_ns)
    samples.encoder_ns.append(UNSET_NS)
    samples.tokens.append(event.tokens)
    samples.prompt_tokens.append(event.prompt_tokens)
    if event.first_ns is not None:
        samples.gaps_ns.append(ttft_ns)
        samples.gaps_ns.extend(event.gaps_ns)
    samples.gaps_from.append(len(samples.gaps_ns))
    state.lag = state.lag or event.lag
    state.invalid += event.invalid
    if event.role == "measured":
        state.measured_to_ns = session.clock_ns
    else:
        state.stage = "warming"


def _fold_block(session: SessionState, state: CellState, event: events.DisturbedBlock) -> None:
    before = state.blocks[-1] if state.blocks else None
    state.blocks.append(event)
    if not event.kept:
        places = range(event.first, min(event.first + event.count, len(state.samples)))
        state.samples.discarded.update(places)
    if not disturbed_blocks.is_same_stretch(before, event):
        fate = disturbed_blocks.describe_fate(event, session.plan)
        session.say(fate, "warning", event.cell)


def _fold_header(session: SessionState, event: events.SessionHeader) -> None:
    session.header = event
    session.ab_test = ABTest.of(event.plan)
    turns_fold.begin_race(session, event.plan)
    session.cells = {c.id: CellState(c, samples=_create_samples(session)) for c in event.plan.cells}


def _fold_probe(session: SessionState, event: events.Probe) -> None:
    if event.added.id not in session.cells:
        session.cells[event.added.id] = CellState(event.added, samples=_create_samples(session))
    session.probes[event.added.id] = event


def _fold_isolation_progress(session: SessionState, event: events.IsolationProgress) -> None:
    session.isolating = event
    if not event.done:
        session.isolating_from_ns = session.clock_ns


def _fold_isolation(session: SessionState, event: events.Isolation) -> None:
    session.isolating = None
    session.isolation[event.place] = event
    level = "warning" if event.failed or isolation.is_slowed(event) else "info"
    session.say(isolation.describe_isolation(event), level)


def _create_cell(session: SessionState, cell: Cell) -> CellState:
    """Return a cell without any measurement; a comparison of its output stays valid."""
    comparison = session.output_of(cell.id)
    invalid = comparison.invalid if comparison else 0
    return CellState(cell, samples=_create_samples(session), invalid=invalid)


def _create_samples(session: SessionState) -> Samples:
    """Return samples with the warm-up cut that was chosen; blocks of cells in turns have none."""
    return Samples(
        cut=None if session.takes_turns else session.warmup_cut,
        start_ends=() if session.plan.starts > 1 else None,
    )


def _fold_segment(session: SessionState, event: events.Segment) -> None:
    if session.boot_ids:
        rebooted = event.boot_id != session.boot_ids[-1]
        session.say("resumed after a reboot" if rebooted else "resumed")
    session.boot_ids.append(event.boot_id)
    session.ended = session.current = session.comparing = session.answering = None
    session.isolating = None
    turns_fold.discard_open_blocks(session)
    turns_fold.reopen_candidates(session)
    session.working.clear()
    session.paused = False
    if event.torn_bytes:
        session.say(f"1 torn record dropped ({event.torn_bytes} bytes)", "warning")


def _fold_telemetry(session: SessionState, event: events.Telemetry) -> None:
    device = session.devices.get(event.device)
    if device is None:
        device = session.devices[event.device] = WatchedDevice()
        if event.device.startswith(WORKER_PROCESS):
            session.first_cell_ns = session.first_cell_ns or session.clock_ns
            if session.plan.places:
                # What judges the neighbours loads weights whose phases are not recorded.
                session.first_to_device_ns = session.first_to_device_ns or session.clock_ns
    if event.label:
        device.label = event.label
    if event.versions:
        device.versions = device.versions | event.versions
    if event.facts:
        device.facts = device.facts | event.facts
    if event.foreign is not None:
        device.foreign = event.foreign
    now_ns, series_by_name = session.clock_ns, device.series
    for name, value in event.values.items():
        series = series_by_name.get(name)
        if series is None:
            series = series_by_name[name] = (array("q"), array("d"))
        series[0].append(now_ns)
        series[1].append(math.nan if value is None else value)


def _fold_peaks(session: SessionState, event: events.DevicePeaks) -> None:
    key = event.device, event.threads
    session.peaks[key] = merge_peaks(session.peaks.get(key, event), event)


def _fold_log(session: SessionState, event: events.Log) -> None:
    # Every process that loads a model says the same of it.
    repeats = (
        event.src.startswith(WORKER)
        and not event.explains
        and any(line.text == event.text for line in session.log)
    )
    if not repeats:
        session.say(event.text, event.level, event.cell, explains=event.explains)


def _fold_gap(session: SessionState, event: events.Gap) -> None:
    session.gaps.append((session.clock_ns, event))
    session.say(f"{event.producer}: {event.reason}", "warning")


def _fold_marker(session: SessionState, event: events.Marker) -> None:
    session.markers.append((session.clock_ns, event.label))
    session.say(f"marker {event.label}".rstrip())


def _fold_control(session: SessionState, event: events.Control) -> None:
    if event.action in ("pause", "resume"):
        session.paused = event.action == "pause"
    # A marker is an event of its own, which says what it is called.
    if event.action != "marker":
        done = {"pause": "paused", "resume": "resumed", "skip": "skipped", "stop": "stopped"}
        session.say(f"{done[event.action]} by {event.who}")


def end_candidates(session: SessionState) -> None:
    """End the candidates of a race that did not come to its end, as that would: with figures.

    Nothing in the log does, unless it has an end: there is nothing left to end then. Iterations of
    a block without an end are discarded first.
    """
    turns_fold.discard_open_blocks(session)
    for event in turns_fold.list_endings(session, turns_fold.STOP):
        _end_cell(session, event)


def _fold_end(session: SessionState, event: events.SessionEnded) -> None:
    end_candidates(session)
    session.ended = event
    session.current = session.comparing = session.answering = session.isolating = None
    session.working.clear()
    session.paused = False


def _fold_cell_event(session: SessionState, event: CellEvent) -> None:
    """Fold an event of a cell, if that cell is at work."""
    if event.cell in session.working:
        session.follow(event.cell)
        _OF_CELL[type(event)](session, session.cells[event.cell], event)


def _fold_rejection(session: SessionState, event: events.CellRejected) -> None:
    state = _close_cell(session, event.cell)
    if state is None:
        return
    state.rejected = event
    session.withdraw(event.cell, "was refused")
    state.stage = "rejected"
    state.ended_at_ns = session.clock_ns
    if not turns_fold.has_left(session, event.cell):
        session.say(f"refused: {event.reason}", "error", event.cell)


def _close_cell(session: SessionState, name: str) -> CellState | None:
    """Return the cell that ends, as a new object if it never began, or None if it is over."""
    state = session.cells.get(name)
    if state is None or state.over:
        return None
    if name not in session.working:
        state = replace(state) if session.keeps_measured else _create_cell(session, state.cell)
        session.cells[name] = state
    session.working.discard(name)
    if session.current == name:
        session.current = session.find_next_current()
    return state


def _fold_cell_start(session: SessionState, event: events.CellStarted) -> None:
    """Start a cell. One that is measured again is a new object without its earlier samples."""
    if event.cell not in session.cells:
        return
    if session.ab_test is not None and not session.cells[event.cell].invalid:
        session.ab_test.out.pop(event.cell, None)
    if event.goes_on and (event.cell in session.working or session.keeps_measured):
        turns_fold.continue_cell(session, event)
        return
    state = session.cells[event.cell] = _create_cell(session, session.cells[event.cell].cell)
    if not session.takes_turns:
        # One cell at a time in a place; without places there is one for all.
        session.working -= {c for c in session.working if session.cells[c].place == event.place}
    elif session.ab_test is not None and state.cell == session.ab_test.first:
        out = session.ab_test.out
        session.ab_test = ABTest.of(session.plan)
        for name, other in session.cells.items():
            why = INVALID_OUTPUT if other.invalid else out.get(name)
            if why and name != event.cell:
                session.withdraw(name, why)
    session.working.add(event.cell)
    session.follow(event.cell)
    session.comparing = None
    session.first_cell_ns = session.first_cell_ns or session.clock_ns
    state.stage = "loading"
    state.worker, state.place = event.worker, event.place
    state.shares_weights = event.shares_weights
    state.started_at_ns = session.clock_ns
    if event.shares_weights:
        state.load = session.loads.get(state.cell.group)
        session.say("started (model already loaded)", cell=event.cell)
    else:
        session.say("started", cell=event.cell)


def _end_cell(session: SessionState, event: events.CellFinished) -> CellState | None:
    """End a cell. Return it, or None if it is over."""
    state = _close_cell(session, event.cell)
    if state is None:
        return None
    state.finished = event
    if event.status in FAILED_STATUSES:
        session.withdraw(event.cell, event.status)
    state.stage = "finished"
    state.ended_at_ns = session.clock_ns
    state.open_index = -1
    del state.open_gaps_ns[:]
    return state


def _fold_cell_end(session: SessionState, event: events.CellFinished) -> None:
    state = _end_cell(session, event)
    if state is None:
        return
    kept = len(state.samples.kept())
    if event.status == "ok":
        noun, verb = "iteration", "measured"
        if state.cell.serving is not None:
            noun, verb = "request", "answered"
        session.say(f"done, {format_count(kept, noun)} {verb}", cell=event.cell)
    # Of a candidate without a figure, recorded as skipped, a line says what it left its race for.
    elif event.status != "skipped" or not turns_fold.has_left(session, event.cell):
        place = f" at {event.phase}" if event.phase else ""
        text = join_reason(f"{event.status}{place}", event.reason)
        level = "info" if event.status in ("skipped", "cancelled") else "error"
        session.say(text, level, event.cell)


CellEvent = (
    events.Progress
    | events.Phase
    | events.ModelLoaded
    | events.Workload
    | events.Kernels
    | events.Speculation
    | events.TokenTimings
    | events.Iteration
    | events.DisturbedBlock
    | events.OfferedLoad
    | events.ServerStatus
    | events.Request
    | events.Memory
)
# A table by type: a chain of cases would cost more than decoding an event.
_OF_CELL: dict[type[Any], Callable[[SessionState, CellState, Any], None]] = {
    events.Progress: _fold_progress,
    events.Phase: _fold_phase,
    events.ModelLoaded: _fold_load,
    events.Workload: _fold_workload,
    events.Kernels: _fold_kernels,
    events.Speculation: _fold_speculation,
    events.TokenTimings: _fold_token_timings,
    events.Iteration: _fold_iteration,
    events.DisturbedBlock: _fold_block,
    events.OfferedLoad: _fold_offered_load,
    events.ServerStatus: _fold_server_status,
    events.Request: _fold_request,
    events.Memory: _fold_memory,
}

_FOLDS: dict[type[Any], Callable[[SessionState, Any], None]] = {
    **dict.fromkeys(_OF_CELL, _fold_cell_event),
    events.SessionHeader: _fold_header,
    events.Segment: _fold_segment,
    events.Telemetry: _fold_telemetry,
    events.DevicePeaks: _fold_peaks,
    events.Log: _fold_log,
    events.Gap: _fold_gap,
    events.Marker: _fold_marker,
    events.Control: _fold_control,
    events.SessionEnded: _fold_end,
    events.Probe: _fold_probe,
    events.IsolationProgress: _fold_isolation_progress,
    events.Isolation: _fold_isolation,
    events.CellStarted: _fold_cell_start,
    events.CellRejected: _fold_rejection,
    events.CellFinished: _fold_cell_end,
    events.ABBlock: turns_fold.fold_ab_block,
    events.RaceBlock: turns_fold.fold_race_block,
    events.Standing: turns_fold.fold_standing,
    events.FidelityProgress: measured_fold.fold_fidelity_progress,
    events.Fidelity: measured_fold.fold_fidelity,
    events.TaskQuestions: accuracy_fold.fold_questions,
    events.TaskAnswers: accuracy_fold.fold_answers,
    events.TaskAnswered: accuracy_fold.fold_answered,
    events.DeviceTime: measured_fold.fold_device_time,
    events.Explanation: measured_fold.fold_explanation,
    events.TraceSlices: measured_fold.fold_trace,
}


def fold(session: SessionState, event: AnyEvent) -> None:
    """Fold the next event into `session`.

    Events of unknown cells are ignored and never raise. So are those of a cell that is not at work:
    one that is over is never changed again, and one that is measured again is a new object, so that
    an older snapshot of it stays true.
    """
    session.advance(event)
    session.events_folded += 1
    if event.seq > session.last_seq:
        session.last_seq = event.seq
    _FOLDS[type(event)](session, event)


def fold_all(stream: list[AnyEvent], warmup_cut: int | None = None) -> SessionState:
    """Return the state after all events of `stream`; `warmup_cut` is that of the state."""
    session = SessionState(warmup_cut=warmup_cut)
    for event in stream:
        fold(session, event)
    return session
