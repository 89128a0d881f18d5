"""Commands that overtake others."""

from __future__ import annotations

import pytest

from txtop.protocol import commands
from txtop.worker.command_queue import Cancelled, CommandQueue


def test_cancel_overtakes_the_iterations_of_its_cell() -> None:
    inbox = CommandQueue()
    inbox.check()
    inbox.accept(commands.Iterate(cell="c1", role="measured", index=0))
    inbox.accept(commands.Iterate(cell="c2", role="measured", index=0))
    inbox.accept(commands.Finish(cell="c1"))
    inbox.accept(commands.Cancel(cell="c1"))
    with pytest.raises(Cancelled):
        inbox.check()
    left = [inbox.get(0.1) for _ in range(3)]
    assert [type(order) for order in left] == [commands.Iterate, commands.Finish, commands.Cancel]
    inbox.check()
    assert inbox.get(0.01) is None
