"""`txtop compare`: regressions between two sessions, or two sets of sessions."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from txtop.cli.common import SessionDirOption
from txtop.errors import UsageError


def compare(
    a: Annotated[str | None, Parameter(help="the session to compare with")] = None,
    b: Annotated[str | None, Parameter(help="the session that may be slower")] = None,
    /,
    *,
    base: Annotated[list[str] | None, Parameter(help="sessions to compare with")] = None,
    new: Annotated[list[str] | None, Parameter(help="sessions that may be slower")] = None,
    across: Annotated[
        Literal["hardware"] | None,
        Parameter(help="the same cells on other machines, against the first; default for a fleet"),
    ] = None,
    max_regression: Annotated[
        str, Parameter(help="what counts as no slower, as 1% or 0.01; default 3%")
    ] = "3%",
    min_accuracy: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True,
            metavar="POINTS",
            help="loss of accuracy in a task that is allowed, as -1pt; default: no gate",
        ),
    ] = None,
    format: Annotated[
        Literal["text", "md", "json"], Parameter(help="format of the output; default text")
    ] = "text",
    output: Annotated[
        str, Parameter(allow_leading_hyphen=True, help="a file; default -, standard output")
    ] = "-",
    session_dir: SessionDirOption = None,
) -> int:
    """Decide whether a session is slower, or less accurate: exit 1 if so, 3 if undecided."""
    from txtop.fleet.folder import find_fleet
    from txtop.options.parsing import parse_percentage
    from txtop.options.tasks import parse_allowed_loss

    margin = parse_percentage("--max-regression", max_regression)
    least = None if min_accuracy is None else parse_allowed_loss("--min-accuracy", min_accuracy)
    is_fleet = a is not None and b is None and find_fleet(a, session_dir) is not None
    if a is not None and not base and not new and (is_fleet or across):
        if least is not None:
            raise UsageError(
                "--min-accuracy judges two sessions of one kind of machine", "leave it out"
            )
        return _compare_hardware([a, *([b] if b else [])], margin, format, output, session_dir)
    if across:
        raise UsageError("--across takes a fleet, or two sessions", "txtop compare FLEET")
    if a is not None and (base or new):
        raise UsageError("compare takes two sessions, or --base and --new, not both")
    before, after = (base or [], new or []) if a is None else ([a], [b] if b is not None else [])
    if not before or not after:
        raise UsageError("compare needs two sessions", "txtop compare A B, or --base A --new B")
    for side in (before, after):
        if len(set(side)) < len(side):
            raise UsageError("a session is named twice on one side", "name each once")
    from txtop.analysis.compare import compare_sessions
    from txtop.cli.output import check_output, write_output
    from txtop.cli.session_args import load_named_session
    from txtop.export.comparison import WRITERS, render_text
    from txtop.export.text.fitting import get_width

    check_output(output)
    sides = [[load_named_session(name, session_dir) for name in side] for side in (before, after)]
    comparison = compare_sessions(sides[0], sides[1], margin, least)
    if format == "text":
        body = render_text(comparison, get_width(sys.stdout) if output == "-" else None)
    else:
        body = WRITERS[format](comparison)
    write_output(output, body.encode())
    return comparison.exit_code


def _compare_hardware(
    names: list[str], margin: float, format: str, output: str, session_dir: Path | None
) -> int:
    """Compare the machines of a fleet or of two sessions: exit 3 if no cell can be compared.

    Raises `UsageError` if there is only one kind of machine.
    """
    from txtop.analysis.hardware import compare_hardware, group_by_kind, has_comparison
    from txtop.cli.output import check_output, write_output
    from txtop.cli.session_args import load_sessions, resolve_sessions
    from txtop.export.hardware import WRITERS
    from txtop.export.text.fitting import get_width
    from txtop.export.text.hardware import render_text
    from txtop.fleet.folder import find_fleet

    check_output(output)
    states = {
        (f"{name}/{place}" if len(names) > 1 else place) if place else name: state
        for name in names
        for place, state in load_sessions(name, session_dir).items()
    }
    if len(states) < 2:
        fleet = find_fleet(names[0], session_dir)
        cause = "compare needs two sessions or a fleet"
        if fleet is not None:
            cause = f"{fleet.name} has results of one place alone: {next(iter(states))}"
        raise UsageError(cause, "txtop compare A B, or --base A --new B")
    sides = group_by_kind(states)
    if len(sides) < 2:
        sessions = [one.path.name for name in names for one in resolve_sessions(name, session_dir)]
        raise UsageError(
            f"{next(iter(sides))} are machines of one kind",
            f"txtop compare {shlex.join(sessions[:2])} compares two sessions of such machines",
        )
    rows = compare_hardware(sides, margin)
    if format == "text":
        body = render_text(rows, get_width(sys.stdout) if output == "-" else None)
    else:
        body = WRITERS[format](rows)
    write_output(output, body.encode())
    return 0 if has_comparison(rows) else 3
