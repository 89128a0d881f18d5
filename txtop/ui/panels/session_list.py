"""The list of sessions: which there are, what the selected one is, and what its keys do."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from txtop import formatting
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, cells, cut, fit
from txtop.ui.models.session_list import SessionList
from txtop.ui.typed import Typed

if TYPE_CHECKING:
    from txtop.ui.models.home import Listed

WHEN, CELLS, LEAD = 7, 8, 5
ROOM_FOR_DETAIL = 10
# Of a session that was named by the time, and a space.
OWN_NAME = 14
LETTERS = (("A", "accent-a.bold"), ("B", "accent-b.bold"))
MARKS = {
    "running": ("●", "accent-a", "running"),
    "done": ("✓", "ok", ""),
    "stopped": ("·", "muted", "stopped"),
    "failed": ("✗", "bad", "failed"),
    "cut off": ("✗", "bad", "cut off"),
}
INCOMPLETE = ("▲", "warn", "")


def sessions(
    shown: SessionList, typed: Typed | None, now_s: float, width: int, height: int, g: Glyphs
) -> list[Row]:
    """What stands inside the frame."""
    before = above(shown, typed, g)
    after = _detail(shown.selected, width, g) if height >= ROOM_FOR_DETAIL else []
    room = room_for_lines(shown, typed, height, g)
    first = first_line(shown, room)
    rows = [*before]
    for i, item in enumerate(shown.shown[first : first + room], start=first):
        letter = shown.marked.index(item.path) if item.path in shown.marked else None
        rows.append(_line(item, i == shown.at, letter, now_s, width, g))
    if not shown.shown:
        rows.append([("no session has these words", "muted")])
    rows += [[] for _ in range(height - len(rows) - len(after))]
    return [*rows, *after]


def above(shown: SessionList, typed: Typed | None, g: Glyphs) -> list[Row]:
    """What stands over the lines: a word to a newcomer, or what is looked for."""
    if typed is not None:
        return [typed.row("/ ", "words of a name, a model, a precision")]
    if shown.words:
        return [[("/ ", "accent-a"), (shown.words, "bold"), ("   esc shows all", "muted")]]
    if all(item.bundled for item in shown.listed):
        return [
            [("no session yet: press ", "text"), ("r", "accent-a"), (" for the quick", "text")],
            [("preset, about a minute", "text")],
            [],
        ]
    return []


def room_for_lines(shown: SessionList, typed: Typed | None, height: int, g: Glyphs) -> int:
    """How many sessions there is room for."""
    detail = len(_detail(shown.selected, 80, g)) if height >= ROOM_FOR_DETAIL else 0
    return max(1, height - len(above(shown, typed, g)) - detail)


def first_line(shown: SessionList, room: int) -> int:
    """The first session on show, so that the selected one is."""
    return max(0, min(shown.at - room // 2, len(shown.shown) - room))


def _line(
    item: Listed, selected: bool, letter: int | None, now_s: float, width: int, g: Glyphs
) -> Row:
    whole = item.stage != "done" or item.cells_ok == item.cells_total
    sign, role, word = MARKS[item.stage] if whole else INCOMPLETE
    done = word or f"{item.cells_ok}/{item.cells_total}"
    said = "demo" if item.bundled else when(item.wall_s, now_s)
    room = max(0, width - CELLS - WHEN - LEAD)
    named = max(room * 3 // 5, min(room, OWN_NAME))
    return [
        (g("▸") if selected else " ", "accent-a"),
        LETTERS[letter] if letter is not None else (" ", "text"),
        (f" {g(sign)} ", role),
        (fit(said, WHEN), "muted"),
        (fit(item.label, named - 1, mark=g("…")) + " ", "bold" if selected else "text"),
        (fit(item.models, room - named - 1, mark=g("…")) + " ", "muted"),
        (fit(done, CELLS, "right"), role if word or not whole else "muted"),
    ]


def _detail(item: Listed | None, width: int, g: Glyphs) -> list[Row]:
    """The selected session in words, and what can be done with it."""
    if item is None:
        return []
    what = f"{item.models} · {item.precisions}" if item.precisions else item.models
    facts = f"{item.cells_ok} of {item.cells_total} cells · {_date(item.wall_s)}"
    more = f" · {formatting.size(item.size_bytes)}"
    facts += more if cells(facts + more) <= width else ""
    return [
        [],
        [(cut(g(what), width, g("…")), "text.bold")],
        [(cut(g(facts), width, g("…")), "muted")],
        [("enter", "accent-a"), (f" {_opens(item)}", "muted")],
    ]


def _opens(item: Listed) -> str:
    if item.stage == "running":
        return "shows it live: a run goes on without its screen"
    if item.resumable:
        return "plays what there is, R measures the rest"
    return "plays it; it came with txtop" if item.bundled else "plays it"


def _date(wall_s: float) -> str:
    then = datetime.fromtimestamp(wall_s)
    return f"{then.day} {then:%b %Y, %H:%M}"


def when(wall_s: float, now_s: float) -> str:
    """`14:02` today, `21 Nov` this year, `2025` before."""
    then, now = datetime.fromtimestamp(wall_s), datetime.fromtimestamp(now_s)
    if then.date() == now.date():
        return f"{then:%H:%M}"
    return f"{then.day} {then:%b}" if then.year == now.year else f"{then:%Y}"
