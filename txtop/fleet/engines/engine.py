"""The interface of an engine, and the exit code of one whose place is gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from txtop.errors import SessionError

# A copy of a log gives up where its session is not there.
EXIT_LOST = SessionError.exit_code

Tell = Callable[[str], None]


def require_nothing(target: str, parts: Sequence[str]) -> None:
    """Accept any target."""


class Engine(NamedTuple):
    """Describes how a command line is run elsewhere, with standard input and output.

    `build(target, command)` is that command here, and `check(target, parts)` raises `UsageError`
    for a target that names no place. What a run needs held is asked for by `hold(targets, tell)`,
    which waits for it and returns the places it got for each target; `release(targets)` gives them
    back, and `list_held(targets)` returns those that are held still. `pin(wish, place)` is the wish
    for what a place had, on the same machine. `require()` raises `UsageError` if the engine is not
    installed here.
    """

    build: Callable[[str, list[str]], list[str]]
    check: Callable[[str, Sequence[str]], None] = require_nothing
    hold: Callable[[list[str], Tell], list[list[str]]] | None = None
    release: Callable[[list[str]], None] | None = None
    list_held: Callable[[list[str]], list[str]] | None = None
    pin: Callable[[str, str], str] | None = None
    require: Callable[[], None] | None = None
    is_counted: bool = False
    """True if several places of one wish may be asked for, as `slurm*4`."""
