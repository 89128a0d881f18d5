"""Where two arms begin to write differently: the common text once, then each."""

from __future__ import annotations

from txtop.ui.drawing import glyphs
from txtop.ui.drawing.frame import compute_inner_size, draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, crop, cut, fit, measure_text
from txtop.ui.models.ab import ABView
from txtop.ui.models.ab_divergence import ABDivergenceView
from txtop.ui.panels.ab_arm import ARM_ROLES
from txtop.ui.panels.base import FramedPanel

LABEL_WIDTH = 10


def render_ab_divergence(
    shown: ABView, width: int, height: int, g: Glyphs, *, boxed: bool
) -> list[Row]:
    """The panel with its frame."""
    across, down = compute_inner_size(width, height, boxed)
    found = shown.comparison.difference
    body = (
        _render_large(shown, found, across, g)
        if down >= 4
        else _render_small(shown, found, across, g)
    )
    said: Row = [(found.heading, "muted")] if found.heading else []
    return draw_frame("first difference", said, body, width, height, g, boxed=boxed)


def _render_large(shown: ABView, found: ABDivergenceView, width: int, g: Glyphs) -> list[Row]:
    rows: list[Row] = []
    room = max(1, width - LABEL_WIDTH)
    if found.texts is not None:
        rows.append(
            [(fit("same", LABEL_WIDTH), "muted"), (_cut_start(found.common, room, g), "muted")]
        )
        for side, text in enumerate(found.texts):
            lane = shown.sides[side]
            name = fit(f"{lane.letter}  {lane.name}", LABEL_WIDTH, mark=g("…"))
            rows.append(
                [
                    (name, f"{ARM_ROLES[side]}.bold"),
                    *_colour_first_word(text, ARM_ROLES[side], room, g),
                ]
            )
        rows.append([])
    elif found.why:
        rows.append([(cut(clean(g(found.why)), width, g("…")), "muted")])
        if found.common:
            rows.append(
                [(fit("same", LABEL_WIDTH), "muted"), (_cut_start(found.common, room, g), "muted")]
            )
    if found.figures:
        row: Row = [(fit("output", LABEL_WIDTH), "muted")]
        for label, value in found.figures:
            row += [(f"{label} ", "muted"), (f"{g(value)}   ", "text.bold")]
        rows.append(row)
    return rows


def _render_small(shown: ABView, found: ABDivergenceView, width: int, g: Glyphs) -> list[Row]:
    if found.texts is None:
        said = found.why or "   ".join(f"{label} {value}" for label, value in found.figures)
        return [[(cut(clean(g(said)), width, g("…")), "muted")]]
    rows: list[Row] = []
    common = _cut_start(found.common, width // 3, g)
    for side, text in enumerate(found.texts):
        room = max(1, width - 2 - measure_text(common))
        lane = shown.sides[side]
        rows.append(
            [
                (f"{lane.letter} ", f"{ARM_ROLES[side]}.bold"),
                (common, "muted"),
                *_colour_first_word(text, ARM_ROLES[side], room, g),
            ]
        )
    return rows


def _colour_first_word(text: str, role: str, room: int, g: Glyphs) -> Row:
    """The first word in the arm's colour, the rest plain."""
    said = clean(text)
    rest = said.lstrip()
    blank = said[: len(said) - len(rest)]
    word, space, after = rest.partition(" ")
    row: Row = [(blank + word, f"{role}.bold"), (space + after, "text")]
    return crop(row, room)


def _cut_start(text: str, room: int, g: Glyphs) -> str:
    """The end of a text, on one line."""
    said = clean(text)
    if measure_text(said) <= room:
        return said
    mark = g("…")
    while said and measure_text(said) > room - len(mark):
        said = said[1:]
    return mark + said


class ABDivergencePanel(FramedPanel):
    """What two arms write, from where it differs."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.shown.duel is None:
            return []
        return render_ab_divergence(
            self.shown.duel, width, height, glyphs.get_glyphs(), boxed=self.boxed
        )
