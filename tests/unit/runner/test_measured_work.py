"""A worker that has no answer about a measured cell always leaves a reason."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.runner.measured_work import ask_about
from txtop.runner.worker_client import CellEnded


@pytest.mark.parametrize(
    ("ended", "skip", "reason"),
    [
        (None, False, ""),
        (CellEnded("failed"), False, "failed"),
        (CellEnded("timeout", reason="nothing for 60 s"), False, "nothing for 60 s"),
        (CellEnded("skipped", "skip"), True, "skipped"),
    ],
)
def test_what_has_no_answer_has_a_reason(ended: CellEnded | None, skip: bool, reason: str) -> None:
    def ask(*_: Any, **__: Any) -> None:
        if ended is not None:
            raise ended

    client: Any = SimpleNamespace(
        plan=SimpleNamespace(timeout_s=None),
        control=SimpleNamespace(skip=skip),
        start_deadline=lambda timeout_s: None,
        wait_while_paused=lambda worker: None,
        ask=ask,
    )
    cell = Cell(id="c001", model="gpt2")
    command = commands.Explain(cell=cell, started_ns=0, seed=0)
    worker: Any = None
    assert ask_about(client, worker, command, cell, events.Explanation) == reason
