"""`txtop report`: a session as one HTML file."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from txtop.cli.common import SessionDir


def report(
    session: str,
    *,
    output: Annotated[
        str | None,
        Parameter(allow_leading_hyphen=True, help="a file; NAME.html unless given; - is stdout"),
    ] = None,
    session_dir: SessionDir = None,
) -> int:
    """Write a session as one HTML file with plots, without script and without network."""
    from txtop.analysis.metrics import FinalMetrics
    from txtop.cli.output import check_out, write_out
    from txtop.cli.session_args import recorded
    from txtop.export.html.page import page
    from txtop.session.catalog import resolve, session_id

    name = session_id(resolve(session, session_dir))
    target = output or f"{name}.html"
    check_out(target)
    write_out(target, page(recorded(session, session_dir), FinalMetrics(), name))
    if target != "-":
        print(f"txtop: {target}", file=sys.stderr)
    return 0
