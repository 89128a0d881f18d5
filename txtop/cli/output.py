"""The output of a command: to a file, or to standard output."""

from __future__ import annotations

import sys
from pathlib import Path

from txtop.errors import RunError, UsageError


def check_output(target: str) -> None:
    """Raise `UsageError` if `target` cannot be written: before a run, not at its end."""
    if target == "-":
        return
    path = Path(target)
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"cannot write {target[:200]}", "name a file in a folder that exists")


def write_output(target: str, body: bytes) -> None:
    """Write to a file, or to standard output for `-`. Raises `RunError`."""
    if target == "-":
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()
        return
    try:
        Path(target).write_bytes(body)
    except OSError as error:
        raise RunError(f"cannot write {target[:200]} ({error.strerror})") from None
