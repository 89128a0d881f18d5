"""The scatter data of a trade-offs plot: its scales, points, lines and guide."""

from __future__ import annotations

from txtop.ui.drawing.scale import Scale, build_linear_scale, build_log_scale
from txtop.ui.drawing.scatter import Polyline, ScatterData, ScatterPoint
from txtop.ui.models.tradeoffs.plot import TradeoffPlot, TradeoffPoint

LOG_FROM_FACTOR = 8.0
MAX_CEILING_FACTOR = 10.0
GUIDE_STEPS = 24
GUIDE_NAME = "linear"
# Behind the name of the horizontal axis, by which of both is logarithmic.
_AXES = {
    (False, False): "",
    (True, False): ", log",
    (False, True): ", vertical log",
    (True, True): ", log-log",
}


def build_scatter(plot: TradeoffPlot, cursor: int | None) -> ScatterData:
    """Build the scatter data; batches, points that stand out and the one under the cursor get
    labels."""
    x, y = choose_scales(plot)
    spots = tuple(
        ScatterPoint(
            p.x, p.y, p.line, _choose_label(plot, p, at_cursor=i == cursor), not p.settled, p.front
        )
        for i, p in enumerate(plot.points)
    )
    guide = _build_guide(plot, cursor) if plot.kind == "lengths" else None
    lines = _build_lines(plot)
    return ScatterData(
        x,
        y,
        plot.x_name + _AXES[x.log, y.log],
        plot.y_name,
        spots,
        lines,
        guide,
        plot.ceilings,
        plot.budgets,
        explain_labels(plot),
    )


def explain_labels(plot: TradeoffPlot) -> str:
    """Explain the numbers beside the points, by the first of them; empty where they speak."""
    label = plot.points[0].label if plot.kind == "rates" and plot.points else ""
    return f"b{label}: batch {label}" if label else ""


def _choose_label(plot: TradeoffPlot, point: TradeoffPoint, *, at_cursor: bool) -> str:
    if plot.kind == "rates":
        return f"b{point.label}"
    if plot.kind == "accuracy":
        return point.name
    if plot.kind == "load" and point.front:
        return f"knee {point.label}"
    return point.label if point.front or point.loose or at_cursor else ""


def choose_scales(plot: TradeoffPlot) -> tuple[Scale, Scale]:
    """Return both scales: logarithmic, but linear from 0 for lengths that span less than a factor
    of eight, where proportional growth is a straight line."""
    xs, ys = [p.x for p in plot.points], [p.y for p in plot.points]
    if plot.kind == "rates":
        near = [height for height, _ in plot.ceilings if height <= MAX_CEILING_FACTOR * max(ys)]
        return build_log_scale(xs), build_log_scale([*ys, *near])
    if plot.kind == "accuracy":
        margins = [place for place, _ in plot.budgets]
        return build_linear_scale([*xs, *margins]), build_linear_scale(ys)
    if plot.kind == "load":
        near = [time for time, _ in plot.budgets if time <= MAX_CEILING_FACTOR * max(xs)]
        return build_log_scale([*xs, *near]), build_linear_scale(ys)
    lengths = sorted(set(xs))
    if max(xs) >= LOG_FROM_FACTOR * min(xs):
        return build_log_scale(xs, lengths), build_log_scale(ys)
    return build_linear_scale(xs, lengths), build_linear_scale(ys)


def _build_lines(plot: TradeoffPlot) -> tuple[tuple[int, Polyline], ...]:
    """Build each line in the order of batch, length or load."""
    lines = []
    for line in range(len(plot.lines)):
        own = [p for p in plot.points if p.line == line]
        if plot.kind == "load":
            lines.append((line, tuple((p.x, p.y) for p in own if not p.loose)))
            continue
        own.sort(key=lambda p: p.row.batch if plot.kind == "rates" else p.row.length)
        lines.append((line, tuple((p.x, p.y) for p in own)))
    return tuple(lines)


def _build_guide(plot: TradeoffPlot, cursor: int | None) -> tuple[Polyline, str] | None:
    """Build the line of times proportional to the length, from the series under the cursor or else
    the first with two points."""
    chosen = [plot.points[cursor].line] if cursor is not None else []
    for line in (*chosen, *range(len(plot.lines))):
        own = [p for p in plot.points if p.line == line]
        if len(own) > 1:
            first, longest = own[0], own[-1].x / own[0].x
            shares = (longest ** (i / GUIDE_STEPS) for i in range(GUIDE_STEPS + 1))
            return tuple((first.x * share, first.y * share) for share in shares), GUIDE_NAME
    return None
