"""Compare the same cells on several kinds of machine, each against the first.

Sessions of equal machines are one side: their figures are pooled as those of repeated runs are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from txtop.analysis.compare import CellComparison, compare_sessions
from txtop.sanitise import sanitise
from txtop.state.session import SessionState
from txtop.stats.unpaired import UnpairedRatio


@dataclass(frozen=True)
class HardwareRow:
    """A cell on one kind of machine: its rate in `unit`, and the ratio to the first kind.

    The first kind itself has no contrast, nor has a cell that cannot be compared for `reasons`.
    `notes` are the doubts about a ratio: a busy machine, speed that drifted, other versions.
    """

    cell: str
    machine: str
    rate: float | None
    unit: str
    per_watt: float | None
    contrast: UnpairedRatio | None
    verdict: str
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def get_hardware_key(state: SessionState) -> tuple[str, ...]:
    """Return the facts that make a machine another: devices, processor, cores, drivers."""
    machine = state.header.machine if state.header else None
    own = (machine.cpu, str(machine.cores_allowed or machine.cores_logical)) if machine else ()
    devices = sorted({load.device_name for load in state.loads.values()})
    drivers = {device.versions.get("nvidia_driver", "") for device in state.devices.values()}
    return *devices, *own, *sorted(filter(None, drivers))


def group_by_kind(states: Mapping[str, SessionState]) -> dict[str, list[SessionState]]:
    """Return the sessions of each kind of machine, by the names of the places that are of it."""
    kinds: dict[tuple[str, ...], list[str]] = {}
    for place, state in states.items():
        kinds.setdefault(get_hardware_key(state), []).append(place)
    return {
        ", ".join(sanitise(place, 80) for place in places): [states[place] for place in places]
        for places in kinds.values()
    }


def compare_hardware(
    sides: Mapping[str, list[SessionState]], margin: float
) -> tuple[HardwareRow, ...]:
    """Return a row for each cell and side, the rows of a cell together."""
    (first, base), *others = sides.items()
    rows: dict[str, list[HardwareRow]] = {}
    for name, new in others:
        for cell in compare_sessions(base, new, margin, across_hardware=True).cells:
            if cell.cell not in rows:
                rows[cell.cell] = [_build_first(first, cell)]
            rows[cell.cell].append(
                HardwareRow(
                    cell.cell,
                    name,
                    cell.new_rate,
                    cell.unit,
                    cell.new_per_watt,
                    cell.contrast,
                    cell.verdict,
                    cell.reasons,
                    tuple(cell.notes),
                )
            )
    return tuple(row for own in rows.values() for row in own)


def _build_first(name: str, cell: CellComparison) -> HardwareRow:
    return HardwareRow(
        cell.cell, name, cell.base_rate, cell.unit, cell.base_per_watt, None, "first"
    )


def has_comparison(rows: Iterable[HardwareRow]) -> bool:
    """Return True if any cell could be compared."""
    return any(row.contrast is not None for row in rows)
