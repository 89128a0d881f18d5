"""Read an explanation: the parts of a request, and how near each comes to the device's roofs."""

from __future__ import annotations

from dataclasses import dataclass

from txtop.analysis.metrics import summarise_live
from txtop.analysis.roofline import (
    LOW_PEAK,
    compute_bytes_per_s,
    get_part_ns,
    is_bandwidth_disproved,
)
from txtop.formatting import format_figure, format_share
from txtop.protocol.events import Explanation, PhaseExplanation, StepPart
from txtop.state.cell import CellState
from txtop.state.pending_work import find_pending_explanations
from txtop.state.session import SessionState
from txtop.units import NS_PER_S

SCALED_FROM = 0.05
"""The factor of the parts, as its distance from 1, from which on a note says so."""
DISTURBED_FROM = 1.1
"""The median of the steps over their quarter point from which on the machine was disturbed."""
KIND_NAMES = {
    "attention": "attention",
    "mlp": "MLP",
    "norm": "norms",
    "head": "head",
    "embedding": "embedding",
    "cache": "KV cache",
    "rest": "rest of the model",
    "compiled": "compiled code",
    "sampling": "sampling",
    "loop": "around the model",
    "idle": "GPU waits for the host",
}
# An explained step that differs by more than this factor from the measured one is another.
DISTANT_FROM = 1.25
_MEASURED_AS = {
    "prefill": ("TTFT", "ttft_ms"),
    "decode": ("TPOT", "tpot_ms"),
    "forward": ("forward pass", "e2e_ms"),
}
PHASE_NAMES = {"prefill": "prefill", "decode": "decode step", "forward": "forward pass"}


@dataclass(frozen=True)
class Piece:
    """A piece of the bar of a step: its kind, its time, and how much of it is Python.

    `bandwidth_share` and `flops_share` are of the peaks of the device, None if not known.
    """

    kind: str
    ns: int
    python_ns: int
    bandwidth_share: float | None = None
    flops_share: float | None = None

    @property
    def name(self) -> str:
        return KIND_NAMES.get(self.kind, self.kind)


def get_phase(explanation: Explanation, name: str) -> PhaseExplanation | None:
    """Return the phase of that name, or None."""
    return next((phase for phase in explanation.phases if phase.name == name), None)


def describe_present_step(session: SessionState, cell: str | None = None) -> str:
    """Return what the explanation that is being made, of `cell` if given, is at; empty if none."""
    if session.ended is not None:
        return ""
    awaited = {one.id for one in find_pending_explanations(session)}
    if cell is not None:
        awaited &= {cell}
    lines = (line for line in reversed(session.log) if line.explains)
    return next((line.text for line in lines if line.cell in awaited), "") if awaited else ""


def count_steps(phase: PhaseExplanation, state: CellState) -> int:
    """Return how many steps of a phase one request has."""
    return max(1, state.cell.new_tokens - 1) if phase.name == "decode" else 1


def rank_phases(explanation: Explanation, state: CellState) -> list[PhaseExplanation]:
    """Return the phases, that which takes the most of a request first."""
    return sorted(explanation.phases, key=lambda phase: -phase.step_ns * count_steps(phase, state))


def compute_request_ns(explanation: Explanation, state: CellState) -> int:
    """Return the time of a request: all phases, each with its steps."""
    return sum(phase.step_ns * count_steps(phase, state) for phase in explanation.phases)


def compute_closure(phase: PhaseExplanation) -> float:
    """Return the sum of the parts over the step that was measured without a profiler."""
    return sum(part.ns for part in phase.parts) / phase.step_ns if phase.step_ns else 0.0


def compute_profiler_share(phase: PhaseExplanation) -> float:
    """Return what the profiler itself adds to a step, as a share of it."""
    return phase.event_ns * phase.profiler_events / phase.step_ns if phase.step_ns else 0.0


def compute_clock_share(phase: PhaseExplanation) -> float:
    """Return by how much the clock of the modules makes a step longer, as a share of it."""
    return max(0.0, phase.clocked_ns / phase.step_ns - 1) if phase.step_ns else 0.0


