"""The size of the live terminal, which goes before what the environment says of one."""

from __future__ import annotations

import os

# Exported by a shell, or given to `docker exec`, they are those of another terminal or moment.
STALE_VARIABLES = ("COLUMNS", "LINES")


def read_terminal_size(fd: int = 1) -> tuple[int, int]:
    """Return columns and lines of the terminal at `fd`; the environment's where it tells none."""
    # Imported here: it takes as long as all else that `--version` does.
    import shutil

    told = shutil.get_terminal_size((80, 25))
    return _read_live_size(fd) or (told.columns, told.lines)


def forget_stale_size() -> None:
    """Remove the size from the environment, which libraries read first, if the terminal at
    standard output tells its own.
    """
    if _read_live_size(1) is not None:
        for name in STALE_VARIABLES:
            os.environ.pop(name, None)


def _read_live_size(fd: int) -> tuple[int, int] | None:
    try:
        columns, lines = os.get_terminal_size(fd)
    except (OSError, ValueError):
        return None
    return (columns, lines) if columns > 0 and lines > 0 else None
