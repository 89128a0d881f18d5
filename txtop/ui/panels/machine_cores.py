"""The cores of the machine: a grid of loads with their histories, or one sign a core."""

from __future__ import annotations

from collections.abc import Sequence

from txtop.ui.drawing import charts
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, fit, measure_row
from txtop.ui.models.machine_detail import Core
from txtop.ui.panels.machine_gauge import (
    CAPACITY_WIDTH,
    GAP,
    HEAD_WIDTH,
    LABEL_WIDTH,
    MAX_AREA_ROWS,
    SCALE_FROM,
    UNIT_WIDTH,
    VALUE_WIDTH,
    compute_span_s,
    draw_history,
)

MIN_ROWS = 2
_NUMBER, _LOAD, _SPARK, _GAP = 3, 4, 4, 2


def render_heading(word: str, remark: str) -> Row:
    """Render the heading of a part."""
    return [(word, "text.bold"), (f"  {remark}" if remark else "", "muted")]


def render_cores(cores: Sequence[Core], width: int, room: int, g: Glyphs) -> list[Row]:
    """Render a grid of cores with their histories in as few columns as possible, else one sign a
    core."""
    if room < MIN_ROWS:
        return []
    narrow = _NUMBER + _LOAD + 1 + _SPARK + _GAP
    for columns in range(1, max(1, width // narrow) + 1):
        lines = -(-len(cores) // columns)
        if lines <= room - 1:
            break
    else:
        return _render_signs(cores, width, room, g)
    wide = (width + _GAP) // columns
    high = max(1, min(MAX_AREA_ROWS, (room - 1) // lines))
    alone = columns == 1 and width >= HEAD_WIDTH + SCALE_FROM
    spark = wide - _NUMBER - _LOAD - 1 - _GAP
    if alone:
        spark = width - HEAD_WIDTH - CAPACITY_WIDTH
    longest = max((core.history for core in cores), key=len)
    span_s = compute_span_s(longest, spark, g)
    rows: list[Row] = [render_heading("cores", f"load in %, each over the last {span_s} s")]
    for line in range(lines):
        block: list[Row] = [[] for _ in range(high)]
        for core in cores[line::lines]:
            for y, row in enumerate(_render_core(core, spark, high, g, alone=alone)):
                block[y] += [*row, (" " * _GAP, "text")]
        rows += block
    return rows


def _render_core(core: Core, spark: int, high: int, g: Glyphs, *, alone: bool) -> list[Row]:
    """Render a core in `high` rows; one that is `alone` in its row stands as the gauges do."""
    drawn = draw_history(core.history, spark, high, 100.0, g)
    load = _format_load(core, g)
    head: Row = [
        (fit(str(core.number), _NUMBER, "right"), "muted"),
        (fit(load, _LOAD, "right"), "text.bold"),
        (" ", "text"),
    ]
    if alone:
        label = f"core {core.number}"
        head = [
            (f"{label} ", "muted"),
            (fit(load, LABEL_WIDTH + VALUE_WIDTH - len(label) - 1, "right"), "text.bold"),
            (fit(" %", UNIT_WIDTH + GAP), "muted"),
        ]
    blank: Row = [(" " * measure_row(head), "text")]
    return [[*(blank if y else head), *line] for y, line in enumerate(drawn)]


def _format_load(core: Core, g: Glyphs) -> str:
    return g("—") if core.now is None else f"{core.now:.0f}"


def _render_signs(cores: Sequence[Core], width: int, room: int, g: Glyphs) -> list[Row]:
    """Render one sign a core, as high as its load."""
    rows: list[Row] = [render_heading("cores", f"{len(cores)}, each as high as its load is now")]
    points = [core.now for core in cores]
    for first in range(0, len(points), max(1, width)):
        part = points[first : first + width]
        rows.append([("".join(_draw_sign(value, g) for value in part), "plot")])
    return rows[:room]


def _draw_sign(value: float | None, g: Glyphs) -> str:
    if value is None:
        return "?"
    return g.steps[1 + round(charts.compute_share(value, 0.0, 100.0) * (len(g.steps) - 2))]
