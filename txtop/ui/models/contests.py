"""The contests of a session: the cells of one unit and one length, whose rates may be ranked.

A rate falls with the length of the work: of cells of different lengths the shortest would win.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from txtop.plan.cell import Cell
from txtop.plan.knobs import BY_FIELD, Knob, find_varying

Contest = tuple[str, str]
LENGTH_FIELDS = ("sequence_length", "new_tokens", "prompts", "chat_template")


def find_varying_lengths(cells: Sequence[Cell]) -> list[Knob]:
    """Return the knobs of the length of the work whose values differ between `cells`."""
    return find_varying(cells, map(BY_FIELD.__getitem__, LENGTH_FIELDS))


def label_length(cell: Cell, lengths: Iterable[Knob]) -> str:
    """Return the length of a cell among others: `128 tokens`; empty where all are equal."""
    return " · ".join(knob.call(cell) for knob in lengths)


def rank_contests(entries: Sequence[Contest]) -> list[Contest]:
    """Return the contests of (unit, length), that of most cells first.

    One of the unit that most cells have comes before any of another unit.
    """
    units = Counter(unit for unit, _ in entries)
    counts = Counter(entries)
    return sorted(counts, key=lambda entry: (-units[entry[0]], -counts[entry]))
