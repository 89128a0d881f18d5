"""What a cell at work says of itself, folded into its state. One event, one function."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from txtop.protocol import events
from txtop.state.cell import NONE_NS, CellState

if TYPE_CHECKING:
    from txtop.state.session import SessionState

INVALID = "is INVALID: NaN or Inf in its output"


def _progress(session: SessionState, state: CellState, event: events.Progress) -> None:
    state.progress = event


def _phase(session: SessionState, state: CellState, event: events.Phase) -> None:
    state.phase = event.name
    if event.name == "to_device":
        session.first_to_device_ns = session.first_to_device_ns or session.clock_ns


def _load(session: SessionState, state: CellState, event: events.Load) -> None:
    state.load = session.loads[state.cell.group] = event
    session.say(f"loaded in {event.load_s:.1f} s, {event.weights} weights", cell=event.cell)
    for note in event.notes:
        session.say(note, cell=event.cell)


def _workload(session: SessionState, state: CellState, event: events.Workload) -> None:
    state.workload = event
    state.stage = "first"


def _kernels(session: SessionState, state: CellState, event: events.Kernels) -> None:
    state.kernels = event


def _memory(session: SessionState, state: CellState, event: events.Memory) -> None:
    state.memory = event


def _steps(session: SessionState, state: CellState, event: events.Steps) -> None:
    if event.index != state.open_index:
        state.open_index = event.index
        del state.open_gaps_ns[:]
    if event.first == len(state.open_gaps_ns):
        state.open_gaps_ns.extend(event.gaps_ns)


def _iteration(session: SessionState, state: CellState, event: events.Iteration) -> None:
    samples = state.samples
    samples.role.append(event.role)
    samples.start_ns.append(event.start_ns)
    samples.at_ns.append(session.clock_ns)
    samples.e2e_ns.append(event.e2e_ns)
    samples.ttft_ns.append(NONE_NS if event.ttft_ns is None else event.ttft_ns)
    samples.encoder_ns.append(NONE_NS if event.encoder_ns is None else event.encoder_ns)
    samples.tokens.append(event.tokens)
    if event.index == state.open_index:
        samples.gaps_ns.extend(state.open_gaps_ns)
    samples.gaps_from.append(len(samples.gaps_ns))
    state.open_index = -1
    del state.open_gaps_ns[:]
    state.lag = state.lag or event.lag
    state.invalid += event.invalid
    if event.invalid:
        session.withdraw(event.cell, INVALID)
    if event.role == "measured":
        if not state.measured_from_ns:
            state.measured_from_ns = max(0, session.clock_ns - event.e2e_ns)
        state.measured_to_ns = session.clock_ns
        state.stage = "measuring"
    else:
        state.stage = "warming"


def _offered(session: SessionState, state: CellState, event: events.Offered) -> None:
    first = state.served.offered is None
    if first:
        # What warm-up took of the cache is no figure of the load.
        state.served.kv_most = None
    state.served.offered = event
    state.stage = "measuring"
    if first:
        state.measured_from_ns = session.clock_ns
        rate = "" if event.rate is None else f" at {event.rate:.3g} a second"
        clients = "" if event.clients is None else f" from {event.clients} clients"
        session.say(f"{event.requests} requests{rate}{clients}", cell=event.cell)


def _lanes(session: SessionState, state: CellState, event: events.Lanes) -> None:
    state.served.see(event, session.clock_ns)


def _request(session: SessionState, state: CellState, event: events.Request) -> None:
    """A request is an iteration whose clock begins when it was meant to come."""
    state.served.add(event)
    samples = state.samples
    ttft_ns = NONE_NS if event.first_ns is None else event.first_ns - event.arrival_ns
    samples.role.append(event.role)
    samples.start_ns.append(event.arrival_ns)
    samples.at_ns.append(session.clock_ns)
    samples.e2e_ns.append(max(1, event.end_ns - event.arrival_ns))
    samples.ttft_ns.append(ttft_ns)
    samples.encoder_ns.append(NONE_NS)
    samples.tokens.append(event.tokens)
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


def _block(session: SessionState, state: CellState, event: events.Block) -> None:
    state.blocks.append(event)
    if not event.kept:
        places = range(event.first, min(event.first + event.count, len(state.samples)))
        state.samples.discarded.update(places)
    why = ", ".join(event.reasons)
    verdict = "kept, since three were repeated" if event.kept else "repeated"
    session.say(f"block of {event.count} {verdict}: {why}", "warning", event.cell)


OfCell = (
    events.Progress
    | events.Phase
    | events.Load
    | events.Workload
    | events.Kernels
    | events.Steps
    | events.Iteration
    | events.Block
    | events.Offered
    | events.Lanes
    | events.Request
    | events.Memory
)
# By type: a chain of cases costs more than the decoding of an event.
FOLDS: dict[type[Any], Callable[[SessionState, CellState, Any], None]] = {
    events.Progress: _progress,
    events.Phase: _phase,
    events.Load: _load,
    events.Workload: _workload,
    events.Kernels: _kernels,
    events.Steps: _steps,
    events.Iteration: _iteration,
    events.Block: _block,
    events.Offered: _offered,
    events.Lanes: _lanes,
    events.Request: _request,
    events.Memory: _memory,
}
