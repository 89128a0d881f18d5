"""The results of a session, or of each place of a fleet, as plain text on standard output.

Apart from the command `show`, so that a plain `txtop show NAME` needs no argument parser.
"""

from __future__ import annotations

import sys
from pathlib import Path

from txtop.analysis.metrics import FinalMetrics
from txtop.cli.session_args import read_sessions, resolve_sessions
from txtop.export.text.fitting import get_width
from txtop.export.text.table import format_report
from txtop.session.catalog import get_session_id


def print_session(
    name: str, folder: Path | None = None, *, warmup: int | None = None, margin: float | None = None
) -> None:
    """Print the report of the session `name`, with a `margin` also ratios judged by it.

    Raises `SessionError`.
    """
    # Looked up once: the copy of another place may begin at any time.
    sessions = resolve_sessions(name, folder)
    names = [get_session_id(named.path) for named in sessions]
    states = read_sessions(sessions, warmup)
    width = get_width(sys.stdout)
    if len(states) > 1:
        from txtop.export.text.fleet import format_fleet

        print(*format_fleet(states, FinalMetrics(), width), "", sep="\n")
    for number, (own_name, state) in enumerate(zip(names, states.values(), strict=True)):
        print("\n" if number else "", end="")
        print(format_report(state, FinalMetrics(), own_name, width), end="")
        if margin is not None:
            from txtop.export.text.ratios import format_ratios

            print("", *format_ratios(state, margin, width), sep="\n")
