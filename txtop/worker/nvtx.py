"""NVTX ranges around load, request, prefill and steps, for those who bring their own profiler.

Apart so that a test can put a recorder in the place of torch's functions. Off unless asked for.
"""

from __future__ import annotations

from typing import Protocol

NO_NVTX = "--nvtx marks nothing: this build of torch has no NVTX, which comes with CUDA"


class RangeLibrary(Protocol):
    """The functions of `torch.cuda.nvtx` that are used."""

    def range_push(self, msg: str) -> object: ...

    def range_pop(self) -> object: ...


class NvtxRanges:
    """The ranges that are open, innermost last; without a `library` nothing is done."""

    def __init__(self, library: RangeLibrary | None = None) -> None:
        self._library = library
        self._open: list[str] = []

    def enter(self, name: str) -> None:
        """Open a range."""
        if self._library is not None:
            self._library.range_push(name)
            self._open.append(name)

    def leave(self) -> None:
        """Close the innermost range."""
        if self._library is not None and self._open:
            self._library.range_pop()
            self._open.pop()

    def leave_all(self) -> None:
        """Close what an end before its time left open."""
        while self._open:
            self.leave()

    def step(self) -> None:
        """End the prefill, or a step, and begin the next step."""
        self.leave()
        self.enter("step")


def open_library() -> RangeLibrary | None:
    """Return torch's functions; None where its build has none, as one for a CPU."""
    import torch

    library: RangeLibrary = torch.cuda.nvtx
    try:
        library.range_push("txtop")
        library.range_pop()
    except RuntimeError:
        return None
    return library
