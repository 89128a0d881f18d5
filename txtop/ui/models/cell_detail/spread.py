"""A model over several devices: what the detail of its cell says of the parts."""

from __future__ import annotations

from txtop import formatting
from txtop.state.cell import CellState
from txtop.state.session import SessionState


def format_parallel(session: SessionState, state: CellState) -> str:
    """Return the way a model is spread, over how much, and what exchanging data takes of a step."""
    load, communication = state.load, _list_communication(session, state)
    parts = [state.cell.parallel]
    if load is not None and state.cell.ranks == 1:
        parts.append(formatting.format_count(load.ranks, "GPU"))
    if communication:
        names = ("the prefill", "a decode step") if state.family != "encoder" else ("a pass",)
        shares = [
            f"{formatting.format_share(share)} of {name}"
            for share, name in zip(communication, names, strict=False)
        ]
        parts.append(f"communication {' and '.join(shares)}")
    elif state.cell.ranks > 1 and state.over:
        parts.append("communication not measured")
    return ", ".join(parts)


def _list_communication(session: SessionState, state: CellState) -> list[float]:
    """Return the shares of prefill and decode step in which data is exchanged; none if unread."""
    timed = session.device_time_of(state.cell.id)
    if state.kernels is not None and state.kernels.communication:
        return state.kernels.communication
    if timed is None or state.cell.ranks == 1:
        return []
    return [
        min(1.0, phase.communication_ns / max(1, phase.host_ns))
        for phase in (timed.prefill, timed.decode)
        if phase is not None
    ]


def list_part_peaks(state: CellState) -> list[str]:
    """Return the peak of each further rank or GPU: `rank 1 3.0 GiB`."""
    noun = "rank" if state.cell.ranks > 1 else "GPU"
    peaks = []
    for number, part in enumerate(state.memory.parts if state.memory else [], start=1):
        size = part.host_bytes if part.allocated_bytes is None else part.allocated_bytes
        if size is not None:
            peaks.append(f"{noun} {number} {formatting.format_gib(size)} GiB")
    return peaks
