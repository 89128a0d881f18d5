"""The outcome of a matrix: the fastest cell in big digits, and a line for each other answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from txtop import formatting
from txtop.ui.drawing import big_digits
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import (
    Row,
    choose_form,
    clean,
    cut,
    cut_parts,
    fit,
    measure_row,
    measure_text,
)
from txtop.ui.models.results import ResultLine, ResultsView
from txtop.ui.panels.base import FramedPanel

MIN_LABEL_WIDTH, MIN_VALUE_WIDTH, UNIT_WIDTH = 13, 5, 6
UNIT_FIELD = 10
# The columns of a line that names and what a speed costs share.
MIN_NAME_WIDTH, MIN_REMARK_WIDTH = 12, 14
# A name that is cut shorter than this says nothing.
MIN_CUT_NAME_WIDTH = 6
KEYS = (("y", "copy"), ("e", "report (HTML)"), ("enter", "a cell's iterations"))


class _ResultColumns(NamedTuple):
    """The widths of labels, values and intervals, and which form the last ones have."""

    label: int
    value: int
    half: int
    form: int


def render_results(view: ResultsView, area: Area) -> list[Row]:
    """Render the panel with its frame; on a small one the footer has its keys."""
    inside, g = area.inside, area.glyphs
    doubled = inside.height >= 18 and inside.width > 96
    body = [
        _render_headline(view, inside.width, g),
        *_render_number(view, inside.width, g, doubled),
    ]
    columns = _choose_columns(view.lines, inside.width, g)
    lines = [_render_line(line, columns, inside.width, g) for line in view.lines]
    keys = [_render_keys(g, reported=not view.phase)] if area.boxed else []
    airy = len(body) + len(lines) + len(keys) + 3 <= inside.height
    room = inside.height - len(body) - len(keys) - 3 * airy
    if len(lines) > room:
        # What has no number is kept: it would be missed last.
        hidden = len(lines) - room + 1
        kept = lines[-1:] if not view.lines[-1].unit else []
        lines = [*lines[: max(0, room - 1 - len(kept))], _render_more(hidden, g), *kept]
    gap: list[Row] = [[]] if airy else []
    body = [*gap, *body, *gap, *lines]
    body += [[]] * (inside.height - len(body) - len(keys))
    subtitle: Row = [(view.counts, "muted")]
    room = area.width - 18
    if phase := next((form for form in view.phase if measure_text(form) <= room), ""):
        subtitle = [(f"{g('▸')} ", "accent-a"), (phase, "text")]
    return draw_frame("results", subtitle, [*body, *keys], area)


def _render_headline(view: ResultsView, width: int, g: Glyphs) -> Row:
    row: Row = [(f" {view.word}", "text.bold"), ("  ", "text")]
    room = width - measure_row(row)
    remark = next(
        (r for r in view.remarks if measure_text(r) + measure_text(view.name) + 2 <= room),
        view.remarks[-1] if view.remarks else "",
    )
    beside = measure_text(remark) + 2 if remark else 0
    row.append((cut(clean(g(view.name)), max(0, room - beside), g("…")), "text"))
    if remark:
        row += [(", " if remark[0].isalpha() else "  ", "text"), (g(remark), view.role)]
    return row


def _render_number(view: ResultsView, width: int, g: Glyphs, doubled: bool) -> list[Row]:
    """Render the digits, beside them the unit, the interval, and the ratio or the doubt."""
    text, prefix = view.number
    unit = f"{prefix} {view.unit}".strip()
    drawn, field = big_digits.draw_field(text, g, width, doubled)
    role = f"{view.number_role}.bold" if g.mode == "ascii" else view.number_role
    room = max(0, width - field - 1)
    ratio: Row = [(cut_parts(g(view.ratio), max(0, room - UNIT_FIELD), g("…")), "text.bold")]
    sure: Row = [(fit(g(view.half), UNIT_FIELD), "text.bold"), (view.interval, "muted")]
    if measure_text(view.ratio) > room - UNIT_FIELD and not view.half + view.interval:
        ratio, sure = [], [(cut_parts(g(view.ratio), room, g("…")), "text.bold")]
    facts: list[Row] = [
        [(fit(unit, UNIT_FIELD), "text"), *ratio],
        sure,
        [(choose_form(view.why or (view.figures,), room, g), "muted")],
    ]
    places = {i * 2 + 1 if doubled else i: fact for i, fact in enumerate(facts)}
    return [
        [(" ", "text"), (fit(line, field - 1), role), *places.get(y, [])]
        for y, line in enumerate(drawn)
    ]


def _choose_columns(lines: Sequence[ResultLine], width: int, g: Glyphs) -> _ResultColumns:
    """Choose the widths for all lines: each column as wide as its content while there is room.

    Without it what stands for the intervals is short, then labels are cut.
    """
    rated = [line for line in lines if line.unit]
    label = max((measure_text(clean(g(line.label))) for line in lines), default=0) + 1
    value = max([MIN_VALUE_WIDTH, *(measure_text(g(line.value)) for line in rated)])
    names = [min(measure_text(clean(g(line.name))), MIN_NAME_WIDTH) for line in rated]
    costs = [MIN_REMARK_WIDTH if line.ratio else 0 for line in rated]
    half, form, room = 0, 0, width
    # A name with what its speed costs, then either of both.
    for form, join in ((0, sum), (-1, sum), (-1, max)):
        half = max((measure_text(g(line.half[form])) + 1 for line in rated), default=0)
        beside = max(map(join, zip(names, costs, strict=True)), default=0)
        room = width - value - UNIT_WIDTH - half - 3 - beside
        if label <= room:
            break
    return _ResultColumns(max(MIN_LABEL_WIDTH, min(label, room)), value, half, form)


def _render_line(line: ResultLine, columns: _ResultColumns, width: int, g: Glyphs) -> Row:
    row: Row = [(f" {fit(g(line.label), columns.label, mark=g('…'))}", "muted")]
    if not line.unit:
        room = width - columns.label - 1 - measure_text(line.value) - 2
        reason = cut_parts(clean(g(line.name)), max(0, room), g("…"))
        return [*row, (f"{line.value}  ", "text.bold"), (reason, line.role)]
    row += [
        (fit(g(line.value), columns.value, "right"), "text.bold"),
        (f" {fit(line.unit, UNIT_WIDTH)}", "muted"),
    ]
    half = g(line.half[columns.form])
    name = clean(g(line.name))
    room = width - measure_row(row) - columns.half - 1
    if not line.remarks and measure_text(name) > room:
        # A name alone may begin before its column.
        room = width - measure_row(row) - measure_text(half) - 2
        return [*row, (f"{half}  ", "muted"), (cut(name, max(0, room), g("…")), "text")]
    row.append((f"{fit(half, columns.half)} ", "muted"))
    named = min(measure_text(name), MIN_NAME_WIDTH)
    beside = _choose_remark(line, room - (named + 2 if named else 0), g)
    if named and measure_row(beside) == 1:
        # What a speed costs is said in words before the name begins.
        beside, named = _choose_remark(line, room, g), 0
    taken = measure_row(beside) + (2 if beside and name else 0)
    kept = cut(name, room - taken, g("…")) if room - taken >= max(named, MIN_CUT_NAME_WIDTH) else ""
    gap: Row = [("  ", "text")] if kept and beside else []
    return [*row, (kept, "text"), *gap, *beside]


def _choose_remark(line: ResultLine, room: int, g: Glyphs) -> Row:
    """Return the speed-up with what it costs in the longest form that fits: never one alone."""
    forms: list[Row] = [[(g(remark), line.role)] for remark in line.remarks]
    if line.ratio:
        # Words of the cost come before what the ratio is of; a sign alone is no part of a list.
        ratios = line.ratio, line.ratio.partition(" ")[0]
        forms = [
            [(g(ratio) + (", " if form[0][0][0].isalpha() else " "), "text"), *form]
            for form in forms
            for ratio in ratios
        ] or [[(g(ratio), "text")] for ratio in ratios]
    fitting = (form for form in forms if measure_row(form) <= room)
    if chosen := next(fitting, []):
        return chosen
    # An output that is not that of the model is marked in any case, at the cost of the name.
    sign = line.remarks[-1].rpartition(" ")[2] if line.remarks else ""
    return [(g(sign), line.role)] if sign and not sign.isalpha() else []


def _render_more(hidden: int, g: Glyphs) -> Row:
    return [(f" {g('…')} {formatting.format_count(hidden, 'more line')}: y copies all", "muted")]


def _render_keys(g: Glyphs, *, reported: bool) -> Row:
    row: Row = [(" ", "text")]
    for key, word in KEYS:
        if key == "e" and not reported:
            continue
        row += [(key, "accent-a.bold"), (f" {g(word)}   ", "muted")]
    return row


class ResultsPanel(FramedPanel):
    """The outcome, in the place of the cell that was measured last."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.view.results is None:
            return []
        return render_results(self.view.results, self.area(width, height))
