"""The header: what is measured and how far it is."""

from __future__ import annotations

from dataclasses import replace

from txtop import formatting
from txtop.ui.drawing import glyphs
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, crop, cut, measure_row, measure_text
from txtop.ui.models.ab import ABView
from txtop.ui.models.view import SideBySideView, View
from txtop.ui.panels.base import Panel

GAP = 2


ARM_ROLES = ("accent-a", "accent-b")


STATES_WORST_FIRST = ("running", "failed", "done", "skipped", "waiting")


def render_header(shown: View, width: int, g: Glyphs) -> list[Row]:
    """What is measured at the left, how far it is at the right."""
    if shown.duel is not None:
        return _render_ab_header(shown, shown.duel, width, g)
    name: Row = [(" txtop", "accent-a.bold"), ("  ", "text")]
    model = clean(shown.model)
    wanted = measure_row(name) + measure_text(model)
    if shown.playback:
        told = wanted + sum(3 + measure_text(clean(g(fact))) for fact in shown.facts[:2])
        endings = _list_replay_endings(shown)[
            0 if told + measure_row(_list_replay_endings(shown)[0]) + GAP <= width else 1 :
        ]
    else:
        endings = _list_run_endings(shown, g)
    right = next((e for e in endings if measure_row(e) + GAP + wanted <= width), endings[-1])
    room = width - measure_row(right) - GAP
    if room < measure_row(name) + 4:
        right, room = [], width
    left: Row = [*name, (cut(model, max(0, room - measure_row(name)), g("…")), "text.bold")]
    for fact in shown.facts:
        more = " · " + g(fact)
        if measure_row(left) + measure_text(clean(more)) > room:
            break
        left.append((more, "muted"))
    space = width - measure_row(left) - measure_row(right)
    return [crop([*left, (" " * max(0, space), "text"), *right], width)]


def _render_ab_header(shown: View, duel: ABView, width: int, g: Glyphs) -> list[Row]:
    """The arms at the left, how far it is at the right."""
    endings = (
        _list_replay_endings(shown)
        if shown.playback
        else _list_run_endings(shown, g, _render_block_count(duel))
    )
    wanted = measure_row(_render_arms(replace(duel, shared=()), width, g))
    right = next((e for e in endings if measure_row(e) + GAP + wanted <= width), endings[-1])
    left = _render_arms(duel, width - measure_row(right) - GAP, g)
    space = width - measure_row(left) - measure_row(right)
    return [crop([*left, (" " * max(0, space), "text"), *right], width)]


def _render_block_count(duel: ABView) -> Row:
    more = f" of at least {duel.first_look}" if duel.block < duel.first_look else ""
    return [("   block ", "muted"), (str(duel.block), "text.bold"), (more, "muted")]


def _render_arms(shown: ABView, room: int, g: Glyphs) -> Row:
    """The arms by what differs between them, then what they share, as far as there is room."""
    row: Row = [(" txtop", "accent-a.bold"), ("  A/B", "text.bold")]
    if shown.model:
        row.append((f"  {cut(clean(shown.model), max(4, room // 4), g('…'))}", "text.bold"))
    for i, lane in enumerate(shown.sides):
        role = ARM_ROLES[i]
        more: Row = [("  against" if i and room > 60 else "", "muted")]
        more += [(f"  {lane.letter} ", f"{role}.bold"), (cut(clean(lane.name), 28, g("…")), role)]
        if measure_row(row) + measure_row(more) > room:
            break
        row += more
    for fact in shown.shared:
        more = [(" · " + g(fact), "muted")]
        if measure_row(row) + measure_row(more) > room:
            break
        row += more
    return row


def render_side_by_side_header(shown: SideBySideView, width: int, g: Glyphs) -> list[Row]:
    """The two sessions of a comparison, by their letters, and whether they can be compared."""
    row: Row = [(" txtop", "accent-a.bold")]
    sign = f"{g('▲')} " if shown.level == "warn" else ""
    said = clean(f"{sign}{shown.comparable or 'side by side'} ")
    names = 2 * (4 + min(24, max(measure_text(clean(v.name)) for v in (shown.left, shown.right))))
    said = cut(said, max(0, width - measure_row(row) - names - 2), g("…"))
    room = max(4, (width - measure_row(row) - measure_text(said) - 10) // 2)
    for letter, role, view in (("A", "accent-a", shown.left), ("B", "accent-b", shown.right)):
        row += [
            (f"  {letter} ", f"{role}.bold"),
            (cut(clean(view.name), room, g("…")), "text.bold"),
        ]
    space = width - measure_row(row) - measure_text(said)
    return [crop([*row, (" " * max(1, space), "text"), (said, shown.level)], width)]


def _list_run_endings(shown: View, g: Glyphs, where: Row | None = None) -> list[Row]:
    """The right side of a run, from all to nothing; `where` it is, if not at a cell."""
    time = formatting.format_clock(shown.clock_ns)
    if shown.ended:
        bad = shown.ended == "failed" or shown.failed > 0
        mark = "✗" if shown.ended == "failed" else "✓" if shown.ended == "done" else "■"
        role = "bad" if shown.ended == "failed" else "ok" if not bad else "muted"
        state: Row = [(f"{g(mark)} ", role), (shown.ended, "text.bold"), (f" {time}", "text")]
    elif shown.paused:
        state = [(f"{g('‖')} ", "accent-a"), ("PAUSED", "text.bold"), (f" {time}", "text")]
    else:
        state = [(f"{g('●')} ", "accent-a"), ("REC", "text.bold"), (f" {time}", "text")]
    where = where or [
        ("   cell ", "muted"),
        (str(shown.position), "text.bold"),
        (f"/{shown.count}", "muted"),
    ]
    left: Row = [("   left ", "muted"), (g(shown.left), "text")] if shown.left else []
    end: Row = [(" ", "text")]
    return [[*state, *where, *left, *end], [*state, *where, *end], [*state, *end]]


def _list_replay_endings(shown: View) -> list[Row]:
    name: Row = [("replay  ", "accent-a.bold"), (shown.name, "text")]
    date: Row = [(f"   recorded {shown.recorded}", "muted")] if shown.recorded else []
    end: Row = [(" ", "text")]
    return [[*name, *date, *end], [*name, *end], [name[0], *end]]


class HeaderPanel(Panel):
    """Row 0."""

    def build(self, width: int, height: int) -> list[Row]:
        return render_header(self.shown, width, glyphs.get_glyphs())
