"""The warm-up of a server: batch after batch, as far as half a budget allows."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from support import streams
from txtop.plan.cell import Cell
from txtop.plan.serving import Serving
from txtop.protocol import commands, events
from txtop.protocol.events import AnyEvent
from txtop.runner import serving_cell
from txtop.runner.serving_cell import ServingRun
from txtop.state.cell import CellState

CELL = Cell(id="c001", model="gpt2", scenario="dynamic", serving=Serving(max_batch=4))


class SlowServer:
    """A worker and its client in one: each batch of requests takes `batch_s` on its own clock."""

    def __init__(self, batch_s: float, **rules: Any) -> None:
        self.plan = msgspec.structs.replace(streams.plan(), **rules)
        self.now_s = 0.0
        self.batches: list[int] = []
        self._batch_s = batch_s
        self._waiting: list[commands.Arrive] = []

    def send(self, command: commands.Arrive) -> None:
        self._waiting.append(command)

    def wait_for(
        self, _worker: object, cell: Cell, is_over: Callable[[AnyEvent | None], bool]
    ) -> None:
        self.now_s += self._batch_s
        self.batches.append(len(self._waiting))
        answers = [
            is_over(
                events.Request(
                    t_ns=0,
                    cell=cell.id,
                    index=command.index,
                    role="warmup",
                    arrival_ns=0,
                    sent_ns=0,
                    start_ns=0,
                    end_ns=1,
                    prompt_tokens=1,
                )
            )
            for command in self._waiting
        ]
        assert answers == [False] * (len(answers) - 1) + [True]
        self._waiting = []


@pytest.mark.parametrize(
    ("batch_s", "warmup", "batches"),
    [
        (0.1, None, [4, 4]),
        (14.9, None, [4, 4]),
        (15.0, None, [4]),
        (90.0, None, [4]),
        (0.1, 0, []),
        (0.1, 10, [4, 4, 2]),
        (8.0, 10, [4, 4]),
    ],
)
def test_no_batch_begins_after_half_a_budget(
    batch_s: float, warmup: int | None, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = SlowServer(batch_s, warmup=warmup, budget_s=30.0)
    clock = SimpleNamespace(monotonic=lambda: server.now_s)
    monkeypatch.setattr(serving_cell, "time", clock)
    run = ServingRun(server, CELL, CellState(CELL))  # type: ignore[arg-type]
    run._warm_up(server)  # type: ignore[arg-type]
    assert server.batches == batches
