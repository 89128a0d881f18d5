"""What happened, newest first."""

from __future__ import annotations

from collections.abc import Sequence

from txtop.ui.glyphs import Glyphs
from txtop.ui.view import LogRow
from txtop.ui.widgets.frame import framed, inside
from txtop.ui.widgets.rows import Row, cells, clean, fit

ROLES = {"info": "text", "warning": "warn", "error": "bad"}
MOST_WHO = 28


def log_lines(
    lines: Sequence[LogRow],
    width: int,
    height: int,
    g: Glyphs,
    *,
    boxed: bool,
    focused: bool = False,
    skip: int = 0,
) -> list[Row]:
    """The panel with its frame; `skip` newest lines are left out, to read what lies before."""
    across, down = inside(width, height, boxed)
    skip = max(0, min(skip, len(lines) - down))
    shown = lines[skip : skip + max(0, down)]
    when = max((len(line.at) for line in shown), default=5)
    longest = max((cells(clean(line.who)) for line in shown), default=0)
    who = min(longest, MOST_WHO, max(0, across // 3))
    body: list[Row] = []
    for line in shown:
        row: Row = [(f"{line.at:>{when}}  ", "muted")]
        if who:
            row.append((fit(line.who, who, mark=g("…")) + "  ", "muted"))
        room = max(0, across - when - 2 - (who + 2 if who else 0))
        row.append((fit(line.text, room, mark=g("…")), ROLES.get(line.level, "text")))
        body.append(row)
    above: Row = [(f"{skip} newer", "muted")] if skip else []
    return framed("log", above, body, width, height, g, boxed=boxed, focused=focused)
