"""The kinds of failure that the worker reports: out of memory, failed, or rejected."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from typing import NamedTuple

from txtop.errors import TxtopError
from txtop.protocol.events import CellStatus
from txtop.sanitise import sanitise
from txtop.system import free_memory, process_limits

EXIT_DEVICE_LOST = 70
"""The exit code of a worker whose CUDA context is lost."""

EXIT_RANK_LOST = 71
"""The exit code of a rank 0 that could not report that another rank was lost."""

_UNITS = {"bytes": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}
_WANTED = re.compile(
    r"(?:to allocate|Memory footprint) ([\d.]+)(?: *([KMGT]iB|bytes))?", re.IGNORECASE
)
_DEVICE_ERROR = re.compile(r"CUDA (driver )?error|CUBLAS_STATUS|CUDNN_STATUS|device-side assert")
# Python, CUDA, and the allocators of the CPU, which raise a plain RuntimeError, each have their
# own wording. The libraries of CUDA allocate the memory of their handles themselves.
_OUT_OF_MEMORY = re.compile(
    r"can't allocate memory|not enough memory|out of memory|bad_alloc"
    r"|CU[A-Z]+_STATUS_(?:[A-Z_]*_)?ALLOC(?:ATION)?_FAILED"
)
# oneDNN: of memory that it could not have among others. What it does not support is a descriptor.
_NO_PRIMITIVE = re.compile(
    r"could not (?:create|execute) a (?:primitive|memory object)(?! descriptor)"
)
_OF_A_DEVICE = re.compile(r"CUDA|CUBLAS|CUDNN|HIP|XPU|MPS")
# The MemoryError of continuous batching, raised on any device for a cache that is too large.
_CACHE = "Memory footprint"
# cudaErrorDevicesUnavailable: another process has the only context that the compute mode allows.
_BUSY = "busy or unavailable"
# torch._int_mm; a decode step has one row a sequence, and so has a pooler.
_FEW_ROWS = "needs to be greater than 16"
# Words of the libraries that name neither cause nor next step.
_LIBRARY_TEXTS = (
    (
        re.compile(r"Padding_idx must be within num_embeddings"),
        "pad_token_id in config.json is outside the vocabulary",
        "set it below vocab_size, or remove it",
    ),
    (
        re.compile(r"SafetensorError|deserializing header"),
        "a file of its weights is damaged",
        "download the model again",
    ),
    (
        re.compile(r"[Ee]rror no file named"),
        "the directory holds no weights in a format that Transformers reads",
        "the model they were made of, or --weights random",
    ),
    (
        re.compile(r"HFValidationError|in repo_id|Repo id must"),
        "that is not the name of a repository of the Hub",
        "OWNER/NAME, as google-bert/bert-base-uncased, or a path that begins with ./",
    ),
)
# By the name of the package, where the distribution that has it is called something else.
_DISTRIBUTIONS = {
    "PIL": "pillow",
    "cv2": "opencv-python",
    "google": "protobuf",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
# Phases in which no input of the cell is in memory yet.
_MODEL_PHASES = ("config", "weights", "convert", "to_device", "first_forward")


class RejectedError(TxtopError):
    """The command asks for a model or a configuration that cannot be measured here."""


class AbsentError(RejectedError):
    """The model, a part of it, or its device is not here now; a later try may succeed."""


class Failure(NamedTuple):
    """The fields of `cell_finished`.

    `sticky` if this process must not be used again, `busy` if another one has the device for
    itself.
    """

    status: CellStatus
    reason: str
    hint: str
    wanted_bytes: int | None
    sticky: bool
    busy: bool = False


def format_first_line(error: BaseException) -> str:
    """Return the first line of the text of `error`, "" if it has none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return sanitise(lines[0], 400) if lines else ""


def _one_line(error: BaseException) -> str:
    text, name = format_first_line(error), type(error).__name__
    return sanitise(f"{name}: {text}" if text else name, 400)


def _find_missing_package(error: BaseException) -> str:
    """Return the package whose absence `error` is; "" for another error, and for a part of one."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    package = (name or "").partition(".")[0]
    return package if package and find_spec(package) is None else ""


def _is_memory_short() -> bool:
    """Return whether memory may be refused: by a limit of this process, or for want of it."""
    return process_limits.limits_memory() or free_memory.read_free_bytes() <= 1


def classify(error: BaseException, phase: str = "", device: str = "cpu") -> Failure:
    """Return `error` as a failure, with out of memory (Python, CUDA, CPU) told from the rest.

    `phase` is the worker's when it happened, and `device` the type of the device of its model.
    """
    text = str(error)
    is_refused = _NO_PRIMITIVE.search(text) and _is_memory_short()
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(text) or is_refused:
        match = _WANTED.search(text)
        wanted_bytes = None
        if match:
            wanted_bytes = int(float(match[1]) * _UNITS[(match[2] or "bytes").lower()])
        hint = "a smaller batch, a shorter sequence, or a lower precision"
        if phase in _MODEL_PHASES:
            hint = "a smaller model, a lower precision, or more memory: its weights do not fit"
        on_device = _OF_A_DEVICE.search(text) or (_CACHE in text and device != "cpu")
        where = "the device" if on_device else "the host"
        return Failure("oom", f"out of memory on {where}", hint, wanted_bytes, sticky=False)
    if _BUSY in text:
        return Failure(
            "failed",
            "the GPU is busy or unavailable: another process may have it for itself",
            "end that process, or `nvidia-smi -q -d COMPUTE`: Exclusive_Process admits one",
            None,
            sticky=True,
            busy=True,
        )
    if _FEW_ROWS in text:
        return Failure(
            "failed",
            "int8:dynamic on a GPU: its products need more than 16 rows, and this cell has fewer",
            "a batch of 17 or more, or int8:weight-only",
            None,
            sticky=False,
        )
    if isinstance(error, TxtopError):
        return Failure("failed", sanitise(error.cause, 400), error.hint, None, sticky=False)
    for pattern, reason, next_step in _LIBRARY_TEXTS:
        if pattern.search(f"{type(error).__name__}: {text}"):
            return Failure("failed", reason, next_step, None, sticky=False)
    if isinstance(error, PermissionError) and error.filename is not None:
        reason = sanitise(f"{os.fsdecode(error.filename)} cannot be read ({error.strerror})", 400)
        next_step = "give this user leave to read it, or name a copy"
        return Failure("failed", reason, next_step, None, sticky=False)
    # Transformers says that it could not import its own module, and has the reason behind that.
    while isinstance(error, ImportError) and error.__cause__ is not None:
        error = error.__cause__
    if package := sanitise(_find_missing_package(error), 100):
        install = f"pip install {_DISTRIBUTIONS.get(package, package)}"
        reason = f"it needs the Python package {package}, which is not installed"
        return Failure("failed", reason, install, None, sticky=False)
    hint = "its last 40 lines are in the session"
    sticky = type(error).__name__ == "AcceleratorError" or bool(_DEVICE_ERROR.search(text))
    return Failure("failed", _one_line(error), hint, None, sticky=sticky)
