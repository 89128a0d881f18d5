"""The phases of a load as one bar in proportion, with their names and seconds under it."""

from __future__ import annotations

from collections.abc import Sequence

from txtop import formatting
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, measure_text
from txtop.ui.models.cell_detail.detail import LoadPhasesView

ROLES = ("accent-a", "accent-b", "text", "muted")
SIGNS = ("●", "■", "▲", "◆")
OTHER = "other"
MIN_PHASE_S = 0.005


def render_load_time(shown: LoadPhasesView, g: Glyphs) -> Row:
    """How long all of it took, and whose it was."""
    if shown.load_s is None:
        return []
    row: Row = [(formatting.format_seconds(shown.load_s), "text"), (" s", "muted")]
    return [("shared ", "text"), *row] if shown.shared else row


def render_load_phases(shown: LoadPhasesView, width: int, g: Glyphs) -> list[Row]:
    """The bar, then the names; while it loads what it does now."""
    if shown.load_s is None:
        return [[(shown.now or g(formatting.MISSING), "text" if shown.now else "muted")]]
    parts = _list_parts(shown)
    wide = apportion_width([seconds for _, seconds in parts], max(0, width))
    bar: Row = [
        (_draw_piece(columns, g), ROLES[i % len(ROLES)])
        for i, columns in enumerate(wide)
        if columns
    ]
    return [bar, *_render_names(parts, width, g), *_render_remark(shown)]


def _list_parts(shown: LoadPhasesView) -> list[tuple[str, float]]:
    """The phases that took any time, and what is in none of them."""
    rest = (shown.load_s or 0.0) - sum(seconds for _, seconds in shown.phases)
    parts = [*shown.phases, (OTHER, rest)]
    return [(name, seconds) for name, seconds in parts if seconds >= MIN_PHASE_S]


def _render_remark(shown: LoadPhasesView) -> list[Row]:
    if shown.now:
        return [[(shown.now, "text")]]
    if shown.shared:
        return [[("model already loaded; times from an earlier cell", "muted")]]
    return []


def apportion_width(shares: Sequence[float], width: int) -> list[int]:
    """Columns in proportion that add up to `width`: the largest remainders get what is left."""
    whole = sum(shares)
    if not shares or whole <= 0:
        return [0] * len(shares)
    exact = [share / whole * width for share in shares]
    found = [int(columns) for columns in exact]
    order = sorted(range(len(shares)), key=lambda i: exact[i] - found[i], reverse=True)
    for i in order[: width - sum(found)]:
        found[i] += 1
    return found


def _draw_piece(columns: int, g: Glyphs) -> str:
    """Ends in a blank, so that neighbours are told apart without colours."""
    return g("━") * (columns - 1) + " " if columns > 1 else g("·")


def _render_names(parts: Sequence[tuple[str, float]], width: int, g: Glyphs) -> list[Row]:
    """Names with their seconds and the sign of their colour, over as many rows as they take."""
    rows: list[Row] = [[]]
    used = 0
    for i, (name, seconds) in enumerate(parts):
        took = formatting.format_seconds(seconds)
        sign, name = g(SIGNS[i % len(SIGNS)]), clean(name)
        wide = measure_text(sign) + 1 + measure_text(name) + 1 + len(took) + 3
        if used and used + wide - 3 > width:
            rows.append([])
            used = 0
        role = ROLES[i % len(ROLES)]
        rows[-1] += [(f"{sign} ", role), (f"{name} ", "muted"), (f"{took}   ", "text")]
        used += wide
    return rows
