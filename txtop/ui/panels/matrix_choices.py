"""The knobs of the matrix builder: one row a knob, chosen values marked, the cursor in view."""

from __future__ import annotations

from dataclasses import dataclass

from txtop.options.presets import find_preset
from txtop.plan.knobs import KNOBS
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.scrolling import center_row
from txtop.ui.drawing.spans import Row, clean, cut, fit, measure_row, measure_text
from txtop.ui.models.matrix_choices import KnobChoice, MatrixChoices, explain_lacking

LABEL_WIDTH = 12
PROMPT_WIDTH = 2
# The cursor, `[x]` or `(●)`, and a space before the text of a value.
MARK_WIDTH = 5
HINT_ROLE, HINT_GAP = "muted", 3
TITLE_WIDTH = 24
FORMS = {
    "names": "a built-in name, a path, a .gguf file or a Hub name",
    "numbers": "8, or 1,8,32, or 1-64*2, or 16-64+16",
    "whole": "how many",
    "seconds": "seconds that a cell may warm up and measure",
}

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
    """Render the panel with its frame."""
    g = area.glyphs
    inside = area.inside
    first = center_row(choices.at, len(choices.knobs), inside.height)
    body = [
        _render_input(knob, typed, inside.width, g)
        if typed is not None and i == choices.at
        else _render_row(knob, i == choices.at, inside.width, g)
        for i, knob in enumerate(choices.knobs[first : first + inside.height], start=first)
    ]
    remedy = typed.hint if typed is not None else ""
    hint = clean(g(remedy or describe_value(choices.knob)))
    beside = typed is None and any(_has_hint(row, inside.width) for row in body)
    hint = "" if beside else cut(hint, max(0, area.width - TITLE_WIDTH), g("…"))
    return draw_frame("what to measure", [(hint, "warn" if remedy else "muted")], body, area)


def _has_hint(row: Row, width: int) -> bool:
    """Return True for a row whose hint stands in it: it then reaches to the right edge."""
    return bool(row) and row[-1][1] == HINT_ROLE and measure_row(row) == width


def describe_value(knob: KnobChoice) -> str:
    """Return the reason why the value under the cursor is not to be had here, else the hint."""
    return explain_lacking(knob, knob.values[knob.at]) or _describe_knob(knob)


def _describe_knob(knob: KnobChoice) -> str:
    """Return the hint of the knob under the cursor; for a preset, its title."""
    if knob.name == "preset":
        name = knob.values[knob.at]
        return find_preset(name).title if isinstance(name, str) else "no preset: choose below"
    return HINTS[knob.name]


def place_values(
    knob: KnobChoice, here: bool, width: int, g: Glyphs
) -> tuple[list[ValueSpan], int]:
    """Return the visible values with their positions, and the count of values after them."""
    room = width - LABEL_WIDTH
    wide = [MARK_WIDTH + measure_text(clean(g(knob.text(value)))) for value in knob.values]
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


def _render_row(knob: KnobChoice, here: bool, width: int, g: Glyphs) -> Row:
    row: Row = [(fit(knob.label, LABEL_WIDTH), "accent-a.bold" if here else "muted")]
    places, behind = place_values(knob, here, width, g)
    if places and places[0].column:
        row.append((fit(g("…"), 2), "muted"))
    for place in places:
        value = knob.values[place.column]
        chosen, cursor = value in knob.chosen, here and place.column == knob.at
        lacking = bool(explain_lacking(knob, value))
        mark = g(_choose_mark(knob, chosen=chosen, lacking=lacking))
        row += [
            (g("▸") if cursor else " ", "accent-a.bold"),
            (f"{mark} ", "accent-a" if chosen else "muted"),
            (
                clean(g(knob.text(value))),
                "text.bold" if chosen else "muted" if lacking else "text",
            ),
        ]
    if behind:
        visible = [knob.values[place.column] for place in places]
        hidden = sum(value not in visible for value in knob.chosen)
        row.append((g(" …") + (f"{hidden}" if hidden else ""), "text" if hidden else "muted"))
    if not here:
        return row
    hint = clean(g(describe_value(knob)))
    room = width - measure_row(row)
    fits = measure_text(hint) + HINT_GAP <= room
    return [*row, (f"{hint:>{room}}", HINT_ROLE)] if fits else row


def _choose_mark(knob: KnobChoice, *, chosen: bool, lacking: bool) -> str:
    """Return a box where several values may be chosen, else a circle; neither for one not here."""
    if lacking and not chosen:
        return " · "
    if knob.several:
        return "[x]" if chosen else "[ ]"
    return "(●)" if chosen else "( )"


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
