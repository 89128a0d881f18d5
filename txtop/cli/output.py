"""The output of a command: to a file, or to standard output."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from txtop.errors import RunError, UsageError


def check_output(target: str) -> None:
    """Raise `UsageError` if `target` cannot be written: before a run, not at its end."""
    if target == "-":
        return
    path = Path(target)
    try:
        if path.is_dir() or not path.parent.is_dir():
            raise UsageError(f"cannot write {target[:200]}", "name a file in a folder that exists")
        may_write = os.access(path if path.exists() else path.parent, os.W_OK)
    except (OSError, ValueError):
        raise UsageError(f"cannot write {target[:200]!a}", "it is not the name of a file") from None
    if not may_write:
        raise UsageError(
            f"cannot write {target[:200]} (permission denied)", "name a file in a folder of yours"
        )


def write_output(target: str, body: bytes) -> None:
    """Write to a file, or to standard output for `-`.

    Raises `UsageError` if the target cannot be written at all, `RunError` if writing fails.
    """
    if target == "-":
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()
        return
    check_output(target)
    try:
        Path(target).write_bytes(body)
    except OSError as error:
        raise RunError(
            f"cannot write {target[:200]} ({error.strerror})", "free some space, or name another"
        ) from None
