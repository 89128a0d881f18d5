"""The panel of `txtop tune`: the leaders' intervals on one axis, then who left and why."""

from __future__ import annotations

import math

from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, cut_parts, fit, fit_block, join_ends, measure_text
from txtop.ui.models.ab_comparison import FunnelInterval
from txtop.ui.models.race import CandidateRow, RaceView
from txtop.ui.models.view import View
from txtop.ui.panels.ab_funnel import RatioAxis
from txtop.ui.panels.base import FramedPanel

LEAST_NAME, MOST_NAME = 14, 44
FIGURE_WIDTH, GIB_WIDTH, OUTPUT_WIDTH = 12, 9, 16
LEAST_AXIS = 18
# The axis holds no more than this share of the leader, else nothing is seen beside it.
LOWEST, HIGHEST = 0.5, 1.25


class RacePanel(FramedPanel):
    """The race of the session."""

    def build(self, width: int, height: int) -> list[Row]:
        return render_race(self.view, self.area(width, height))


def render_race(view: View, area: Area) -> list[Row]:
    """Render exactly `area.height` rows."""
    g, inside, race = area.glyphs, area.inside, view.race
    if race is None:
        return draw_frame("race", [], [[("no race", "muted")]], area)
    body = _render_head(race, inside)
    body += _render_rows(race, inside, inside.height - len(body))
    subtitle: Row = [(g(race.goal), "muted")]
    return draw_frame("race", subtitle, fit_block(body, inside.width, inside.height), area)


