"""The header row: the model or the arms, and the progress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from txtop import formatting
from txtop.ui.drawing import glyphs
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, crop, cut, measure_row, measure_text
from txtop.ui.models.ab import ABView
from txtop.ui.models.view import SideBySideView, View
from txtop.ui.panels.base import ARM_ROLES, Panel

GAP = 2
MIN_MODEL_WIDTH = 8
MAX_ARM_WIDTH = 28


def render_header(view: View, width: int, g: Glyphs) -> list[Row]:
    """Render the model at the left and the progress at the right."""
    if view.ab is not None:
        return _render_ab_header(view, view.ab, width, g)
    name: Row = [(" txtop", "accent-a.bold"), ("  ", "text")]
    model = clean(view.model)
    least = measure_row(name) + measure_text(model)
    if view.playback:
        full = least + sum(3 + measure_text(clean(g(fact))) for fact in view.facts[:2])
        endings = _list_replay_endings(view)[
            0 if full + measure_row(_list_replay_endings(view)[0]) + GAP <= width else 1 :
        ]
    else:
        endings = _list_run_endings(view, g)
    right = next((e for e in endings if measure_row(e) + GAP + least <= width), endings[-1])
    room = width - measure_row(right) - GAP
    if room < measure_row(name) + 4:
        right, room = [], width
    left: Row = [*name, (cut(model, max(0, room - measure_row(name)), g("…")), "text.bold")]
    for fact in view.facts:
        more = " · " + g(fact)
        if measure_row(left) + measure_text(clean(more)) > room:
            break
        left.append((more, "muted"))
    space = width - measure_row(left) - measure_row(right)
    return [crop([*left, (" " * max(0, space), "text"), *right], width)]


def _render_ab_header(view: View, ab: ABView, width: int, g: Glyphs) -> list[Row]:
    """Render the arms at the left and the progress at the right."""
    endings = (
        _list_replay_endings(view)
        if view.playback
        else _list_run_endings(view, g, _render_block_count(ab))
    )
    least = measure_row(_render_arms(replace(ab, shared=()), width, g))
    right = next((e for e in endings if measure_row(e) + GAP + least <= width), endings[-1])
    left = _render_arms(ab, width - measure_row(right) - GAP, g)
    space = width - measure_row(left) - measure_row(right)
    return [crop([*left, (" " * max(0, space), "text"), *right], width)]


def _render_block_count(ab: ABView) -> Row:
    return [(f"   {ab.unit} ", "muted"), (str(ab.block), "text.bold"), (ab.goal, "muted")]


def _render_arms(view: ABView, room: int, g: Glyphs) -> Row:
    """Render the arms by their differences, then the facts they share, as room permits."""
    row: Row = [(" txtop", "accent-a.bold"), ("  A/B", "text.bold")]
    names = [arm.name for arm in view.sides]
    arms = _name_arms(view, names, room, g)
    is_cut = any(measure_text(clean(g(name))) > MAX_ARM_WIDTH for name in names)
    if is_cut or measure_row(row) + sum(map(measure_row, arms)) > room:
        arms = _name_arms(view, [arm.short_name for arm in view.sides], room, g)
    left = room - measure_row(row) - sum(map(measure_row, arms)) - 2
    if view.model and left >= MIN_MODEL_WIDTH:
        row.append((f"  {cut(clean(view.model), left, g('…'))}", "text.bold"))
    for more in arms:
        if measure_row(row) + measure_row(more) > room:
            break
        row += more
    for fact in view.shared:
        more = [(" · " + g(fact), "muted")]
        if measure_row(row) + measure_row(more) > room:
            break
        row += more
    return row


def _name_arms(view: ABView, names: Sequence[str], room: int, g: Glyphs) -> list[Row]:
    arms: list[Row] = []
    for i, (arm, name) in enumerate(zip(view.sides, names, strict=True)):
        role = ARM_ROLES[i]
        between: Row = [("  against" if i and room > 60 else "", "muted")]
        label = cut(clean(g(name)), MAX_ARM_WIDTH, g("…"))
        arms.append([*between, (f"  {arm.letter} ", f"{role}.bold"), (label, role)])
    return arms


def render_side_by_side_header(comparison: SideBySideView, width: int, g: Glyphs) -> list[Row]:
    """Render the two compared sessions with their letters, and whether they are comparable."""
    row: Row = [(" txtop", "accent-a.bold")]
    sign = f"{g('▲')} " if comparison.level == "warn" else ""
    comparable = clean(f"{sign}{comparison.comparable or 'side by side'} ")
    names = 2 * (
        4 + min(24, max(measure_text(clean(v.name)) for v in (comparison.left, comparison.right)))
    )
    left = max(0, width - measure_row(row) - names - 2)
    if measure_text(comparable) > left:
        # The reason stands in the comparison; half of it says nothing.
        comparable = f"{comparable.partition(':')[0].rstrip()} "
    comparable = cut(comparable, left, g("…"))
    room = max(4, (width - measure_row(row) - measure_text(comparable) - 10) // 2)
    views = (comparison.left, comparison.right)
    for letter, role, view in zip("AB", ARM_ROLES, views, strict=True):
        row += [
            (f"  {letter} ", f"{role}.bold"),
            (cut(clean(view.name), room, g("…")), "text.bold"),
        ]
    space = width - measure_row(row) - measure_text(comparable)
    return [crop([*row, (" " * max(1, space), "text"), (comparable, comparison.level)], width)]


def _list_run_endings(view: View, g: Glyphs, where: Row | None = None) -> list[Row]:
    """Return the right end of a run's header, longest form first; `where` replaces the position in
    the cells."""
    time = formatting.format_clock(view.clock_ns)
    if view.ended:
        mark = "✗" if view.ended == "failed" else "✓" if view.ended == "done" else "■"
        # Over, which says nothing of the numbers: no colour.
        role = "bad" if view.ended == "failed" else "muted"
        state: Row = [(f"{g(mark)} ", role), (view.ended, "text.bold"), (f" {time}", "text")]
    elif view.paused:
        state = [(f"{g('‖')} ", "accent-a"), ("PAUSED", "text.bold"), (f" {time}", "text")]
    else:
        state = [(f"{g('●')} ", "accent-a"), ("REC", "text.bold"), (f" {time}", "text")]
    where = where or [
        ("   cell ", "muted"),
        (str(view.position), "text.bold"),
        (f"/{view.count}", "muted"),
    ]
    left: Row = [("   left ", "muted"), (g(view.left), "text")] if view.left else []
    end: Row = [(" ", "text")]
    if view.phase:
        return [*([*state, (f"   {form}", "text"), *end] for form in view.phase), [*state, *end]]
    return [[*state, *where, *left, *end], [*state, *where, *end], [*state, *end]]


def _list_replay_endings(view: View) -> list[Row]:
    name: Row = [("replay  ", "accent-a.bold"), (view.name, "text")]
    date: Row = [(f"   recorded {view.recorded}", "muted")] if view.recorded else []
    end: Row = [(" ", "text")]
    return [[*name, *date, *end], [*name, *end], [name[0], *end]]


class HeaderPanel(Panel):
    """The first row of the screen."""

    def build(self, width: int, height: int) -> list[Row]:
        return render_header(self.view, width, glyphs.get_glyphs())
