"""The phases of a load as one bar in proportion, with their names and seconds under it."""

from __future__ import annotations

from collections.abc import Sequence

from txtop import formatting
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.scatter import ROLES, get_series_role, get_series_sign
from txtop.ui.drawing.spans import Row, Span, clean, measure_text
from txtop.ui.models.cell_detail.detail import LoadPhasesView

OTHER = "other"
MIN_PHASE_S = 0.005


def render_load_time(view: LoadPhasesView, g: Glyphs) -> Row:
    """Render the total load time, marked if another cell shared it."""
    if view.load_s is None:
        return []
    row: Row = [(formatting.format_number(view.load_s), "text"), (" s", "muted")]
    return [("shared ", "text"), *row] if view.shared else row


def render_load_phases(view: LoadPhasesView, width: int, g: Glyphs) -> list[Row]:
    """Render the bar, then the names; during the load, the current phase."""
    if view.load_s is None:
        return [[(view.now or g(formatting.MISSING), "text" if view.now else "muted")]]
    parts = _list_parts(view)
    wide = apportion_width([seconds for _, seconds in parts], max(0, width))
    bar: Row = [draw_piece(i, columns, g) for i, columns in enumerate(wide) if columns]
    return [bar, *_render_names(parts, width, g), *_render_remark(view)]


def _list_parts(view: LoadPhasesView) -> list[tuple[str, float]]:
    """Return the phases that took time, and the remainder."""
    rest = (view.load_s or 0.0) - sum(seconds for _, seconds in view.phases)
    parts = [*view.phases, (OTHER, rest)]
    return [(name, seconds) for name, seconds in parts if seconds >= MIN_PHASE_S]


def _render_remark(view: LoadPhasesView) -> list[Row]:
    if view.now:
        return [[(view.now, "text")]]
    if view.shared:
        return [[("model already loaded; times from an earlier cell", "muted")]]
    return []


def apportion_width(shares: Sequence[float], width: int) -> list[int]:
    """Return column counts in proportion that add up to `width`, by the largest remainder
    method."""
    whole = sum(shares)
    if not shares or whole <= 0:
        return [0] * len(shares)
    exact = [share / whole * width for share in shares]
    widths = [int(columns) for columns in exact]
    order = sorted(range(len(shares)), key=lambda i: exact[i] - widths[i], reverse=True)
    for i in order[: width - sum(widths)]:
        widths[i] += 1
    return widths


def draw_piece(piece: int, columns: int, g: Glyphs) -> Span:
    """Draw one piece of a bar, dashed once the colours begin again; the blank at its end separates
    neighbours without colours."""
    line = g("╍" if piece >= len(ROLES) else "━")
    return line * (columns - 1) + " " if columns > 1 else g("·"), get_series_role(piece)


def _render_names(parts: Sequence[tuple[str, float]], width: int, g: Glyphs) -> list[Row]:
    """Render names with their seconds and colour signs, in as many rows as necessary."""
    rows: list[Row] = [[]]
    used = 0
    for i, (name, seconds) in enumerate(parts):
        took = f"{formatting.format_number(seconds)} s"
        sign, name = get_series_sign(i, g), clean(name)
        wide = measure_text(sign) + 1 + measure_text(name) + 1 + len(took) + 3
        if used and used + wide - 3 > width:
            rows.append([])
            used = 0
        role = get_series_role(i)
        rows[-1] += [(f"{sign} ", role), (f"{name} ", "muted"), (f"{took}   ", "text")]
        used += wide
    return rows
