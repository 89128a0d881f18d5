"""Snapshots of a state: lengths of the series that only grow, and copies of the rest.

The player takes one for each stretch of a log and goes back to it when a user seeks.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

from txtop.state.cell import CellState, Samples
from txtop.state.session import SessionState, WatchedDevice

# Lists that are only appended to, so that a length is enough to restore them.
_GROWING = ("log", "markers", "gaps", "boot_ids")


@dataclass(frozen=True)
class ActiveCell:
    """A copy of a cell at work, and the lengths of its columns."""

    cell: CellState
    iterations: int
    tokens: int


@dataclass(frozen=True)
class StateSnapshot:
    """The data from which `restore_snapshot` makes an earlier state out of a later one."""

    plain: SessionState
    lengths: dict[str, int]
    at_work: tuple[ActiveCell, ...]
    devices: dict[str, tuple[WatchedDevice, dict[str, int]]]


def take_snapshot(state: SessionState) -> StateSnapshot:
    """Return a snapshot of `state`. It is cheap however long the series are: none is copied."""
    return StateSnapshot(
        plain=_copy_containers(state),
        lengths={name: len(getattr(state, name)) for name in _GROWING},
        at_work=tuple(_snapshot_active_cell(state.cells[name]) for name in sorted(state.working)),
        devices={
            name: (replace(device, series={}), {k: len(s[0]) for k, s in device.series.items()})
            for name, device in state.devices.items()
        },
    )


def restore_snapshot(snapshot: StateSnapshot, later: SessionState) -> SessionState:
    """Return the state that `snapshot` was taken of; `later` is that same state after more events.

    Series are copied, so that the result can be folded further by itself. Cells that were over or
    had not begun are shared, because nothing changes them any more.
    """
    state = _copy_containers(snapshot.plain)
    for name, length in snapshot.lengths.items():
        setattr(state, name, getattr(later, name)[:length])
    for active in snapshot.at_work:
        cell = _copy_cell(active.cell)
        cell.samples = _truncate_samples(cell.samples, active.iterations, active.tokens)
        state.cells[cell.cell.id] = cell
    state.devices = {
        name: _truncate_device(later.devices[name], *device_then)
        for name, device_then in snapshot.devices.items()
    }
    return state


def _copy_containers(state: SessionState) -> SessionState:
    """Return a copy with containers of its own; their elements are shared."""
    plain = copy.copy(state)
    plain.loads, plain.cells = dict(state.loads), dict(state.cells)
    plain.peaks, plain.device_times = dict(state.peaks), dict(state.device_times)
    plain.probes, plain.isolation = dict(state.probes), dict(state.isolation)
    plain.explanations, plain.traces = dict(state.explanations), dict(state.traces)
    plain.working, plain.fidelity = set(state.working), dict(state.fidelity)
    plain.compared_at_ns = dict(state.compared_at_ns)
    plain.questions, plain.answers = dict(state.questions), dict(state.answers)
    plain.answered = dict(state.answered)
    plain.ab_test = state.ab_test.copy() if state.ab_test else None
    plain.race = state.race.copy() if state.race else None
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
        prompt_tokens=samples.prompt_tokens[:iterations],
        gaps_ns=samples.gaps_ns[:tokens],
        gaps_from=samples.gaps_from[: iterations + 1],
        discarded=set(samples.discarded),
        since=samples.since,
        cut=samples.cut,
        start_ends=samples.start_ends,
    )


def _truncate_device(
    later: WatchedDevice, then: WatchedDevice, lengths: dict[str, int]
) -> WatchedDevice:
    later_series = later.series
    series = {
        name: (later_series[name][0][:n], later_series[name][1][:n]) for name, n in lengths.items()
    }
    return replace(then, series=series)
