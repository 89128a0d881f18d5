"""The panel of the first difference between two outputs: the common text once, then both."""

from __future__ import annotations

from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, crop, cut, fit, measure_text
from txtop.ui.models.ab import ABView
from txtop.ui.models.ab_divergence import ABDivergenceView
from txtop.ui.panels.base import ARM_ROLES, FramedPanel

LABEL_WIDTH = 10
# Names are whole while they leave this share of the row to the text.
MAX_LABEL_SHARE = 0.25


def render_ab_divergence(view: ABView, area: Area) -> list[Row]:
    """Render the panel with its frame."""
    g = area.glyphs
    inside = area.inside
    divergence = view.comparison.difference
    body = (
        _render_large(view, divergence, inside.width, g)
        if inside.height >= 4
        else _render_small(view, divergence, inside.width, g)
    )
    subtitle: Row = [(divergence.heading, "muted")] if divergence.heading else []
    return draw_frame("first difference", subtitle, body, area)


def _render_large(view: ABView, divergence: ABDivergenceView, width: int, g: Glyphs) -> list[Row]:
    rows: list[Row] = []
    most = int(MAX_LABEL_SHARE * width)
    names = [f"{arm.letter}  {arm.name}" for arm in view.sides]
    if _measure_longest(names) > most:
        names = [f"{arm.letter}  {g(arm.short_name)}" for arm in view.sides]
    wide = max(LABEL_WIDTH, min(_measure_longest(names), most))
    room = max(1, width - wide)
    if divergence.texts is not None:
        rows.append(
            [(fit("same", wide), "muted"), (_cut_start(divergence.common, room, g), "muted")]
        )
        for side, text in enumerate(divergence.texts):
            rows.append(
                [
                    (fit(names[side], wide, mark=g("…")), f"{ARM_ROLES[side]}.bold"),
                    *_colour_first_word(text, ARM_ROLES[side], room, g),
                ]
            )
        rows.append([])
    elif divergence.why:
        rows.append([(cut(clean(g(divergence.why)), width, g("…")), "muted")])
        if divergence.common:
            rows.append(
                [
                    (fit("same", wide), "muted"),
                    (_cut_start(divergence.common, room, g), "muted"),
                ]
            )
    if divergence.figures:
        row: Row = [(fit("output", wide), "muted")]
        for label, value in divergence.figures:
            row += [(f"{label} ", "muted"), (f"{g(value)}   ", "text.bold")]
        rows.append(row)
    return rows


def _measure_longest(names: list[str]) -> int:
    return 2 + max(measure_text(clean(name)) for name in names)


def _render_small(view: ABView, divergence: ABDivergenceView, width: int, g: Glyphs) -> list[Row]:
    if divergence.texts is None:
        sentence = divergence.why or "   ".join(
            f"{label} {value}" for label, value in divergence.figures
        )
        return [[(cut(clean(g(sentence)), width, g("…")), "muted")]]
    rows: list[Row] = []
    common = _cut_start(divergence.common, width // 3, g)
    for side, text in enumerate(divergence.texts):
        room = max(1, width - 2 - measure_text(common))
        arm = view.sides[side]
        rows.append(
            [
                (f"{arm.letter} ", f"{ARM_ROLES[side]}.bold"),
                (common, "muted"),
                *_colour_first_word(text, ARM_ROLES[side], room, g),
            ]
        )
    return rows


def _colour_first_word(text: str, role: str, room: int, g: Glyphs) -> Row:
    """Colour the first word in the arm's role and leave the rest plain."""
    cleaned = clean(text)
    rest = cleaned.lstrip()
    blank = cleaned[: len(cleaned) - len(rest)]
    word, space, after = rest.partition(" ")
    row: Row = [(blank + word, f"{role}.bold"), (space + after, "text")]
    return crop(row, room)


def _cut_start(text: str, room: int, g: Glyphs) -> str:
    """Cut the start of a text, so that its end fits one line."""
    kept = clean(text)
    if measure_text(kept) <= room:
        return kept
    mark = g("…")
    while kept and measure_text(kept) > room - len(mark):
        kept = kept[1:]
    return mark + kept


class ABDivergencePanel(FramedPanel):
    """The output of two arms, from the first difference on."""

    def build(self, width: int, height: int) -> list[Row]:
        if self.view.ab is None:
            return []
        return render_ab_divergence(self.view.ab, self.area(width, height))
