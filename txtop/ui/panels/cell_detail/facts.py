"""Tables of words and figures: metrics, what is known of a cell, and the command to repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from txtop import formatting
from txtop.stats.summary import PERCENTILE_FLOORS, compute_relative_half_width
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, cells, clean, fit, wrapped
from txtop.ui.models.cell_detail.facts import Group
from txtop.ui.models.cell_detail.metrics import Figure

LABEL = 12
MOST_LINES = 8
NAME, MEAN, UNIT, HALF, INTERVAL, PERCENTILE = 8, 7, 7, 8, 20, 9
INDENT = "  "


def figures(shown: Sequence[Figure], width: int, g: Glyphs) -> list[Row]:
    """A row a metric: mean, half the interval and the interval itself where there is room, then
    percentiles or how many iterations each needs."""
    if not shown:
        return [[("no figures yet", "muted")]]
    left = width - NAME - MEAN - UNIT - HALF
    names = next((figure.percentiles for figure in shown if figure.percentiles), ())
    count = min(len(names), max(0, left // PERCENTILE))
    interval = INTERVAL if left - count * PERCENTILE >= INTERVAL else 0
    head = " " * NAME + fit("mean", MEAN, "right") + " " * (UNIT + HALF)
    head += fit("95 %" if interval else "", interval, "right")
    head += "".join(fit(f"p{p}", PERCENTILE, "right") for p, _ in names[:count])
    return [[(head, "muted")], *(_figure(each, count, interval, g) for each in shown)]


def _figure(shown: Figure, count: int, interval: int, g: Glyphs) -> Row:
    row: Row = [(fit(shown.label, NAME), "muted")]
    if shown.mean is None:
        return [*row, (g(shown.note or formatting.MISSING), "muted")]
    value = formatting.ms if shown.unit == "ms" else formatting.three
    row += [
        (fit(value(shown.mean), MEAN, "right"), "text.bold"),
        (fit(f" {shown.unit}", UNIT), "muted"),
        (
            fit(g(formatting.half(compute_relative_half_width(shown.mean, shown.ci95))), HALF),
            "text",
        ),
    ]
    if interval:
        low_high = formatting.interval(shown.ci95).removesuffix(" 95 %")
        row.append((fit(low_high, interval, "right"), "text"))
    for p, stated in shown.percentiles[:count]:
        said = f"need {PERCENTILE_FLOORS[p]}" if stated is None else value(stated)
        row.append((fit(said, PERCENTILE, "right"), "muted" if stated is None else "text"))
    return row


def told(group: Group, width: int, g: Glyphs) -> list[Row]:
    """Labels at the left, each text over as many rows as it takes."""
    plain = not any(each.label for each in group.said)
    label = 0 if plain else min(LABEL, max(0, width // 3))
    rows: list[Row] = []
    for each in group.said:
        lines = wrapped(g(each.text), max(1, width - label), MOST_LINES, g("…"))
        for i, line in enumerate(lines):
            name = fit(each.label if i == 0 else "", label, mark=g("…"))
            rows.append([(name, "muted"), (line, each.role)])
    return rows


def command(text: str, width: int, g: Glyphs) -> list[Row]:
    """Broken between words with a backslash, so that what is copied from a screen still runs."""
    if not text:
        return [[("no command line can spell it", "muted")]]
    lines: list[str] = []
    for word in _units(text, width - len(INDENT) - 2):
        last = lines[-1] if lines else ""
        if lines and cells(last) + 1 + cells(word) + 2 <= width:
            lines[-1] = f"{last} {word}"
        else:
            lines.append((INDENT if lines else "") + word)
    rows: list[Row] = []
    for i, line in enumerate(lines):
        ending = " \\" if i < len(lines) - 1 else ""
        parts = wrapped(line, max(1, width - 2), MOST_LINES, g("…"))
        indent = INDENT if i else ""
        rows += [[((indent if j == 0 else "") + part, "text")] for j, part in enumerate(parts[:-1])]
        lead = indent if len(parts) == 1 else ""
        rows.append([(lead + parts[-1], "text"), (ending, "muted")])
    return rows


def _units(text: str, most: int) -> list[str]:
    """The words as a shell wants them, each option with its value where both fit."""
    found: list[str] = []
    for word in (clean(shlex.quote(word)) for word in shlex.split(text)):
        alone = found and found[-1].startswith("-") and " " not in found[-1]
        fits = found and cells(found[-1]) + 1 + cells(word) <= most
        if alone and fits and not word.startswith("-") and "=" not in found[-1]:
            found[-1] = f"{found[-1]} {word}"
        elif len(found) == 1 and found[0] == "txtop":
            found[0] = f"txtop {word}"
        else:
            found.append(word)
    return found
