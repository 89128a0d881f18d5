"""A state as it was: lengths of what only grows, and copies of the little that changes."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

from txtop.state.cell import CellState, Samples
from txtop.state.session import SessionState, WatchedDevice

_GROWING = ("log", "markers", "gaps", "boot_ids")


@dataclass(frozen=True)
class ActiveCell:
    """A cell that goes on: a copy of it, and how much of its columns there was."""

    cell: CellState
    iterations: int
    tokens: int


@dataclass(frozen=True)
class StateSnapshot:
    """What `restore_snapshot` needs to make a state again out of one that has gone on since."""

    plain: SessionState
    lengths: dict[str, int]
    at_work: tuple[ActiveCell, ...]
    devices: dict[str, tuple[WatchedDevice, dict[str, int]]]


def take_snapshot(state: SessionState) -> StateSnapshot:
    """Costs little, however long `state` has become: no series is copied."""
    return StateSnapshot(
        plain=_copy_containers(state),
        lengths={name: len(getattr(state, name)) for name in _GROWING},
        at_work=tuple(_snapshot_active_cell(state.cells[name]) for name in sorted(state.working)),
        devices={
            name: (replace(device, series={}), {k: len(s[0]) for k, s in device.series.items()})
            for name, device in state.devices.items()
        },
    )


def restore_snapshot(picture: StateSnapshot, later: SessionState) -> SessionState:
    """The state that `picture` was taken of; `later` is that same state, gone on.

    Series are copied, so the result may go on by itself. Cells that were over, or had not begun,
    are shared: nothing changes them any more.
    """
    state = _copy_containers(picture.plain)
    for name, length in picture.lengths.items():
        setattr(state, name, getattr(later, name)[:length])
    for known in picture.at_work:
        cell = _copy_cell(known.cell)
        cell.samples = _truncate_samples(cell.samples, known.iterations, known.tokens)
        state.cells[cell.cell.id] = cell
    state.devices = {
        name: _truncate_device(later.devices[name], *known)
        for name, known in picture.devices.items()
    }
    return state


def _copy_containers(state: SessionState) -> SessionState:
    """With containers of its own; what they hold is shared."""
    plain = copy.copy(state)
    plain.loads, plain.cells = dict(state.loads), dict(state.cells)
    plain.peaks = dict(state.peaks)
    plain.working, plain.fidelity = set(state.working), dict(state.fidelity)
    plain.versus = state.versus.copy() if state.versus else None
    return plain


def _copy_cell(state: CellState) -> CellState:
    cell = copy.copy(state)
    cell.blocks = list(cell.blocks)
    cell.open_gaps_ns = cell.open_gaps_ns[:]
    return cell


def _snapshot_active_cell(state: CellState) -> ActiveCell:
    cell = _copy_cell(state)
    cell.samples = copy.copy(cell.samples)
    cell.samples.discarded = set(cell.samples.discarded)
    return ActiveCell(cell, len(cell.samples), len(cell.samples.gaps_ns))


def _truncate_samples(samples: Samples, iterations: int, tokens: int) -> Samples:
    return Samples(
        role=samples.role[:iterations],
        start_ns=samples.start_ns[:iterations],
        at_ns=samples.at_ns[:iterations],
        e2e_ns=samples.e2e_ns[:iterations],
        ttft_ns=samples.ttft_ns[:iterations],
        encoder_ns=samples.encoder_ns[:iterations],
        tokens=samples.tokens[:iterations],
        gaps_ns=samples.gaps_ns[:tokens],
        gaps_from=samples.gaps_from[: iterations + 1],
        discarded=set(samples.discarded),
        cut=samples.cut,
    )


def _truncate_device(
    later: WatchedDevice, then: WatchedDevice, lengths: dict[str, int]
) -> WatchedDevice:
    known = later.series
    series = {name: (known[name][0][:n], known[name][1][:n]) for name, n in lengths.items()}
    return replace(then, series=series)
