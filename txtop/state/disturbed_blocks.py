"""Blocks that the machine disturbed: stretches of them, and those of cells that take turns."""

from __future__ import annotations

from txtop.plan.plan import Plan
from txtop.protocol.events import ABBlock, DisturbedBlock, RaceBlock
from txtop.state.cell import CellState


def is_same_trouble(
    before: DisturbedBlock | ABBlock | RaceBlock | None,
    block: DisturbedBlock | ABBlock | RaceBlock,
) -> bool:
    """Check that others took the processor from both blocks, which share their fate."""
    return (
        before is not None
        and bool(before.contention and block.contention)
        and before.kept == block.kept
    )


def is_same_stretch(before: DisturbedBlock | None, block: DisturbedBlock) -> bool:
    """Check that two blocks are the same trouble, and neighbours.

    A block or two between them that were calm are no new beginning.
    """
    near = before is not None and block.first <= before.first + 3 * before.count
    return near and is_same_trouble(before, block)


def describe_fate(block: DisturbedBlock, plan: Plan) -> str:
    """Describe in a line what became of a block, and why; one of a search for what fits counts."""
    limit = "time for repeats is used up" if block.contention else "three were repeated"
    limit = "what fits does not depend on it" if plan.edge_search is not None else limit
    fate = f"kept, since {limit}" if block.kept else "repeated"
    return f"block of {block.count} {fate}: {', '.join(block.reasons)}"


def add_turns(state: CellState, block: ABBlock | RaceBlock, places: list[int]) -> None:
    """Add to a cell its iterations `places` of a block in which it took turns with others."""
    state.in_turns = True
    if not block.kept:
        state.samples.discarded.update(places)
    if block.contention and places:
        part = DisturbedBlock(
            t_ns=block.t_ns,
            cell=state.cell.id,
            first=places[0],
            count=places[-1] + 1 - places[0],
            kept=block.kept,
            reasons=block.reasons,
            contention=block.contention,
        )
        state.blocks.append(part)
