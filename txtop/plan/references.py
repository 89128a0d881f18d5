"""Reference cells: those that differ in what bends the output alone, and have the most precise.

That is the precision of the weights, and a KV cache that is stored in fewer bits.

Speed is compared with one kind of reference, output with another.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

import msgspec
from msgspec import UNSET

from txtop.plan import modes
from txtop.plan.cell import Cell

# A cache in one of these gives the output of a dynamic one, or is as far from it as named.
_CACHES_FROM_THE_BEST = ("quantized:int8", "quantized:fp8", "quantized:int4")


def find_most_precise(cells: Iterable[Cell]) -> Cell:
    """Return the cell with the highest precision, then the most precise cache, then the first."""
    return min(cells, key=lambda cell: (modes.rank(cell.precision), _rank_cache(cell)))


def _rank_cache(cell: Cell) -> int:
    return 1 + _CACHES_FROM_THE_BEST.index(cell.cache) if cell.quantizes_cache else 0


def find_speed_references(cells: Iterable[Cell]) -> dict[str, Cell]:
    """Return, by cell id, the cell that does the same work in the highest precision.

    A quantised cache does the work of a dynamic one. That cell is its own reference. Cells without
    another cell of the same work are left out.
    """
    return _find_best(cells, _describe_work)


def _describe_work(cell: Cell) -> Cell:
    """Return the cell as it would be of the plain model, in one precision and cache for all."""
    return msgspec.structs.replace(
        cell,
        id="",
        precision="fp32",
        quantization="",
        cache="dynamic" if cell.quantizes_cache else cell.cache,
        model=cell.base or cell.model,
        alias=UNSET,
        base=UNSET,
    )


def find_output_references(cells: Iterable[Cell]) -> dict[str, Cell]:
    """Return, by cell id, the cell in the highest precision of its model to compare outputs with.

    Cells in that precision themselves are left out. Batch, lengths, threads, the kind of an exact
    cache and compiling do not matter: a reference may have another batch size. A quantised cache
    is compared at the length of its prompt.
    """
    references = _find_best(cells, _model_key)
    return {
        cell.id: references[cell.id]
        for cell in cells
        if cell.id in references and not has_same_output(cell, references[cell.id])
    }


def has_same_output(cell: Cell, other: Cell) -> bool:
    """Return whether both cells give the same output, as far as fidelity is concerned."""
    return get_output_key(cell) == get_output_key(other)


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
    return _model_key(cell) == _model_key(other)


def get_output_key(cell: Cell) -> tuple[Hashable, ...]:
    """Return a key that cells with the same output share."""
    cache = (cell.cache, cell.sequence_length) if cell.quantizes_cache else None
    return cell.precision, cell.quantization, cell.model, cache, *_model_key(cell)


def _model_key(cell: Cell) -> tuple[Hashable, ...]:
    return cell.base or cell.model, cell.weights, cell.device, cell.attention


def _step_key(cell: Cell) -> tuple[Hashable, ...]:
    batch = cell.serving, cell.batch_size
    return *get_output_key(cell), *batch, cell.compile, cell.cache, cell.threads, cell.speculative


def _find_best(cells: Iterable[Cell], key: Callable[[Cell], Hashable]) -> dict[str, Cell]:
    by_key: dict[Hashable, list[Cell]] = {}
    for cell in cells:
        by_key.setdefault(key(cell), []).append(cell)
    groups = [group for group in by_key.values() if len(group) > 1]
    bests = [(find_most_precise(group), group) for group in groups]
    return {cell.id: best for best, group in bests for cell in group}
