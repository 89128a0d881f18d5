"""Where two arms begin to write differently: the common text once, then each."""

from __future__ import annotations

from txtop.ui.drawing.frame import framed, inside
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, cells, clean, crop, cut, fit
from txtop.ui.models.ab import Duel
from txtop.ui.models.ab_divergence import Difference
from txtop.ui.panels.ab_arm import ROLES

LABEL = 10


def parting(shown: Duel, width: int, height: int, g: Glyphs, *, boxed: bool) -> list[Row]:
    """The panel with its frame."""
    across, down = inside(width, height, boxed)
    found = shown.comparison.difference
    body = _large(shown, found, across, g) if down >= 4 else _small(shown, found, across, g)
    said: Row = [(found.heading, "muted")] if found.heading else []
    return framed("first difference", said, body, width, height, g, boxed=boxed)


def _large(shown: Duel, found: Difference, width: int, g: Glyphs) -> list[Row]:
    rows: list[Row] = []
    room = max(1, width - LABEL)
    if found.texts is not None:
        rows.append([(fit("same", LABEL), "muted"), (_tail(found.common, room, g), "muted")])
        for side, text in enumerate(found.texts):
            lane = shown.sides[side]
            name = fit(f"{lane.letter}  {lane.name}", LABEL, mark=g("…"))
            rows.append([(name, f"{ROLES[side]}.bold"), *_parted(text, ROLES[side], room, g)])
        rows.append([])
    elif found.why:
        rows.append([(cut(clean(g(found.why)), width, g("…")), "muted")])
        if found.common:
            rows.append([(fit("same", LABEL), "muted"), (_tail(found.common, room, g), "muted")])
    if found.figures:
        row: Row = [(fit("output", LABEL), "muted")]
        for label, value in found.figures:
            row += [(f"{label} ", "muted"), (f"{g(value)}   ", "text.bold")]
        rows.append(row)
    return rows


def _small(shown: Duel, found: Difference, width: int, g: Glyphs) -> list[Row]:
    if found.texts is None:
        said = found.why or "   ".join(f"{label} {value}" for label, value in found.figures)
        return [[(cut(clean(g(said)), width, g("…")), "muted")]]
    rows: list[Row] = []
    common = _tail(found.common, width // 3, g)
    for side, text in enumerate(found.texts):
        room = max(1, width - 2 - cells(common))
        lane = shown.sides[side]
        rows.append(
            [
                (f"{lane.letter} ", f"{ROLES[side]}.bold"),
                (common, "muted"),
                *_parted(text, ROLES[side], room, g),
            ]
        )
    return rows


def _parted(text: str, role: str, room: int, g: Glyphs) -> Row:
    """The first word in the arm's colour, the rest plain."""
    said = clean(text)
    rest = said.lstrip()
    blank = said[: len(said) - len(rest)]
    word, space, after = rest.partition(" ")
    row: Row = [(blank + word, f"{role}.bold"), (space + after, "text")]
    return crop(row, room)


def _tail(text: str, room: int, g: Glyphs) -> str:
    """The end of a text, on one line."""
    said = clean(text)
    if cells(said) <= room:
        return said
    mark = g("…")
    while said and cells(said) > room - len(mark):
        said = said[1:]
    return mark + said
