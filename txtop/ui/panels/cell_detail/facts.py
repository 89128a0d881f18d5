"""Text tables of the cell detail: metrics, facts, and the command that repeats the cell."""

from __future__ import annotations

from collections.abc import Sequence

from txtop import formatting
from txtop.stats.summary import PERCENTILE_FLOORS, compute_relative_half_width
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, fit, wrap
from txtop.ui.models.cell_detail.facts import FactGroup
from txtop.ui.models.cell_detail.metrics import DetailMetric
from txtop.ui.panels.command_line import render_command

LABEL_WIDTH = 12
MAX_LINES = 8
NAME_WIDTH, MEAN_WIDTH, UNIT_WIDTH, HALF_INTERVAL_WIDTH, INTERVAL_WIDTH, PERCENTILE_WIDTH = (
    8,
    7,
    7,
    8,
    20,
    9,
)


def render_metrics(metrics: Sequence[DetailMetric], width: int, g: Glyphs) -> list[Row]:
    """Render one row a metric: mean, half width, interval if there is room, then percentiles or the
    iterations each needs."""
    if not metrics:
        return [[("no figures yet", "muted")]]
    left = width - NAME_WIDTH - MEAN_WIDTH - UNIT_WIDTH - HALF_INTERVAL_WIDTH
    names = next((figure.percentiles for figure in metrics if figure.percentiles), ())
    count = min(len(names), max(0, left // PERCENTILE_WIDTH))
    interval = INTERVAL_WIDTH if left - count * PERCENTILE_WIDTH >= INTERVAL_WIDTH else 0
    head = (
        " " * NAME_WIDTH
        + fit("mean", MEAN_WIDTH, "right")
        + " " * (UNIT_WIDTH + HALF_INTERVAL_WIDTH)
    )
    head += fit("95 %" if interval else "", interval, "right")
    head += "".join(fit(f"p{p}", PERCENTILE_WIDTH, "right") for p, _ in names[:count])
    return [[(head, "muted")], *(_render_metric(metric, count, interval, g) for metric in metrics)]


def _render_metric(metric: DetailMetric, count: int, interval: int, g: Glyphs) -> Row:
    row: Row = [(fit(metric.label, NAME_WIDTH), "muted")]
    if metric.mean is None:
        return [*row, (g(metric.note or formatting.MISSING), "muted")]
    value = formatting.format_ms if metric.unit == "ms" else formatting.format_number
    row += [
        (fit(value(metric.mean), MEAN_WIDTH, "right"), "text.bold"),
        (fit(f" {metric.unit}", UNIT_WIDTH), "muted"),
        (
            fit(
                g(
                    formatting.format_half_width(
                        compute_relative_half_width(metric.mean, metric.ci95)
                    )
                ),
                HALF_INTERVAL_WIDTH,
            ),
            "text",
        ),
    ]
    if interval:
        low_high = formatting.format_interval(metric.ci95).removesuffix(" 95 %")
        row.append((fit(low_high, interval, "right"), "text"))
    for p, stated in metric.percentiles[:count]:
        content = f"from {PERCENTILE_FLOORS[p]}" if stated is None else value(stated)
        row.append((fit(content, PERCENTILE_WIDTH, "right"), "muted" if stated is None else "text"))
    return row


def render_fact_group(group: FactGroup, width: int, g: Glyphs) -> list[Row]:
    """Render labels at the left and each text in as many rows as necessary."""
    plain = not any(fact.label for fact in group.said)
    label = 0 if plain else min(LABEL_WIDTH, max(0, width // 3))
    rows: list[Row] = []
    for fact in group.said:
        lines = wrap(g(fact.text), max(1, width - label), MAX_LINES, g("…"))
        for i, line in enumerate(lines):
            name = fit(fact.label if i == 0 else "", label, mark=g("…"))
            rows.append([(name, "muted"), (line, fact.role)])
    return rows


def render_reproduce_command(command: str, width: int, g: Glyphs) -> list[Row]:
    """Render the command that repeats the cell."""
    if not command:
        return [[("no command line can spell it", "muted")]]
    return render_command(command, width, g)
