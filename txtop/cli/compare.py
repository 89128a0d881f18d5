"""`txtop compare`: regressions between two sessions, or two sets of sessions."""

from __future__ import annotations

import sys
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
    from txtop.options.parsing import parse_percentage
    from txtop.options.tasks import parse_allowed_loss

    margin = parse_percentage("--max-regression", max_regression)
    least = None if min_accuracy is None else parse_allowed_loss("--min-accuracy", min_accuracy)
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
