"""Blocks that the machine disturbed: stretches of them, and what one of an A/B is for each arm."""

from __future__ import annotations

from txtop.protocol.events import ABBlock, DisturbedBlock, RaceBlock


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


def describe_fate(block: DisturbedBlock) -> str:
    """Describe in a line what became of a block, and why."""
    limit = "time for repeats is used up" if block.contention else "three were repeated"
    fate = f"kept, since {limit}" if block.kept else "repeated"
    return f"block of {block.count} {fate}: {', '.join(block.reasons)}"


def select_arm(block: ABBlock, arm: str, places: list[int]) -> DisturbedBlock:
    """Return the part of a disturbed block of an A/B that is one arm's, its iterations `places`."""
    return DisturbedBlock(
        t_ns=block.t_ns,
        cell=arm,
        first=places[0],
        count=places[-1] + 1 - places[0],
        kept=block.kept,
        reasons=block.reasons,
        contention=block.contention,
    )
