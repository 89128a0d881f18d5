"""Few points as bars under their plot: the rate and the time of each on common scales."""

from __future__ import annotations

from txtop.ui.drawing import charts
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.scatter import get_series_role, get_series_sign
from txtop.ui.drawing.spans import Row, crop, fit
from txtop.ui.models.tradeoffs.plot import TradeoffPlot, TradeoffPoint
from txtop.ui.panels.tradeoffs.table import LABEL_COLUMNS, compute_name_width

MAX_FEW, MIN_BESIDE_ROWS = 8, 16
VALUE_WIDTH, GAP, MIN_BAR_WIDTH = 8, 2, 8
# A roof that is farther away than this would leave stumps of bars.
MAX_ROOF_FACTOR = 4.0


def count_bar_rows(plot: TradeoffPlot, area: Area) -> int:
    """Return the rows of the bars with their heading; 0 where points are many or room is short."""
    if plot.kind in ("precisions", "accuracy") or len(plot.points) > MAX_FEW:
        return 0
    rows = len(plot.points) + 2
    fits = area.height >= rows + MIN_BESIDE_ROWS and _measure_bar(plot, area.width) >= MIN_BAR_WIDTH
    return rows if fits else 0


def _measure_bar(plot: TradeoffPlot, width: int) -> int:
    named = 2 + compute_name_width(plot) + LABEL_COLUMNS[plot.kind][1]
    return (width - named - 2 * (VALUE_WIDTH + 2 * GAP)) // 2


def render_point_bars(plot: TradeoffPlot, area: Area, cursor: int | None) -> list[Row]:
    """Render a heading and one row a point: its rate, to the roof where one is near, and its
    time."""
    g, bar = area.glyphs, _measure_bar(plot, area.width)
    label, wide = LABEL_COLUMNS[plot.kind]
    lengths = plot.kind == "lengths"
    rates = [point.row.rate_value for point in plot.points]
    times = [point.y if lengths else point.x for point in plot.points]
    most, roof = max(rates), "" if lengths else _name_roof(plot, max(rates))
    if roof:
        most = max(height for height, _ in plot.ceilings)
    column = VALUE_WIDTH + 2 * GAP + bar
    head = " " * (2 + compute_name_width(plot)) + fit(label, wide, "right")
    head += " " * (VALUE_WIDTH - len(plot.unit) + GAP) + fit(f"{plot.unit}{roof}", column)
    rows: list[Row] = [[], [(g(f"{head}{plot.time_head}"), "muted")]]
    for i, point in enumerate(plot.points):
        weight = ".bold" if i == cursor else ""
        row = _render_name(point, plot, wide, g, weight)
        for text, share in ((point.row.rate, rates[i] / most), (point.time, times[i] / max(times))):
            role = get_series_role(point.line)
            row += [
                (" " * GAP + fit(g(text), VALUE_WIDTH, "right") + " " * GAP, "text" + weight),
                *crop(charts.draw_bar(share, bar, g, role), bar),
            ]
        rows.append(row)
    return [crop(row, area.width) for row in rows]


def _name_roof(plot: TradeoffPlot, most: float) -> str:
    near = [name for height, name in plot.ceilings if most <= height <= MAX_ROOF_FACTOR * most]
    return " to the roof" if near else ""


def _render_name(point: TradeoffPoint, plot: TradeoffPlot, wide: int, g: Glyphs, bold: str) -> Row:
    sign = get_series_sign(point.line, g, hollow=not point.settled)
    name = fit(point.name, compute_name_width(plot) - 1, mark=g("…"))
    return [
        (f"{sign} ", get_series_role(point.line)),
        (f"{name} {fit(point.label, wide, 'right')}", "text" + bold),
    ]
