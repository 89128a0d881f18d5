"""The engine exec: a command that runs the one behind it, as `kubectl exec -i POD --` does."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from txtop.errors import UsageError
from txtop.fleet.engines.engine import Engine


def _build(target: str, command: list[str]) -> list[str]:
    return [*shlex.split(target), *command]


def _check(target: str, parts: Sequence[str]) -> None:
    if not parts:
        raise UsageError("--on exec: names no machine", "exec:COMMAND")


EXEC = Engine(_build, _check)
