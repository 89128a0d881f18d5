"""Tables of words and figures: metrics, what is known of a cell, and the command to repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from txtop import formatting
from txtop.stats.summary import PERCENTILE_FLOORS, compute_relative_half_width
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, fit, measure_text, wrap
from txtop.ui.models.cell_detail.facts import FactGroup
from txtop.ui.models.cell_detail.metrics import DetailMetric

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
INDENT = "  "


def render_metrics(shown: Sequence[DetailMetric], width: int, g: Glyphs) -> list[Row]:
    """A row a metric: mean, half the interval and the interval itself where there is room, then
    percentiles or how many iterations each needs."""
    if not shown:
        return [[("no figures yet", "muted")]]
    left = width - NAME_WIDTH - MEAN_WIDTH - UNIT_WIDTH - HALF_INTERVAL_WIDTH
    names = next((figure.percentiles for figure in shown if figure.percentiles), ())
    count = min(len(names), max(0, left // PERCENTILE_WIDTH))
    interval = INTERVAL_WIDTH if left - count * PERCENTILE_WIDTH >= INTERVAL_WIDTH else 0
    head = (
        " " * NAME_WIDTH
        + fit("mean", MEAN_WIDTH, "right")
        + " " * (UNIT_WIDTH + HALF_INTERVAL_WIDTH)
    )
    head += fit("95 %" if interval else "", interval, "right")
    head += "".join(fit(f"p{p}", PERCENTILE_WIDTH, "right") for p, _ in names[:count])
    return [[(head, "muted")], *(_render_metric(each, count, interval, g) for each in shown)]


def _render_metric(shown: DetailMetric, count: int, interval: int, g: Glyphs) -> Row:
    row: Row = [(fit(shown.label, NAME_WIDTH), "muted")]
    if shown.mean is None:
        return [*row, (g(shown.note or formatting.MISSING), "muted")]
    value = formatting.format_ms if shown.unit == "ms" else formatting.format_number
    row += [
        (fit(value(shown.mean), MEAN_WIDTH, "right"), "text.bold"),
        (fit(f" {shown.unit}", UNIT_WIDTH), "muted"),
        (
            fit(
                g(
                    formatting.format_half_width(
                        compute_relative_half_width(shown.mean, shown.ci95)
                    )
                ),
                HALF_INTERVAL_WIDTH,
            ),
            "text",
        ),
    ]
    if interval:
        low_high = formatting.format_interval(shown.ci95).removesuffix(" 95 %")
        row.append((fit(low_high, interval, "right"), "text"))
    for p, stated in shown.percentiles[:count]:
        said = f"from {PERCENTILE_FLOORS[p]}" if stated is None else value(stated)
        row.append((fit(said, PERCENTILE_WIDTH, "right"), "muted" if stated is None else "text"))
    return row


def render_fact_group(group: FactGroup, width: int, g: Glyphs) -> list[Row]:
    """Labels at the left, each text over as many rows as it takes."""
    plain = not any(each.label for each in group.said)
    label = 0 if plain else min(LABEL_WIDTH, max(0, width // 3))
    rows: list[Row] = []
    for each in group.said:
        lines = wrap(g(each.text), max(1, width - label), MAX_LINES, g("…"))
        for i, line in enumerate(lines):
            name = fit(each.label if i == 0 else "", label, mark=g("…"))
            rows.append([(name, "muted"), (line, each.role)])
    return rows


def render_command(text: str, width: int, g: Glyphs) -> list[Row]:
    """Broken between words with a backslash, so that what is copied from a screen still runs."""
    if not text:
        return [[("no command line can spell it", "muted")]]
    lines: list[str] = []
    for word in _split_command(text, width - len(INDENT) - 2):
        last = lines[-1] if lines else ""
        if lines and measure_text(last) + 1 + measure_text(word) + 2 <= width:
            lines[-1] = f"{last} {word}"
        else:
            lines.append((INDENT if lines else "") + word)
    rows: list[Row] = []
    for i, line in enumerate(lines):
        ending = " \\" if i < len(lines) - 1 else ""
        parts = wrap(line, max(1, width - 2), MAX_LINES, g("…"))
        indent = INDENT if i else ""
        rows += [[((indent if j == 0 else "") + part, "text")] for j, part in enumerate(parts[:-1])]
        lead = indent if len(parts) == 1 else ""
        rows.append([(lead + parts[-1], "text"), (ending, "muted")])
    return rows


def _split_command(text: str, most: int) -> list[str]:
    """The words as a shell wants them, each option with its value where both fit."""
    found: list[str] = []
    for word in (clean(shlex.quote(word)) for word in shlex.split(text)):
        alone = found and found[-1].startswith("-") and " " not in found[-1]
        fits = found and measure_text(found[-1]) + 1 + measure_text(word) <= most
        if alone and fits and not word.startswith("-") and "=" not in found[-1]:
            found[-1] = f"{found[-1]} {word}"
        elif len(found) == 1 and found[0] == "txtop":
            found[0] = f"txtop {word}"
        else:
            found.append(word)
    return found
