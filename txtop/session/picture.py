"""A state as it was: lengths of what only grows, and copies of the little that changes."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from txtop.state import CellState, Device, Samples, SessionState

_GROWING = ("log", "markers", "gaps", "boot_ids")


@dataclass(frozen=True)
class Picture:
    """What `develop` needs to make a state again out of one that has gone on since."""

    plain: SessionState
    lengths: dict[str, int]
    at_work: CellState | None
    iterations: int
    tokens: int
    devices: dict[str, tuple[str, dict[str, str], dict[str, int]]]


def take(state: SessionState) -> Picture:
    """Costs little, however long `state` has become: no series is copied."""
    plain = copy.copy(state)
    plain.loads = dict(state.loads)
    plain.cells = dict(state.cells)
    at_work = state.cells.get(state.current or "")
    iterations = tokens = 0
    if at_work is not None:
        iterations, tokens = len(at_work.samples), len(at_work.samples.gaps_ns)
        at_work = copy.copy(at_work)
        at_work.blocks = list(at_work.blocks)
        at_work.open_gaps_ns = at_work.open_gaps_ns[:]
        at_work.samples = copy.copy(at_work.samples)
        at_work.samples.discarded = set(at_work.samples.discarded)
    return Picture(
        plain=plain,
        lengths={name: len(getattr(state, name)) for name in _GROWING},
        at_work=at_work,
        iterations=iterations,
        tokens=tokens,
        devices={
            name: (device.label, device.versions, {k: len(s[0]) for k, s in device.series.items()})
            for name, device in state.devices.items()
        },
    )


def develop(picture: Picture, later: SessionState) -> SessionState:
    """The state that `picture` was taken of; `later` is that same state, gone on.

    Series are copied, so the result may go on by itself. Cells that were over, or had not begun,
    are shared: nothing changes them any more.
    """
    state = copy.copy(picture.plain)
    for name, length in picture.lengths.items():
        setattr(state, name, getattr(later, name)[:length])
    state.loads = dict(picture.plain.loads)
    state.cells = dict(picture.plain.cells)
    if picture.at_work is not None:
        cell = copy.copy(picture.at_work)
        cell.blocks = list(cell.blocks)
        cell.open_gaps_ns = cell.open_gaps_ns[:]
        cell.samples = _first(cell.samples, picture.iterations, picture.tokens)
        state.cells[cell.cell.id] = cell
    state.devices = {
        name: _until(later.devices[name], *known) for name, known in picture.devices.items()
    }
    return state


def _first(samples: Samples, iterations: int, tokens: int) -> Samples:
    return Samples(
        role=samples.role[:iterations],
        start_ns=samples.start_ns[:iterations],
        e2e_ns=samples.e2e_ns[:iterations],
        ttft_ns=samples.ttft_ns[:iterations],
        encoder_ns=samples.encoder_ns[:iterations],
        tokens=samples.tokens[:iterations],
        gaps_ns=samples.gaps_ns[:tokens],
        gaps_from=samples.gaps_from[: iterations + 1],
        discarded=set(samples.discarded),
        cut=samples.cut,
    )


def _until(device: Device, label: str, versions: dict[str, str], lengths: dict[str, int]) -> Device:
    known = device.series
    series = {name: (known[name][0][:n], known[name][1][:n]) for name, n in lengths.items()}
    return Device(label, series, versions)
