"""NVTX ranges: they nest, they end with a call that is cut off, and none are made unasked."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import tiny_models
from support.inline_worker import run_inline
from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.worker.nvtx import NO_NVTX, NvtxRanges


class Recorder:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def range_push(self, msg: str) -> None:
        self.calls.append(msg)

    def range_pop(self) -> None:
        self.calls.append("pop")


def test_a_request_holds_its_prefill_and_its_steps() -> None:
    library = Recorder()
    ranges = NvtxRanges(library)
    ranges.enter("request")
    ranges.enter("prefill")
    ranges.step()
    ranges.step()
    ranges.leave_all()
    assert library.calls == [
        "request", "prefill", "pop", "step", "pop", "step", "pop", "pop",
    ]  # fmt: skip
    assert library.calls.count("pop") * 2 == len(library.calls)


def test_without_a_library_nothing_is_done() -> None:
    ranges = NvtxRanges()
    ranges.enter("load")
    ranges.step()
    ranges.leave_all()


@pytest.mark.parametrize("asked", [True, False])
def test_who_asks_for_ranges_that_this_torch_lacks_is_told(
    asked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("txtop.worker.worker.open_library", lambda: None)
    cell = Cell(id="c1", model=str(tiny_models.gpt2(tmp_path / "m")), sequence_length=8)
    with run_inline(monkeypatch) as worker:
        worker.follow(commands.LoadModel(cell=cell, started_ns=0, seed=0, nvtx=asked))
        texts = [log.text for log in worker.of(events.Log)]
    assert (NO_NVTX in texts) is asked
