"""The list of sessions, the details of the selected one, and its keys."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from txtop import formatting
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.scrolling import center_row
from txtop.ui.drawing.spans import Row, cut, fit, measure_text
from txtop.ui.models.session_list import SessionList
from txtop.ui.panels.base import ARM_ROLES

if TYPE_CHECKING:
    from txtop.ui.models.home import ListedSession

WHEN_WIDTH, CELLS_WIDTH, LEAD_WIDTH = 7, 8, 5
MIN_DETAIL_ROWS = 10
# The default name of a session, which is a time, and a space.
MIN_NAME_WIDTH = 14
MARKS = {
    "running": ("●", "accent-a", "running"),
    "done": ("✓", "ok", ""),
    "stopped": ("·", "muted", "stopped"),
    "failed": ("✗", "bad", "failed"),
    "cut off": ("✗", "bad", "cut off"),
    "unreadable": ("✗", "bad", "—"),
}
INCOMPLETE_MARK, EMPTY_MARK = ("▲", "warn", ""), ("✗", "bad", "")


def render_session_list(sessions: SessionList, typing: bool, now_s: float, area: Area) -> list[Row]:
    """Render the rows inside the frame; while `typing`, with room for the line in the first."""
    g = area.glyphs
    before = render_list_top(sessions, typing, g)
    after = (
        _render_detail(sessions.selected, area.width, g) if area.height >= MIN_DETAIL_ROWS else []
    )
    room = count_visible_sessions(sessions, typing, area.height, g)
    first = center_row(sessions.at, len(sessions.matching), room)
    rows = [*before]
    for i, item in enumerate(sessions.matching[first : first + room], start=first):
        place = sessions.marked.index(item.path) if item.path in sessions.marked else None
        rows.append(_render_line(item, i == sessions.at, place, now_s, area.width, g))
    if not sessions.matching:
        rows.append([("no matching session", "muted")])
    rows += [[] for _ in range(area.height - len(rows) - len(after))]
    return [*rows, *after]


def render_list_top(sessions: SessionList, typing: bool, g: Glyphs) -> list[Row]:
    """Render the rows above the list: a hint for newcomers, or the filter."""
    if typing:
        return [[("/ ", "accent-a")]]
    if sessions.words:
        return [[("/ ", "accent-a"), (sessions.words, "bold"), ("   esc shows all", "muted")]]
    if all(item.bundled for item in sessions.listed):
        return [
            [("no session yet: press ", "text"), ("r", "accent-a"), (" for the quick", "text")],
            [("preset, about a minute", "text")],
            [],
        ]
    return []


def count_visible_sessions(sessions: SessionList, typing: bool, height: int, g: Glyphs) -> int:
    """Return the count of sessions that fit."""
    detail = len(_render_detail(sessions.selected, 80, g)) if height >= MIN_DETAIL_ROWS else 0
    return max(1, height - len(render_list_top(sessions, typing, g)) - detail)


def _render_line(
    item: ListedSession, selected: bool, place: int | None, now_s: float, width: int, g: Glyphs
) -> Row:
    whole = item.stage != "done" or item.cells_ok == item.cells_total
    incomplete = INCOMPLETE_MARK if item.cells_ok else EMPTY_MARK
    sign, role, word = MARKS[item.stage] if whole else incomplete
    done = word or f"{item.cells_ok}/{item.cells_total}"
    when = "demo" if item.bundled else format_when(item.wall_s, now_s)
    room = max(0, width - CELLS_WIDTH - WHEN_WIDTH - LEAD_WIDTH)
    named = max(room * 3 // 5, min(room, MIN_NAME_WIDTH))
    return [
        (g("▸") if selected else " ", "accent-a"),
        (" ", "text") if place is None else ("AB"[place], f"{ARM_ROLES[place]}.bold"),
        (f" {g(sign)} ", role),
        (fit(when, WHEN_WIDTH), "muted"),
        (fit(item.label, named - 1, mark=g("…")) + " ", "bold" if selected else "text"),
        (fit(item.models, room - named - 1, mark=g("…")) + " ", "muted"),
        (fit(done, CELLS_WIDTH, "right"), role if word or not whole else "muted"),
    ]


def _render_detail(item: ListedSession | None, width: int, g: Glyphs) -> list[Row]:
    """Render the facts of the selected session and its keys."""
    if item is None:
        return []
    if item.stage == "unreadable":
        return [[], [(cut(g(f"cannot be read: {item.models}"), width, g("…")), "bad")]]
    what = f"{item.models} · {item.precisions}" if item.precisions else item.models
    facts = f"{item.cells_ok} of {item.cells_total} cells · {_format_date(item.wall_s)}"
    more = f" · {formatting.format_size(item.size_bytes)}"
    facts += more if measure_text(facts + more) <= width else ""
    return [
        [],
        [(cut(g(what), width, g("…")), "text.bold")],
        [(cut(g(facts), width, g("…")), "muted")],
        [("enter", "accent-a"), (f" {_describe_opening(item)}", "muted")],
    ]


def _describe_opening(item: ListedSession) -> str:
    if item.stage == "running":
        return "attach (the run continues in the background)"
    if item.resumable:
        return "replay what was recorded; R finishes the run"
    return "replay (bundled example)" if item.bundled else "replay"


def _format_date(wall_s: float) -> str:
    then = datetime.fromtimestamp(wall_s)
    return f"{then.day} {then:%b %Y, %H:%M}"


def format_when(wall_s: float, now_s: float) -> str:
    """Format a time: `14:02` today, `21 Nov` this year, `2025` before."""
    then, now = datetime.fromtimestamp(wall_s), datetime.fromtimestamp(now_s)
    if then.date() == now.date():
        return f"{then:%H:%M}"
    return f"{then.day} {then:%b}" if then.year == now.year else f"{then:%Y}"
