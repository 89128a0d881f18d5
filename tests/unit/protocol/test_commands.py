"""Commands to the worker as lines."""

from __future__ import annotations

from txtop.plan.cell import Cell
from txtop.protocol import commands


def test_the_order_of_a_cell_survives_the_pipe() -> None:
    order = commands.LoadModel(cell=Cell(id="c1", model="gpt2"), started_ns=1, seed=2)
    assert commands.decode_command(commands.encode_command(order)) == order
