"""Which cell another is held against: the one that differs in precision alone and has the best."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

import msgspec

from txtop.plan.cell import Cell

# Bits of the mantissa decide: fp16 keeps 10 of them, bf16 7.
_FROM_THE_BEST = (
    "fp32",
    "fp16",
    "bf16",
    "int8",
    "int8:weight-only",
    "int8:dynamic",
    "int8:torch-dynamic",
)


def find_most_precise(cells: Iterable[Cell]) -> Cell:
    """The one in the best precision; the first of several."""
    return min(cells, key=lambda cell: _FROM_THE_BEST.index(cell.precision))


def find_speed_references(cells: Iterable[Cell]) -> dict[str, Cell]:
    """By id, for each cell that others share their work with, the one that speed is held against:
    the same work in the best precision. That one is its own reference."""
    return _find_best(cells, lambda cell: msgspec.structs.replace(cell, id="", precision="fp32"))


def find_output_references(cells: Iterable[Cell]) -> dict[str, Cell]:
    """By id, for each cell that is not in the best precision of its model, the cell in that
    precision that its output is held against. Batch, lengths, threads, cache and compiling are no
    matter: a reference may be a cell of another batch."""
    found = _find_best(cells, lambda cell: _output_key(cell)[1:])
    return {
        cell.id: found[cell.id]
        for cell in cells
        if cell.id in found and not has_same_output(cell, found[cell.id])
    }


def has_same_output(cell: Cell, other: Cell) -> bool:
    """Whether the two answer the same, as far as fidelity goes."""
    return _output_key(cell) == _output_key(other)


def differs_in_precision_only(cell: Cell, other: Cell) -> bool:
    """Whether their outputs may be held against each other in a matrix."""
    return _output_key(cell)[1:] == _output_key(other)[1:]


def _output_key(cell: Cell) -> tuple[Hashable, ...]:
    return cell.precision, cell.model, cell.weights, cell.device, cell.attention


def _find_best(cells: Iterable[Cell], key: Callable[[Cell], Hashable]) -> dict[str, Cell]:
    alike: dict[Hashable, list[Cell]] = {}
    for cell in cells:
        alike.setdefault(key(cell), []).append(cell)
    groups = [group for group in alike.values() if len(group) > 1]
    bests = [(find_most_precise(group), group) for group in groups]
    return {cell.id: best for best, group in bests for cell in group}
