"""The kinds of failure that the worker reports: out of memory, failed, or rejected."""

from __future__ import annotations

import re
from typing import NamedTuple

from txtop.errors import TxtopError
from txtop.protocol.events import CellStatus
from txtop.sanitise import sanitise

EXIT_DEVICE_LOST = 70
"""The exit code of a worker whose CUDA context is lost."""

_UNITS = {"bytes": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}
_WANTED = re.compile(r"to allocate ([\d.]+) *([KMGT]iB|bytes)", re.IGNORECASE)
_DEVICE_ERROR = re.compile(r"CUDA (driver )?error|CUBLAS_STATUS|CUDNN_STATUS|device-side assert")
# Python, CUDA, and the allocators of the CPU, which raise a plain RuntimeError, each have their
# own wording.
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")


class RejectedError(TxtopError):
    """The command asks for a model or a configuration that cannot be measured here."""


class Failure(NamedTuple):
    """The fields of `cell_finished`; `sticky` if this process must not be used again."""

    status: CellStatus
    reason: str
    hint: str
    wanted_bytes: int | None
    sticky: bool


def _one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else ""
    name = type(error).__name__
    return sanitise(f"{name}: {text}" if text else name, 400)


def classify(error: BaseException) -> Failure:
    """Return `error` as a failure, with out of memory (Python, CUDA, CPU) told from the rest."""
    text = str(error)
    if isinstance(error, MemoryError) or any(sign in text for sign in _OUT_OF_MEMORY):
        match = _WANTED.search(text)
        wanted_bytes = int(float(match[1]) * _UNITS[match[2].lower()]) if match else None
        hint = "a smaller batch, a shorter sequence, or a lower precision"
        where = "the device" if "CUDA" in text else "the host"
        return Failure("oom", f"out of memory on {where}", hint, wanted_bytes, sticky=False)
    hint = "its last 40 lines are in the session"
    if isinstance(error, TxtopError):
        return Failure("failed", sanitise(error.cause, 400), error.hint, None, sticky=False)
    sticky = type(error).__name__ == "AcceleratorError" or bool(_DEVICE_ERROR.search(text))
    return Failure("failed", _one_line(error), hint, None, sticky=sticky)
