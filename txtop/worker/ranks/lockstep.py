"""The lockstep of ranks: each runs the same commands, which rank 0 hands on before it begins.

Their collectives meet in the model. Between two of them no rank may leave what it does, so a call
of a model in parts is never cancelled in its middle.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from txtop.models.local_accelerator import find_accelerator
from txtop.models.parallel_rules import explain_missing_parallel
from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.worker.command_queue import CommandQueue
from txtop.worker.failures import Failure, RejectedError
from txtop.worker.ranks.followers import GRACE_S, Followers

if TYPE_CHECKING:
    import torch

# What a rank has nothing to do for, or is told one iteration at a time.
_KEPT = (
    commands.Iterate, commands.Serve, commands.Arrive, commands.Close, commands.Cancel,
    commands.Quit,
)  # fmt: skip


class Ranks:
    """The ranks that measure together with this process, which is number `rank` of `size`.

    It is alone until a command asks for more. Rank 0 starts the others.
    """

    def __init__(self, name: str, inbox: CommandQueue, rank: int = 0) -> None:
        self.rank = rank
        self.size = 1
        self._name = name
        self._inbox = inbox
        self._device: torch.device | None = None
        self._followers: Followers | None = None

    @property
    def are_several(self) -> bool:
        """Return whether this process measures together with others."""
        return self.size > 1

    def enlist(self, command: commands.WorkerCommand) -> None:
        """Bring the ranks that `command` needs to begin it, too; the first time they are started.

        Raises `RejectedError` for ranks that cannot be had.
        """
        if isinstance(command, _KEPT):
            return
        cells = _list_cells(command)
        size = max([cell.ranks for cell in cells], default=1)
        if size == 1 and not self.are_several:
            return
        if not self.are_several:
            self._gather(next(cell for cell in cells if cell.ranks == size), size, command)
            return
        if any(cell.ranks not in (1, self.size) for cell in cells):
            raise RejectedError(f"{self.size} ranks cannot be {size} as well", "a run for each")
        if self._followers is not None:
            self._followers.send(command)

    def _gather(self, cell: Cell, size: int, command: commands.WorkerCommand) -> None:
        from txtop.worker.ranks import process_group

        if refusal := explain_missing_parallel(cell, find_accelerator(cell.device)):
            raise RejectedError(*refusal)
        if any(other.ranks not in (1, size) for other in _list_cells(command)):
            raise RejectedError("the outputs of different numbers of ranks are not compared")
        self.size = size
        self._inbox.is_held = True
        listener = None
        if not self.rank:
            listener = process_group.listen()
            named = process_group.build_environment(size, listener)
            self._followers = Followers(self._name, size, named)
            self._followers.send(command)
            os.environ |= {**named, "RANK": "0", "LOCAL_RANK": "0"}
        self._device = process_group.join(cell, self.rank, size, listener)

    @contextmanager
    def step(self, command: commands.Iterate) -> Iterator[None]:
        """Run one iteration with the others: all begin it together, and none leaves it early."""
        if not self.are_several:
            yield
            return
        from txtop.worker.ranks import process_group

        if self._followers is not None:
            self._followers.send(command)
        process_group.meet()
        yield

    def add_up(self, count: int | None) -> int | None:
        """Return the sum of `count` over all ranks; each has one, or none has."""
        if not self.are_several or count is None or self._device is None:
            return count
        from txtop.worker.ranks import process_group

        return process_group.add_up(count, self._device)

    def collect_memory(self) -> list[events.PartMemory]:
        """Return the peaks of the other ranks, once each has finished the cell."""
        if self._followers is None:
            return []
        return [
            events.PartMemory(
                host_bytes=event.host_bytes,
                allocated_bytes=event.allocated_bytes,
                reserved_bytes=event.reserved_bytes,
                device_bytes=event.device_bytes,
            )
            for event in self._followers.collect_memory()
        ]

    def explain(self, own: Failure) -> Failure:
        """Return what another rank failed of, if that is why this one did, else its `own` failure.

        All fail alike of what they all lack, and rank 0 then speaks for itself.
        """
        other = None if self._followers is None else self._followers.find_trouble(GRACE_S)
        return own if other is None or other.reason.endswith(f": {own.reason}") else other


def _list_cells(command: commands.WorkerCommand) -> list[Cell]:
    named = [getattr(command, name, None) for name in ("cell", "reference")]
    return [cell for cell in named if isinstance(cell, Cell)]
