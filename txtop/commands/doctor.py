"""`txtop doctor` and `selftest`: what this machine can measure, and what txtop costs it."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from txtop.commands.options import SessionDir
from txtop.errors import UsageError


def doctor(
    *,
    json_lines: Annotated[bool, Parameter(name="--json", help="for programs")] = False,
    session_dir: SessionDir = None,
) -> int:
    """What this machine can measure, and why not the rest, one line each."""
    from txtop.doctor import examine, lines

    found = examine(session_dir)
    if json_lines:
        import json

        print(json.dumps({"capabilities": found}, indent=2))
    else:
        print("\n".join(lines(found)))
    return 0


def selftest(
    *, overhead: Annotated[bool, Parameter(help="the same work bare and under the screen")] = False
) -> int:
    """The tool's own effect on the numbers."""
    if not overhead:
        raise UsageError("selftest needs a check", "--overhead")
    from txtop.selftest.overhead import run as run_overhead

    return run_overhead(say=lambda line: print(line, flush=True)).exit_code