def _render_head(race: RaceView, area: Area) -> list[Row]:
    """Render the outcome if there is one, and how far the race is."""
    g = area.glyphs
    rows: list[Row] = []
    most = max(1, min(len(race.verdict), area.height // 4))
    for number, line in enumerate(race.verdict[:most]):
        text = cut_parts(_drop_parts(g(line), area.width), area.width, g("…"))
        rows.append([(text, race.role if number == 0 else "text")])
    rest = "remaining" if race.stage == "finished" else "in"
    parts = [race.stage, f"{race.running} of {race.count} {rest}"]
    left: Row = [(g(" · ".join(parts)), "text.bold")]
    gone = ", ".join(f"{count} {why}" for why, count in race.departures)
    room = area.width - measure_text(left[0][0]) - measure_text(race.spent) - 2
    if gone and room > len(" · "):
        left.append((cut_parts(g(f" · {gone}"), room, g("…")), "muted"))
    rows.append(join_ends(left, [(g(race.spent), "muted")], area.width))
    return rows


def _drop_parts(line: str, width: int) -> str:
    """Drop parts from the end of a line until it fits; the first stays."""
    parts = line.split("  ")
    while len(parts) > 1 and measure_text("  ".join(parts)) > width:
        parts.pop()
    return "  ".join(parts)


def _render_rows(race: RaceView, area: Area, height: int) -> list[Row]:
    """Render the candidates that are in with their intervals, the axis, and those that left."""
    g, width = area.glyphs, area.width
    if height < 1:
        return []
    inside = [row for row in race.rows if not row.why]
    out = [row for row in race.rows if row.why]
    # Those that left are a third of the rows at least, so that both are seen.
    kept = max(1, min(len(inside), height - 1 - min(len(out), max(1, height // 3))))
    columns = _Columns(race, width)
    axis = columns.build_axis(race, inside[:kept])
    rows = [_render_candidate(row, columns, axis, g) for row in inside[:kept]]
    beside = f"beside the {'winner' if race.stage == 'finished' else 'leader'}"
    labels = [beside] if axis is not None else []
    labels += [f"{len(inside) - kept} more in"] if kept < len(inside) else []
    if labels and inside:
        label = fit(g(" · ".join(labels)), columns.before, mark="")
        rows.append([(label, "muted"), (axis.ticks() if axis is not None else "", "muted")])
    return rows + [_render_departed(row, columns, width, g) for row in out]


class _Columns:
    """The widths of the columns, those of least use left out first."""

    def __init__(self, race: RaceView, width: int) -> None:
        longest = max((measure_text(_label(row)) for row in race.rows), default=LEAST_NAME)
        self.name = max(LEAST_NAME, min(MOST_NAME, longest + 1))
        self.output = OUTPUT_WIDTH if any(row.output for row in race.rows) else 0
        self.gib = GIB_WIDTH if any(row.gib for row in race.rows) else 0
        self.figure = FIGURE_WIDTH
        for column in ("output", "figure", "gib"):
            if self.before + self.after + LEAST_AXIS > width:
                self.shrink(column)
        self.axis = max(0, width - self.before - self.after)

    def shrink(self, column: str) -> None:
        """Leave a column out; that of the outputs is narrowed to its mark first."""
        if column == "output" and self.output:
            self.output = 3
            return
        setattr(self, column, 0)

    @property
    def before(self) -> int:
        return 2 + self.name + self.figure

    @property
    def after(self) -> int:
        return 7 + self.gib + self.output

    def build_axis(self, race: RaceView, rows: list[CandidateRow]) -> RatioAxis | None:
        """Build the axis of ratios beside the leader; None without room for it, or without one."""
        if self.axis < 8 or not any(row.leads for row in rows):
            return None
        ends = [value for row in rows for value in (row.low, row.high, row.ratio) if value]
        low = max(LOWEST, min([*ends, 0.95]))
        high = min(HIGHEST, max([*ends, 1.05]))
        low, high = math.floor(low * 20) / 20, math.ceil(high * 20) / 20
        return RatioAxis(low, high, self.axis, race.margin)


def _render_candidate(
    row: CandidateRow, columns: _Columns, axis: RatioAxis | None, g: Glyphs
) -> Row:
    sign, role = _choose_sign(row)
    tone = "text.bold" if row.leads else "text"
    cells: Row = [(fit(g(sign), 2), role), (fit(g(_label(row)), columns.name, mark=g("…")), tone)]
    if columns.figure:
        cells.append((fit(g(row.figure), columns.figure - 1, "right") + " ", tone))
    if axis is None:
        cells.append((" " * columns.axis, "text"))
    elif row.ratio is None:
        cells += axis.empty(g)
    else:
        low, high = row.low or row.ratio, row.high or row.ratio
        interval = FunnelInterval(row.blocks, row.ratio, low, high, counts=row.low is not None)
        cells += axis.interval(interval, "accent-a", row.leads, g)
    ratio = f"{row.ratio:.2f}x" if row.ratio is not None else ""
    cells.append((fit(ratio, 7, "right"), tone))
    return cells + _render_costs(row, columns, g)


def _choose_sign(row: CandidateRow) -> tuple[str, str]:
    """Return the sign of a candidate that is in: at work, over a limit so far, the leader."""
    if row.running:
        return "▸", "accent-a"
    if not row.keeps:
        return "▲", "warn"
    return ("●", "ok") if row.leads else ("·", "muted")


def _render_costs(row: CandidateRow, columns: _Columns, g: Glyphs) -> Row:
    """Render the memory and the output's badge."""
    cells: Row = []
    if columns.gib:
        text = f"{row.gib} GiB" if row.gib else ""
        cells.append((fit(text, columns.gib, "right"), "text"))
    if columns.output:
        room = columns.output - 1
        fitting = (form for form in row.output if measure_text(g(form)) <= room)
        cells.append((" " + fit(g(next(fitting, "")), room, mark=""), row.output_role))
    return cells


def _label(row: CandidateRow) -> str:
    return f"{row.name} (default)" if row.is_default else row.name


def _render_departed(row: CandidateRow, columns: _Columns, width: int, g: Glyphs) -> Row:
    """Render one that left: its ratio, which is of rounds that it shares with the leader.

    Its rate is of another time than the leader's, and may be the higher one where the machine was
    less busy then.
    """
    role = "muted" if row.why in ("slower", "behind", "skipped") else "warn"
    cells: Row = [(fit(g("✗"), 2), role), (fit(g(_label(row)), columns.name, mark=g("…")), "muted")]
    ratio = f", {row.ratio:.2f}x" if row.ratio is not None else ""
    text = g(f"{row.why}{ratio}")
    costs = _render_costs(row, columns, g) if row.blocks else []
    after = columns.gib + columns.output if costs else 0
    room = max(0, width - 2 - columns.name - after)
    return [*cells, (fit(cut_parts(text, room, g("…")), room), role), *costs]
