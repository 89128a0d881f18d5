"""Reference cells: those that differ in precision alone and have the highest.

Speed is compared with one kind of reference, output with another.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

import msgspec
from msgspec import UNSET

from txtop.plan import modes
from txtop.plan.cell import Cell


def find_most_precise(cells: Iterable[Cell]) -> Cell:
    """Return the cell with the highest precision; ties go to the first."""
    return min(cells, key=lambda cell: modes.rank(cell.precision))


def find_speed_references(cells: Iterable[Cell]) -> dict[str, Cell]:
    """Return, by cell id, the cell that does the same work in the highest precision.

    That cell is its own reference. Cells without another cell of the same work are left out.
    """
    return _find_best(cells, _describe_work)


def _describe_work(cell: Cell) -> Cell:
    """Return the cell as it would be of the plain model, in one precision for all."""
    return msgspec.structs.replace(
        cell,
        id="",
        precision="fp32",
        quantization="",
        model=cell.base or cell.model,
        alias=UNSET,
        base=UNSET,
    )


def find_output_references(cells: Iterable[Cell]) -> dict[str, Cell]:
    """Return, by cell id, the cell in the highest precision of its model to compare outputs with.

    Cells in that precision themselves are left out. Batch, lengths, threads, cache and compiling do
    not matter: a reference may have another batch size.
    """
    references = _find_best(cells, lambda cell: _output_key(cell)[1:])
    return {
        cell.id: references[cell.id]
        for cell in cells
        if cell.id in references and not has_same_output(cell, references[cell.id])
    }


def has_same_output(cell: Cell, other: Cell) -> bool:
    """Return whether both cells give the same output, as far as fidelity is concerned."""
    return _output_key(cell) == _output_key(other)


def has_same_step(cell: Cell, other: Cell) -> bool:
    """Return whether a step of both cells launches the same work, but for the lengths."""
    return _step_key(cell) == _step_key(other)


def find_distinct_steps(cells: Iterable[Cell]) -> list[Cell]:
    """Return the first of the cells with each step (`has_same_step`)."""
    firsts: dict[tuple[Hashable, ...], Cell] = {}
    for cell in cells:
        firsts.setdefault(_step_key(cell), cell)
    return list(firsts.values())


def differs_in_precision_only(cell: Cell, other: Cell) -> bool:
    """Return whether the outputs of both cells may be compared in a matrix."""
    return _output_key(cell)[1:] == _output_key(other)[1:]


def _output_key(cell: Cell) -> tuple[Hashable, ...]:
    precision = (cell.precision, cell.quantization, cell.model)
    return precision, cell.base or cell.model, cell.weights, cell.device, cell.attention


def _step_key(cell: Cell) -> tuple[Hashable, ...]:
    batch = cell.serving, cell.batch_size
    return *_output_key(cell), *batch, cell.compile, cell.cache, cell.threads


def _find_best(cells: Iterable[Cell], key: Callable[[Cell], Hashable]) -> dict[str, Cell]:
    by_key: dict[Hashable, list[Cell]] = {}
    for cell in cells:
        by_key.setdefault(key(cell), []).append(cell)
    groups = [group for group in by_key.values() if len(group) > 1]
    bests = [(find_most_precise(group), group) for group in groups]
    return {cell.id: best for best, group in bests for cell in group}
