"""NVTX ranges: they nest, they end with a call that is cut off, and none are made unasked."""

from __future__ import annotations

from txtop.worker.nvtx import NvtxRanges


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
