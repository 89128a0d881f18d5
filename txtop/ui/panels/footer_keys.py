"""The row of the footer: the keys that fit, and which of them stands in a column."""

from __future__ import annotations

from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, crop, measure_text
from txtop.ui.keymap import PANEL_WORDS, PANELS, KeyHints
from txtop.ui.models.layout import BOXED_FROM


def render_footer(keys: KeyHints, width: int, g: Glyphs) -> list[Row]:
    """Render the keys that fit."""
    row: Row = [(" ", "text")]
    for key, word in _select_fitting_keys(keys, width, g):
        row += [(g(key), "accent-a.bold"), (f" {g(word)}   ", "muted")]
    return [crop(row, width)]


def find_footer_key(keys: KeyHints, width: int, g: Glyphs, x: int) -> str:
    """Return the key at column `x` of the footer; on a label, the first of its keys; empty between
    them."""
    at = 1
    for key, word in _select_fitting_keys(keys, width, g):
        first = key.split(" ")[0]
        for sign in key.split(" "):
            wide = measure_text(clean(g(sign)))
            if at <= x < at + wide:
                return sign
            at += wide + 1
        wide = measure_text(clean(g(word)))
        if at <= x < at + wide:
            return first
        at += wide + 3
    return ""


def _select_fitting_keys(keys: KeyHints, width: int, g: Glyphs) -> KeyHints:
    """Drop keys that have no room, from the end; the panels get a word each if all have room.

    Help and quit stay longest, and from the width on at which panels stand side by side their keys
    do, too. A column at the end stays free: a word that touches the edge looks cut.
    """
    room = width - 1
    spread = [hint for key in keys for hint in _spread_panels(key)]
    if _measure_footer(spread, g) <= room:
        return spread
    fitting = list(keys)
    stays = 3 if width >= BOXED_FROM[0] and len(keys) > 2 and keys[-3][0][0] == "1" else 2
    while len(fitting) > stays and _measure_footer(fitting, g) > room:
        del fitting[-stays - 1]
    if len(fitting) == 2 and _measure_footer(fitting, g) > room:
        fitting = fitting[1:]
    return fitting


def _spread_panels(hint: tuple[str, str]) -> KeyHints:
    keys, word = hint
    return [(key, PANEL_WORDS[key]) for key in keys.split(" ")] if word == PANELS else [hint]


def _measure_footer(keys: KeyHints, g: Glyphs) -> int:
    return 1 + sum(measure_text(clean(f"{g(key)} {g(word)}")) + 3 for key, word in keys) - 3
