"""What happened, newest first."""

from __future__ import annotations

from collections.abc import Sequence

from txtop.ui.drawing.frame import compute_inner_size, draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, fit, measure_text
from txtop.ui.models.view import LogRow
from txtop.ui.panels.narrowing import TextFilter

ROLES = {"info": "text", "warning": "warn", "error": "bad"}
# What is left out from below: nothing, all but warnings and errors, all but errors.
SEVERITIES = ("", "warnings", "errors")
MAX_CELL_WIDTH = 28


def filter_log(lines: Sequence[LogRow], words: TextFilter, least: str = "") -> list[LogRow]:
    """The lines that have all words, and are as bad as asked for."""
    if not words.text and not least:
        return list(lines)
    levels = tuple(ROLES)[SEVERITIES.index(least) :]
    return [
        line for line in lines if line.level in levels and words.matches(f"{line.who} {line.text}")
    ]


def render_log(
    lines: Sequence[LogRow],
    width: int,
    height: int,
    g: Glyphs,
    *,
    boxed: bool,
    focused: bool = False,
    skip: int = 0,
    every: int | None = None,
    least: str = "",
    title: str = "log",
) -> list[Row]:
    """The panel with its frame; `skip` newest lines are left out, to read what lies before.
    `every` counts all lines where `lines` are some of them."""
    across, down = compute_inner_size(width, height, boxed)
    skip = max(0, min(skip, len(lines) - down))
    shown = lines[skip : skip + max(0, down)]
    when = max((len(line.at) for line in shown), default=5)
    longest = max((measure_text(clean(line.who)) for line in shown), default=0)
    who = min(longest, MAX_CELL_WIDTH, max(0, across // 3))
    body: list[Row] = []
    for line in shown:
        row: Row = [(f"{line.at:>{when}}  ", "muted")]
        if who:
            row.append((fit(line.who, who, mark=g("…")) + "  ", "muted"))
        room = max(0, across - when - 2 - (who + 2 if who else 0))
        row.append((fit(line.text, room, mark=g("…")), ROLES.get(line.level, "text")))
        body.append(row)
    if every and not lines:
        body.append([("no line like that", "muted")])
    said = [f"{skip} newer"] if skip else []
    said += [f"{len(lines)} of {every} lines"] if every is not None and len(lines) < every else []
    above: Row = [("   ".join([*said, *([f"{least} alone"] if least else [])]), "muted")]
    return draw_frame(
        title, above if above[0][0] else [], body, width, height, g, boxed=boxed, focused=focused
    )
