"""The engine ssh, for a machine that this user may log in to."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from txtop.errors import UsageError
from txtop.fleet.engines.engine import Engine


def _build(target: str, command: list[str]) -> list[str]:
    """Build an ssh command that asks nothing: nobody would answer, and eight might ask at once.

    A host that does not answer for 15 s is given up; the copy of its log then connects anew.
    """
    options = [
        "BatchMode=yes",
        "ConnectTimeout=10",
        "ServerAliveInterval=5",
        "ServerAliveCountMax=3",
    ]
    given = [part for option in options for part in ("-o", option)]
    # ssh joins what follows the host with spaces and hands it to a shell.
    return ["ssh", "-T", *given, *shlex.split(target), "--", shlex.join(command)]


def _check(target: str, parts: Sequence[str]) -> None:
    if not parts or parts[-1].startswith("-"):
        raise UsageError(f"--on ssh:{target[:60]} names no machine", "ssh:HOST")


SSH = Engine(_build, _check)
