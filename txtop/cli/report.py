"""`txtop report`: a session as one HTML file."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Annotated

from cyclopts import Parameter

from txtop.cli.common import SessionArgument, SessionDirOption
from txtop.errors import TxtopError


def report(
    session: SessionArgument,
    *,
    output: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True, help="a file; - is standard output; default NAME.html"
        ),
    ] = None,
    session_dir: SessionDirOption = None,
) -> int:
    """Write a session as one HTML file that plays it; of a fleet, one that compares machines."""
    if find_spec("matplotlib") is None:
        raise TxtopError("a report draws with matplotlib", "pip install 'txtop[report]'")
    from txtop.analysis.metrics import FinalMetrics
    from txtop.cli.output import check_output, write_output
    from txtop.cli.session_args import load_named_session, load_sessions
    from txtop.export.html.page import render_page
    from txtop.fleet.folder import find_fleet
    from txtop.session.catalog import get_session_id, resolve_session

    if folder := find_fleet(session, session_dir):
        from txtop.export.html.fleet_page import render_fleet_page

        target = output or f"{folder.name}.html"
        check_output(target)
        body = render_fleet_page(load_sessions(session, session_dir), folder.name)
        write_output(target, body)
        return _name_report(target)
    name = get_session_id(resolve_session(session, session_dir))
    target = output or f"{name}.html"
    check_output(target)
    write_output(
        target, render_page(load_named_session(session, session_dir), FinalMetrics(), name)
    )
    return _name_report(target)


def _name_report(target: str) -> int:
    if target != "-":
        print(f"txtop: the report is in {target}", file=sys.stderr)
    return 0
