"""The knobs of the matrix builder: a row each, chosen values marked, the cursor in sight."""

from __future__ import annotations

from dataclasses import dataclass

from txtop.options.presets import PRESETS
from txtop.plan.knobs import KNOBS
from txtop.ui.drawing.frame import compute_inner_size, draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, cut, fit, measure_row, measure_text
from txtop.ui.models.matrix_choices import KnobChoice, MatrixChoices

LABEL_WIDTH = 12
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
    "iterations": "exactly so many, or until the interval is narrow",
}


@dataclass(frozen=True)
class KnobInput:
    """What is being typed for the knob under the cursor, and what was wrong with it."""

    text: str
    wrong: str = ""


@dataclass(frozen=True)
class ValueSpan:
    """Where a value stands in its row: columns from `start`, `width` of them."""

    column: int
    start: int
    width: int


def render_matrix_choices(
    shown: MatrixChoices,
    typed: KnobInput | None,
    width: int,
    height: int,
    g: Glyphs,
    *,
    boxed: bool,
) -> list[Row]:
    """The panel with its frame."""
    across, down = compute_inner_size(width, height, boxed)
    first = compute_first_knob(shown, down)
    body = [
        _render_input(knob, typed, across, g)
        if typed is not None and i == shown.at
        else _render_row(knob, i == shown.at, across, g)
        for i, knob in enumerate(shown.knobs[first : first + down], start=first)
    ]
    said = cut(clean(g(_describe_knob(shown.knob))), max(0, width - TITLE_WIDTH), g("…"))
    return draw_frame("what to measure", [(said, "muted")], body, width, height, g, boxed=boxed)


def compute_first_knob(shown: MatrixChoices, room: int) -> int:
    """The first row on show, so that the one with the cursor is."""
    return max(0, min(shown.at - room // 2, len(shown.knobs) - room))


def _describe_knob(knob: KnobChoice) -> str:
    """What the knob under the cursor is; of a preset, what it asks."""
    if knob.name == "preset":
        name = knob.values[knob.at]
        return PRESETS[name].title if isinstance(name, str) else "no preset: choose below"
    return HINTS[knob.name]


def place_values(
    knob: KnobChoice, here: bool, width: int, g: Glyphs
) -> tuple[list[ValueSpan], int]:
    """The values on show, and how many of the row there are behind them."""
    room = width - LABEL_WIDTH
    wide = [2 + measure_text(clean(g(knob.text(value)))) + 1 for value in knob.values]
    first = 0
    if here:
        lead = 2 if sum(wide[: knob.at + 1]) > room else 0
        taken, first = lead + wide[knob.at] + 3, knob.at
        while first > 0 and taken + wide[first - 1] <= room:
            first -= 1
            taken += wide[first]
    found: list[ValueSpan] = []
    at = LABEL_WIDTH + (2 if first else 0)
    for i in range(first, len(wide)):
        last = i == len(wide) - 1
        if found and at + wide[i] + (0 if last else 3) > width:
            break
        found.append(ValueSpan(i, at, wide[i]))
        at += wide[i]
    return found, len(wide) - first - len(found)


def _render_row(knob: KnobChoice, here: bool, width: int, g: Glyphs) -> Row:
    row: Row = [(fit(knob.label, LABEL_WIDTH), "accent-a.bold" if here else "muted")]
    shown, behind = place_values(knob, here, width, g)
    if shown and shown[0].column:
        row.append((fit(g("…"), 2), "muted"))
    for place in shown:
        value = knob.values[place.column]
        chosen, cursor = value in knob.chosen, here and place.column == knob.at
        row += [
            (g("▸") if cursor else " ", "accent-a.bold"),
            (g("●") if chosen else g("·"), "accent-a" if chosen else "muted"),
            (clean(g(knob.text(value))), "text.bold" if chosen else "text" if cursor else "muted"),
            (" ", "text"),
        ]
    if behind:
        out = [knob.values[place.column] for place in shown]
        hidden = sum(value not in out for value in knob.chosen)
        row.append((g("…") + (f"{hidden}" if hidden else ""), "text" if hidden else "muted"))
    return row


def _render_input(knob: KnobChoice, typed: KnobInput, width: int, g: Glyphs) -> Row:
    """The row while something is typed for it; its end stays in sight."""
    row: Row = [(fit(knob.label, LABEL_WIDTH), "accent-a.bold"), ("> ", "accent-a")]
    room = max(1, width - measure_row(row) - 1)
    text = clean(typed.text)
    while measure_text(text) > room:
        text = text[1:]
    said = typed.wrong or ("" if text else FORMS.get(knob.typing, ""))
    row += [(text, "text.bold"), ("_", "accent-a")]
    return [*row, (f"  {g(said)}", "warn" if typed.wrong else "muted")]
