"""The list of sessions, the details of the selected one, and its keys."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from txtop import formatting
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.scrolling import center_row
from txtop.ui.drawing.spans import Row, clean, cut, fit, measure_row, measure_text
from txtop.ui.models.session_list import SessionList
from txtop.ui.models.session_outcome import NO_OUTCOME
from txtop.ui.panels.base import ARM_ROLES
from txtop.ui.panels.session_outcome import (
    measure_outcome,
    render_outcome,
    render_outcome_cells,
)
from txtop.ui.panels.sign_legend import render_sign_legend

if TYPE_CHECKING:
    from txtop.ui.models.home import ListedSession

LEAD_WIDTH = 5
# The selected session has half of the rows, at most so many, and none in a very low list.
MIN_DETAIL_ROWS, MAX_DETAIL_ROWS = 10, 14
# The heading of a further one, its models and facts, a cell, and the blank row above.
MIN_OTHER_ROWS = 6
# The default name of a session, which is a time, and a space.
MIN_NAME_WIDTH = 14
TIME_NAME = re.compile(r"\d{6}-\d{6}(-\d+)?")
# A value with a badge in short, for which names of models are cut.
MIN_OUTCOME_WIDTH = 22
# From here on the models stand beside the name.
ROOMY_WIDTH = 46
# Less than that of names of models says nothing.
MIN_MODELS_WIDTH = 9
# A value with the words of a badge and the sign of a doubt.
WORDED_OUTCOME_WIDTH = 23
# `A/B` or `12/12` where no outcome was read yet.
MIN_VALUE_WIDTH = 10
MARKS = {
    "running": ("●", "accent-a", "running"),
    # Complete, which says nothing of its numbers: no colour.
    "done": ("✓", "muted", ""),
    "stopped": ("·", "muted", "stopped"),
    "failed": ("✗", "bad", "failed"),
    "cut off": ("✗", "bad", "cut off"),
    "unreadable": ("✗", "bad", "—"),
}
INCOMPLETE_MARK, EMPTY_MARK = ("▲", "warn", ""), ("✗", "bad", "")


class ListColumns(NamedTuple):
    """The widths of the dates, names, models (0 without such a column), values and outcomes."""

    when: int
    name: int
    models: int
    value: int
    outcome: int


def render_session_list(sessions: SessionList, typing: bool, now_s: float, area: Area) -> list[Row]:
    """Render the rows inside the frame; while `typing`, with room for the line in the first."""
    g = area.glyphs
    before = render_list_top(sessions, typing, area)
    first, room = _find_visible(sessions, typing, area)
    columns = _choose_columns(sessions, now_s, area.width, g)
    rows = [*before]
    for i, item in enumerate(sessions.matching[first : first + room], start=first):
        place = sessions.marked.index(item.path) if item.path in sessions.marked else None
        rows.append(_render_line(item, i == sessions.at, place, now_s, columns, g))
    if not sessions.matching:
        rows.append([("no matching session", "muted")])
    if area.height >= MIN_DETAIL_ROWS:
        rows += _render_detail(sessions.selected, area.width, area.height - len(rows), g)
        rows += _render_others(sessions, area.width, area.height - len(rows), g)
    return [*rows, *([] for _ in range(area.height - len(rows)))]


def render_list_legend(
    sessions: SessionList, typing: bool, rows: list[Row], area: Area, width: int
) -> str:
    """Render in `width` columns the words of the signs that the list, `rows`, has without them."""
    first, room = _find_visible(sessions, typing, area)
    listed = sessions.matching[first : first + room]
    meanings = [own for item in listed if item.outcome for own in item.outcome.meanings]
    selected = sessions.selected.outcome if sessions.selected is not None else None
    meanings += [own for cell in selected.cells for own in cell.meanings] if selected else []
    return render_sign_legend(meanings, rows, width, area.glyphs)


def render_list_top(sessions: SessionList, typing: bool, area: Area) -> list[Row]:
    """Render the rows above the list: a hint for newcomers, or the filter."""
    if typing:
        return [[("/ ", "accent-a")]]
    if sessions.words:
        return [[("/ ", "accent-a"), (sessions.words, "bold"), ("   esc shows all", "muted")]]
    if all(item.bundled for item in sessions.listed):
        hint: Row = [
            ("no session yet: press ", "text"),
            ("r", "accent-a"),
            (" for the quick", "text"),
        ]
        rest = "preset, about a minute"
        if measure_row(hint) + 1 + len(rest) <= area.width:
            return [[*hint, (f" {rest}", "text")], []]
        return [hint, [(rest, "text")], []]
    return []


def count_visible_sessions(sessions: SessionList, typing: bool, area: Area) -> int:
    """Return the count of sessions that fit above the details, whichever is selected."""
    height = area.height
    detail = min(height // 2, MAX_DETAIL_ROWS) if height >= MIN_DETAIL_ROWS else 0
    return max(1, height - len(render_list_top(sessions, typing, area)) - detail)


def _find_visible(sessions: SessionList, typing: bool, area: Area) -> tuple[int, int]:
    """Return the first session that is in view, and how many have room."""
    room = count_visible_sessions(sessions, typing, area)
    return center_row(sessions.at, len(sessions.matching), room), room


def _render_line(
    item: ListedSession,
    selected: bool,
    place: int | None,
    now_s: float,
    columns: ListColumns,
    g: Glyphs,
) -> Row:
    sign, role, word = _choose_mark(item)
    row: Row = [
        (g("▸") if selected else " ", "accent-a"),
        (" ", "text") if place is None else ("AB"[place], f"{ARM_ROLES[place]}.bold"),
        (f" {g(sign)} ", role),
        (fit(_format_date_in_list(item, now_s), columns.when), "muted"),
    ]
    name = item.label if columns.models else _name_alone(item)
    row.append((fit(name, columns.name - 1, mark=g("…")) + " ", "bold" if selected else "text"))
    if columns.models:
        models = _choose_models(item, columns.models - 1)
        row.append((fit(models, columns.models - 1, mark=g("…")) + " ", "muted"))
    end: Row = [(word, role)] if word else []
    if item.outcome is not None and (item.outcome.value or item.outcome.name):
        return [*row, *render_outcome(item.outcome, end, columns.value, columns.outcome, g)]
    count = "A/B" if item.is_ab else item.counted or f"{item.cells_ok}/{item.cells_total}"
    end = end or [(count, "muted")]
    return [*row, (" " * max(0, columns.value - measure_row(end)), "muted"), *end]


def _format_date_in_list(item: ListedSession, now_s: float) -> str:
    return "demo" if item.bundled else format_when(item.wall_s, now_s)


def _choose_models(item: ListedSession, width: int) -> str:
    """Return the names of all models; without room for them of all but the first what differs."""
    whole = not item.brief_models or measure_text(clean(item.models)) <= width
    return item.models if whole else item.brief_models


def _choose_mark(item: ListedSession) -> tuple[str, str, str]:
    """Return sign, colour and word of the end of a session; of one with cells missing, how many
    it has. A probe that does not run is an answer, and a race that names nobody has none."""
    if item.stage == "done" and item.outcome is not None and item.outcome.names_nobody:
        return EMPTY_MARK
    is_whole = item.cells_ok > 0 if item.is_search else item.cells_ok == item.cells_total
    if item.stage != "done" or is_whole:
        return MARKS[item.stage]
    if item.is_search:
        return EMPTY_MARK
    sign, role, _ = INCOMPLETE_MARK if item.cells_ok else EMPTY_MARK
    return sign, role, f"{item.cells_ok}/{item.cells_total}"


def _name_alone(item: ListedSession) -> str:
    """Name a session where its models have no column: a name that is only a time, which stands
    before it, gives way to them."""
    return item.models if item.models and TIME_NAME.fullmatch(item.label) else item.label


def _choose_columns(sessions: SessionList, now_s: float, width: int, g: Glyphs) -> ListColumns:
    """Choose the widths for all sessions: each column as wide as its content while there is room.

    Without it whose value the outcome is is left out first, then all but the first model, then the
    words of badges, then names. Where there is
    room for one text alone, the name has it: a session is told by it, and the outcome keeps its
    value with the sign of its badge.
    """
    items = sessions.listed
    when = max((measure_text(_format_date_in_list(item, now_s)) for item in items), default=0) + 1
    width = max(0, width - when - LEAD_WIDTH)
    ends = [measure_text(_choose_mark(item)[2]) for item in items]
    outcomes = [measure_outcome(item.outcome or NO_OUTCOME, g) for item in items]
    value = max([MIN_VALUE_WIDTH, *(own for own, _, _ in outcomes)])
    beside = [
        own + (end + 1 if end else 0) for (_, own, _), end in zip(outcomes, ends, strict=True)
    ]
    if width < ROOMY_WIDTH:
        least = value + max(beside, default=0)
        named = max((measure_text(clean(_name_alone(item))) for item in items), default=0)
        outcome = min(width, MIN_OUTCOME_WIDTH, max(least, width - named - 1))
        return ListColumns(when, width - outcome, 0, value, outcome)
    names = max((measure_text(clean(item.label)) for item in items), default=0) + 1
    names = min(max(MIN_NAME_WIDTH, names), (width - MIN_OUTCOME_WIDTH) * 4 // 5)
    full = value + max(
        (own + (end + 1 if end else 0) for (_, _, own), end in zip(outcomes, ends, strict=True)),
        default=0,
    )
    # Outcomes come one by one: the columns before them must not move then.
    full, room = max(full, width * 9 // 20), width - names - WORDED_OUTCOME_WIDTH
    whole, brief = (
        max((measure_text(clean(text)) for text in texts), default=0) + 1
        for texts in ([i.models for i in items], [_choose_models(i, 0) for i in items])
    )
    models = whole if whole <= width - names - full else min(brief, room)
    models = models if models >= min(brief, MIN_MODELS_WIDTH) else 0
    return ListColumns(when, names, models, value, width - names - models)


def _render_detail(item: ListedSession | None, width: int, height: int, g: Glyphs) -> list[Row]:
    """Render the selected session: its facts, its cells with bars as room permits, and its keys."""
    if item is None or height < 2:
        return []
    rows = _render_facts(item, width, height - 1, g)
    if item.stage == "unreadable":
        return rows
    opening: Row = [("enter", "accent-a"), (f" {_describe_opening(item, width - 6)}", "muted")]
    return [*rows, opening][:height]


def _render_facts(item: ListedSession, width: int, height: int, g: Glyphs) -> list[Row]:
    """Render what a session is, and its cells with bars as `height` permits."""
    name = cut(item.label, max(0, width - 4), g("…"))
    rule = g("─")
    rows: list[Row] = [
        [(f"{rule} ", "border"), (name, "muted"), (" ", "border")],
    ]
    rows[0].append((rule * (width - measure_row(rows[0])), "border"))
    if item.stage == "unreadable":
        return [*rows, [(cut(g(f"cannot be read: {item.models}"), width, g("…")), "bad")]]
    kind = "A/B" if item.is_ab else ""
    parts = [item.models, item.precisions, kind]
    if measure_text(clean(g(" · ".join(filter(None, parts))))) > width and item.brief_models:
        parts[0] = item.brief_models
    parts = [g(part) for part in parts if part]
    while len(parts) > 1 and measure_text(" · ".join(parts)) > width:
        parts.pop()
    what = " · ".join(parts)
    facts = f"{item.progress} · {_format_date(item.wall_s)}"
    about = item.outcome.about if item.outcome is not None else ""
    for more in (
        f" · {g(clean(about))}" if about else "",
        f" · {formatting.format_size(item.size_bytes)}",
    ):
        facts += more if measure_text(facts + more) <= width else ""
    rows += [
        [(cut(what, width, g("…")), "text.bold")],
        [(cut(g(facts), width, g("…")), "muted")],
    ]
    if item.outcome is not None:
        rows += render_outcome_cells(item.outcome, width, height - len(rows), g)
    return rows


def _render_others(sessions: SessionList, width: int, height: int, g: Glyphs) -> list[Row]:
    """Render the sessions after the selected one in the rows that are left, without their keys."""
    rows: list[Row] = []
    for item in sessions.matching[sessions.at + 1 :] + sessions.matching[: sessions.at]:
        if height - len(rows) < MIN_OTHER_ROWS:
            break
        if item.outcome is not None:
            rows += [[], *_render_facts(item, width, height - len(rows) - 1, g)]
    return rows


def _describe_opening(item: ListedSession, width: int) -> str:
    """Return what opening the session does, in short where the whole does not fit."""
    if item.stage == "running":
        long = "attach (the run continues in the background)"
        return long if measure_text(long) <= width else "attach to the run"
    if item.resumable:
        long = "replay what was recorded; R finishes the run"
        return long if measure_text(long) <= width else "replay; R finishes the run"
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
