"""The knobs of the matrix builder: chosen values marked, the cursor in view.

A knob has as many lines as its values need, if there is room for those of all, else one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from txtop.options.presets import find_preset
from txtop.plan.knobs import KNOBS
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.scrolling import center_row
from txtop.ui.drawing.spans import Row, clean, cut, fit, measure_row, measure_text
from txtop.ui.models.matrix_choices import ChoiceValue, KnobChoice, MatrixChoices

LABEL_WIDTH = 11
PROMPT_WIDTH = 2
# The gap between two values with the cursor in it, then the mark.
GAP_WIDTH, MARK_WIDTH = 2, 3
VALUE_LEAD = GAP_WIDTH + MARK_WIDTH
HINT_GAP = 3
# Hints begin in one column where the values of their rows leave it free.
HINT_COLUMN = 64
LEGEND, LACKING_LEGENDS = "(●) one   [x] several", ("· not on this machine", "· not here")
TITLE_WIDTH = 24
FORMS = {
    "names": "a built-in name, a path, a .gguf file or a Hub name",
    "numbers": "8, or 1,8,32, or 1-64*2, or 16-64+16",
    "whole": "how many",
    "seconds": "seconds that a cell may warm up and measure",
}

_EXPLAINED = {knob.option: knob.explain for knob in KNOBS if knob.explain}
HINTS = {
    **{knob.option: knob.hint for knob in KNOBS},
    "scenario": "static: full batches; the others answer requests",
    "rate": "sweep: 20 to 120 % of server capacity",
    "budget_s": "time limit per cell, seconds",
    "iterations": "exactly this many, or until the interval is narrow",
}


@dataclass(frozen=True)
class KnobInput:
    """The text being typed for the knob under the cursor, its error, and the remedy."""

    text: str
    wrong: str = ""
    hint: str = ""


@dataclass(frozen=True)
class ValueSpan:
    """The position of a value in its row: `width` columns from `start`."""

    column: int
    start: int
    width: int


def render_matrix_choices(choices: MatrixChoices, typed: KnobInput | None, area: Area) -> list[Row]:
    """Render the panel with its frame.

    The hint of the cursor's row stands in a line below it, the others behind their values.
    """
    g = area.glyphs
    inside = area.inside
    body: list[Row] = []
    rows = list_rows(choices, inside)
    for row, line in rows:
        if row is None:
            body.append(_render_hint_line(choices, typed, inside.width, g))
        elif typed is not None and row == choices.at:
            knob = choices.knobs[row]
            body.append([] if line else _render_input(knob, typed, inside.width, g))
        else:
            body.append(_render_row(choices, row, line, inside))
    knobs = [row for row, _ in rows]
    legend = _choose_legend(choices, knobs, area.width - TITLE_WIDTH, g)
    return draw_frame("what to measure", [(legend, "muted")] if legend else [], body, area)


def _choose_legend(
    choices: MatrixChoices, rows: Sequence[int | None], width: int, g: Glyphs
) -> str:
    """Choose the longest text on marks, and on the rows that are out of sight, that fits."""
    visible = [row for row in rows if row is not None]
    labels = [knob.label for knob in choices.knobs]
    ends = ("↑ ", labels[: min(visible, default=0)]), ("↓ ", labels[max(visible, default=0) + 1 :])
    hidden = "   ".join(sign + ", ".join(names) for sign, names in ends if names)
    forms: list[tuple[str, ...]] = [(LEGEND, lacking, hidden) for lacking in LACKING_LEGENDS]
    forms += [(LACKING_LEGENDS[-1], hidden), (hidden,), (LEGEND,), ()]
    texts = (g("   ".join(filter(None, form))) for form in forms)
    return next(text for text in texts if measure_text(text) <= max(0, width))


def list_rows(choices: MatrixChoices, area: Area) -> list[tuple[int | None, int]]:
    """Return the knob of each visible line, None for the line of the hint, and which of its lines
    that is.

    Between two moves of the cursor no other row moves. `area` is that inside the frame.
    """
    counts = [1] * len(choices.knobs)
    if has_whole_rows(choices, area):
        counts = [len(_wrap_values(knob, area)) for knob in choices.knobs]
    rows: list[tuple[int | None, int]] = [
        (row, line) for row, count in enumerate(counts) for line in range(count)
    ]
    at = rows.index((choices.at, counts[choices.at] - 1))
    rows.insert(at + 1, (None, 0))
    first = center_row(at, len(rows), area.height)
    return rows[first : first + area.height]


def count_lines(choices: MatrixChoices, area: Area) -> int:
    """Return the lines of all knobs with all their values, without that of the hint."""
    return sum(len(_wrap_values(knob, area)) for knob in choices.knobs)


def has_whole_rows(choices: MatrixChoices, area: Area) -> bool:
    """Return True if there is room for all values of all knobs, and the hint."""
    return count_lines(choices, area) < area.height


def _wrap_values(knob: KnobChoice, area: Area) -> list[list[ValueSpan]]:
    """Return the positions of all values of a knob, in as many lines as they need."""
    lines: list[list[ValueSpan]] = [[]]
    at = LABEL_WIDTH
    for i, value in enumerate(knob.values):
        wide = VALUE_LEAD + measure_text(clean(area.glyphs(knob.text(value))))
        if lines[-1] and at + wide > area.width:
            lines.append([])
            at = LABEL_WIDTH
        lines[-1].append(ValueSpan(i, at, wide))
        at += wide
    return lines


def place_line(
    choices: MatrixChoices, row: int, line: int, area: Area
) -> tuple[list[ValueSpan], int]:
    """Return the values in a line of a knob with their positions, and the count of those behind."""
    knob = choices.knobs[row]
    if has_whole_rows(choices, area):
        return _wrap_values(knob, area)[line], 0
    return place_values(knob, row == choices.at, area.width, area.glyphs)


def _describe_value(knob: KnobChoice, value: ChoiceValue) -> str:
    """Return the hint of a row, which for a preset is the title of its `value`."""
    if knob.name == "preset":
        return find_preset(value).title if isinstance(value, str) else "or choose below"
    return HINTS[knob.name]


def _render_hint_line(
    choices: MatrixChoices, typed: KnobInput | None, width: int, g: Glyphs
) -> Row:
    """Render the line below the cursor's row: the remedy for what was typed, why this machine
    lacks the value, or the hint of the row.
    """
    knob = choices.knob
    value, explain = knob.values[knob.at], _EXPLAINED.get(knob.name)
    hint, role = (explain and explain(value)) or _describe_value(knob, value), "text"
    if typed is not None and typed.hint:
        hint, role = typed.hint, "warn"
    elif knob.reason:
        hint, role = f"not here: {choices.name_rows(knob.reason)}", "warn"
    text = cut(clean(g(hint)), max(0, width - 1), g("…"))
    indent = max(1, min(LABEL_WIDTH + GAP_WIDTH, width - measure_text(text)))
    return [(" " * indent, "text"), (text, role)]


def place_values(
    knob: KnobChoice, here: bool, width: int, g: Glyphs
) -> tuple[list[ValueSpan], int]:
    """Return the visible values with their positions, and the count of values after them."""
    room = width - LABEL_WIDTH
    wide = [VALUE_LEAD + measure_text(clean(g(knob.text(value)))) for value in knob.values]
    first = 0
    if here:
        lead = 2 if sum(wide[: knob.at + 1]) > room else 0
        taken, first = lead + wide[knob.at] + 3, knob.at
        while first > 0 and taken + wide[first - 1] <= room:
            first -= 1
            taken += wide[first]
    spans: list[ValueSpan] = []
    at = LABEL_WIDTH + (2 if first else 0)
    for i in range(first, len(wide)):
        last = i == len(wide) - 1
        if spans and at + wide[i] + (0 if last else 3) > width:
            break
        spans.append(ValueSpan(i, at, wide[i]))
        at += wide[i]
    return spans, len(wide) - first - len(spans)


def _render_row(choices: MatrixChoices, at: int, line: int, area: Area) -> Row:
    """Render a line of the knob `at`."""
    g, width = area.glyphs, area.width
    knob, here = choices.knobs[at], at == choices.at
    label = "" if line else knob.label
    row: Row = [(fit(label, LABEL_WIDTH), "accent-a.bold" if here else "muted")]
    places, behind = place_line(choices, at, line, area)
    whole = len(places) == len(knob.values)
    if places and places[0].start > LABEL_WIDTH:
        row.append((fit(g("…"), 2), "muted"))
    for place in places:
        value = knob.values[place.column]
        cursor = here and place.column == knob.at
        row.append((fit(g("▸") if cursor else "", GAP_WIDTH, "right"), "accent-a.bold"))
        row += _render_value(knob, value, g)
    if behind:
        visible = [knob.values[place.column] for place in places]
        hidden = sum(value not in visible for value in knob.chosen)
        row.append((" " + g("…") + (f"{hidden}" if hidden else ""), "text" if hidden else "muted"))
        return row
    if not here and whole:
        hint, end = clean(g(_describe_value(knob, next(iter(knob.chosen), None)))), measure_row(row)
        start = max(end + HINT_GAP, min(HINT_COLUMN, width - measure_text(hint)))
        if start + measure_text(hint) <= width:
            row += [(" " * (start - end), "text"), (hint, "muted")]
    return row


def _render_value(knob: KnobChoice, value: ChoiceValue, g: Glyphs) -> Row:
    """Render the mark and the text of a value; one that this machine lacks has no box to tick."""
    text = clean(g(knob.text(value)))
    chosen, lacking = value in knob.chosen, value in knob.lacking
    if lacking and not chosen:
        return [(g(" · "), "muted"), (text, "muted")]
    left, sign, right = ("[", "x", "]") if knob.several else ("(", g("●"), ")")
    role = "warn" if lacking else "accent-a"
    return [
        (left, "muted"),
        (sign if chosen else " ", f"{role}.bold" if chosen else "muted"),
        (right, "muted"),
        (text, "text.bold" if chosen else "text"),
    ]


def compute_input_width(typed: KnobInput, room: int) -> int:
    """Return the columns of the line that is typed into: all, or its text's beside an error."""
    if not typed.wrong:
        return room
    return min(
        measure_text(clean(typed.text)) + 1,
        max(room // 2, room - measure_text(clean(typed.wrong)) - 2),
    )


def _render_input(knob: KnobChoice, typed: KnobInput, width: int, g: Glyphs) -> Row:
    """Render the row of a knob while a value is typed: room for the line, then the error."""
    line = compute_input_width(typed, width - LABEL_WIDTH - PROMPT_WIDTH)
    row: Row = [
        (fit(knob.label, LABEL_WIDTH), "accent-a.bold"),
        ("> ", "accent-a"),
        (" " * line, "text"),
    ]
    return [*row, (f"  {g(typed.wrong)}", "warn")]
