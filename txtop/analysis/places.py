"""Judge the cells of one session that were measured side by side in several places.

What cannot be compared or divided between places is decided here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable

from txtop.formatting import format_count
from txtop.state import isolation
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.system.device_names import get_cores

SHARED_POWER = "withheld: the places share one processor, whose power is not told apart"


def describe_kind(session: SessionState, state: CellState) -> str:
    """Describe what a measured cell's place is made of; empty while it is not known.

    Places with equal words are taken for equal: the device's name, a GPU's capability and memory,
    the number of cores.
    """
    load = state.load
    if load is None:
        return ""
    if cores := get_cores(state.place):
        return f"{load.device_name}, {format_count(len(cores), 'core')}"
    name = session.gpu(load.device_id)
    memory_bytes = session.devices[name].last("memory_total_bytes") if name else None
    memory = f"{memory_bytes / 2**30:.0f} GiB" if memory_bytes else ""
    capability = f"capability {load.capability}" if load.capability else ""
    return ", ".join(filter(None, (load.device_name, capability, memory)))


def explain_unlike_places(session: SessionState) -> str:
    """Return why cells of one place do not compare with those of another; empty if all do."""
    kinds: dict[str, list[str]] = {}
    seen: set[str] = set()
    for own in session.cells.values():
        if own.place not in seen and (kind := describe_kind(session, own)):
            seen.add(own.place)
            kinds.setdefault(kind, []).append(own.place)
    if len(kinds) < 2:
        return ""
    sorts = "; ".join(f"{' '.join(places)}: {kind}" for kind, places in kinds.items())
    return f"places differ, cells compare within one kind alone ({sorts})"


def explain_shared_power(session: SessionState, state: CellState) -> str:
    """Return why power of the processor is not this cell's alone; empty if it is."""
    shares = get_cores(state.place) and count_places(session.cells.values()) > 1
    return SHARED_POWER if shares else ""


def count_places(cells: Iterable[CellState]) -> int:
    """Return in how many places `cells` were measured; 1 in a plan without places."""
    return len({own.place for own in cells if own.worker}) or 1


def build_place_notes(session: SessionState, state: CellState) -> list[str]:
    """Return the notes on the place of a cell: its neighbours, what they cost, if places differ."""
    if not state.place:
        return []
    others = count_places(session.cells.values()) - 1
    notes = [
        f"measured in {state.place}"
        + (f", beside {format_count(others, 'other place')}" if others else "")
    ]
    outcome = session.isolation.get(state.place)
    if outcome is not None:
        notes.append(isolation.describe_isolation(outcome))
    if unlike := explain_unlike_places(session):
        notes.append(unlike)
    return notes