def describe_closure(phase: PhaseExplanation) -> str:
    """Return what the parts add up to, and what was taken off because measuring added it."""
    costs = [f"profiler {format_share(compute_profiler_share(phase))}"]
    if phase.clocked_ns:
        costs.insert(0, f"clock {format_share(compute_clock_share(phase))}")
    return (
        f"parts add up to {format_share(compute_closure(phase), 1)}; taken off: {', '.join(costs)}"
    )


def build_pieces(session: SessionState, state: CellState, phase: PhaseExplanation) -> list[Piece]:
    """Return the pieces of a step, largest first; without shares of a peak that is disproved.

    Of a step on a GPU they are the kernels of each kind, and the time in which it waits.
    """
    load = state.load
    peaks = session.peaks_of(load) if load else None
    bandwidth = flops = None
    if peaks is not None and not is_bandwidth_disproved(session, peaks):
        bandwidth = peaks.bandwidth_bytes_per_s
    if peaks is not None and load and load.geometry:
        flops = peaks.flops_per_s.get(load.geometry.dtype)
    on_gpu = phase.busy_ns is not None
    pieces = [
        _build_piece(part, ns, 0 if on_gpu else ns - part.operators_ns, bandwidth, flops)
        for part in phase.parts
        if (ns := get_part_ns(phase, part))
    ]
    if not on_gpu:
        return pieces
    idle_ns = max(0, phase.step_ns - sum(piece.ns for piece in pieces))
    return [*sorted(pieces, key=lambda piece: -piece.ns), Piece("idle", idle_ns, idle_ns)]


def _build_piece(
    part: StepPart, ns: int, python_ns: int, bandwidth: float | None, flops: float | None
) -> Piece:
    """Return the piece of a part; its shares are of these peaks, None where one is not known."""
    moved = compute_bytes_per_s(part, ns)
    return Piece(
        part.kind,
        ns,
        python_ns,
        moved / bandwidth if bandwidth and moved is not None else None,
        part.flops / (ns / NS_PER_S) / flops if flops and part.flops else None,
    )


def build_explanation_notes(
    session: SessionState, state: CellState, explanation: Explanation
) -> list[str]:
    """Return what a reader of the parts must know: what they miss, and what disturbed them."""
    notes = []
    peaks = session.peaks_of(state.load) if state.load else None
    parts = [part for phase in explanation.phases for part in phase.parts]
    has_counted = any(part.read_bytes is not None for part in parts)
    if has_counted and peaks is not None and is_bandwidth_disproved(session, peaks):
        notes.append(f"shares of the bandwidth are left out: {LOW_PEAK}")
    distances = [_describe_distance(phase, state) for phase in explanation.phases]
    if any(distances):
        told = "; ".join(filter(None, distances))
        notes.append(f"{told}: the machine was not as fast in both, and shares may differ")
    for phase in explanation.phases:
        name = PHASE_NAMES[phase.name]
        if abs(1 - phase.scale) > SCALED_FROM:
            notes.append(
                f"the parts of the {name} were multiplied by {phase.scale:.2f}: their usual times"
                f" add up to {1 / phase.scale:.2f} of the step"
            )
        if is_step_disturbed(phase):
            notes.append(
                f"the median {name} took {phase.median_ns / 1e6:.3g} ms, not"
                f" {phase.step_ns / 1e6:.3g}: something else used the machine"
            )
    return [*notes, *explanation.notes]


def is_step_disturbed(phase: PhaseExplanation) -> bool:
    """Return whether half of the steps took so much longer that others must have run too."""
    return phase.median_ns > DISTURBED_FROM * phase.step_ns


def _describe_distance(phase: PhaseExplanation, state: CellState) -> str:
    """Return how far the explained step is from the one that was measured; empty if it is near."""
    label, metric = _MEASURED_AS[phase.name]
    measured_ms = summarise_live(state, metric).mean
    if not measured_ms:
        return ""
    explained_ms = phase.step_ns / 1e6
    factor = explained_ms / measured_ms
    if 1 / DISTANT_FROM <= factor <= DISTANT_FROM:
        return ""
    measured = f"the {label} measured {format_figure(measured_ms)}"
    return (
        f"the {PHASE_NAMES[phase.name]} explained took {format_figure(explained_ms)} ms, {measured}"
    )
