"""The bars of a load, in the place of the hero's chart."""

from __future__ import annotations

from txtop.ui.drawing import charts
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, fit
from txtop.ui.models.loading import LoadBar, LoadingView

LABEL_WIDTH, LAST_WIDTH = 11, 14
# Columns of seconds or bytes: where there is room for both, and seconds alone.
VALUE_WIDTH, SHORT_VALUE_WIDTH = 20, 8
WIDE_FROM = 56


def render_loading(view: LoadingView, area: Area) -> list[Row]:
    """Render exactly the rows of `area`: a bar for each phase, the last ones dropped first."""
    room, g = area.height, area.glyphs
    rows = [_render_bar(bar, area.width, g) for bar in view.bars]
    airy = [row for bar in rows for row in ([], bar)][1:]
    rows = airy if len(airy) < room else rows
    return [*rows, *([[]] * room)][:room]


def _render_bar(bar: LoadBar, width: int, g: Glyphs) -> Row:
    wide = width >= WIDE_FROM
    role = {"done": "muted", "now": "text.bold", "waits": "muted"}[bar.state]
    value = bar.value if wide or " of " not in bar.value else _format_share(bar.share)
    across = VALUE_WIDTH if wide else SHORT_VALUE_WIDTH
    row: Row = [(fit(bar.label, LABEL_WIDTH), "text" if bar.state == "now" else "muted")]
    last = LAST_WIDTH if wide else 0
    room = width - LABEL_WIDTH - across - last
    if room > 0 and bar.share is None:
        row.append((g("╌") * room, "muted"))
    elif room > 0:
        accent = "accent-a" if bar.state == "now" else "plot"
        row += charts.draw_bar(bar.share or 0.0, room, g, accent)
    row.append((fit(value, across, "right"), role))
    if last:
        row.append((fit(f"last {bar.last}" if bar.last else "", last, "right"), "muted"))
    return row


def _format_share(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"
