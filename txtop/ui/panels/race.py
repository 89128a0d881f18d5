"""The panel of `txtop tune`: the leaders' intervals on one axis, then who left and why."""

from __future__ import annotations

import math

from txtop.formatting import format_ratio, format_rough_ratio
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import (
    Row,
    choose_form,
    cut,
    cut_parts,
    fit,
    fit_block,
    join_ends,
    measure_text,
    wrap,
)
from txtop.ui.models.ab_comparison import FunnelInterval
from txtop.ui.models.race import CandidateRow, RaceView
from txtop.ui.models.view import View
from txtop.ui.panels.ab_funnel import RatioAxis
from txtop.ui.panels.base import FramedPanel

LEAST_NAME, MOST_NAME = 14, 44
GIB_WIDTH, OUTPUT_WIDTH = 9, 16
LEAST_AXIS = 15
# The winner, the runner-up, and today's default.
LEAST_CANDIDATES = 3
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
    # Lines that are too long are continued in rows that nobody needs.
    blank = max(0, area.height - race.row_count)
    least = 1 + min(LEAST_CANDIDATES, len(race.rows)) + race.has_axis
    for number, line in enumerate(race.verdict[: max(1, area.height - least)]):
        lines = _wrap_line(g(line), area.width, 1 + blank, g)
        blank -= len(lines) - 1
        rows += [[(text, "text" if number else race.role)] for text in lines]
    rest = "remaining" if race.stage == "finished" else "in"
    parts = [race.stage, f"{race.running} of {race.count} {rest}"]
    left: Row = [(g(" · ".join(parts)), "text.bold")]
    gone = ", ".join(f"{count} {why}" for why, count in race.departures)
    room = area.width - measure_text(left[0][0]) - measure_text(race.spent) - 2
    if gone and room > len(" · "):
        left.append((cut_parts(g(f" · {gone}"), room, g("…")), "muted"))
    rows.append(join_ends(left, [(g(race.spent), "muted")], area.width))
    return rows


def _wrap_line(line: str, width: int, most: int, g: Glyphs) -> list[str]:
    """Wrap a line into at most `most` rows, between its parts where it has some."""
    parts = line.split("  ")
    shorten = cut_parts if len(parts) > 1 else cut
    if most == 1 or measure_text(line) <= width:
        return [shorten(line, width, g("…"))]
    rows: list[str] = []
    for part in parts:
        joined = f"{rows[-1]}  {part}" if rows else part
        if rows and (measure_text(joined) <= width - 2 or len(rows) == most):
            rows[-1] = cut_parts(joined, width - 2, g("…"))
        else:
            rows += wrap(part, width - 2, most - len(rows), g("…"))
    return [rows[0], *(f"  {row}" for row in rows[1:])]


def _render_rows(race: RaceView, area: Area, height: int) -> list[Row]:
    """Render the candidates that are in with their intervals, the axis, and those that left."""
    g, width = area.glyphs, area.width
    if height < 1:
        return []
    inside = [row for row in race.rows if not row.why]
    out = [row for row in race.rows if row.why]
    # Those that left are a third of the rows at least, so that both are seen.
    kept = max(2, min(len(inside), height - 1 - min(len(out), max(1, height // 3))))
    chosen = inside[:kept]
    if default := [row for row in inside[kept:] if row.is_default]:
        chosen[max(2, kept - 1) :] = default
    columns = _Columns([*chosen, *out], width)
    axis = columns.build_axis(race, chosen)
    rows = [_render_candidate(row, columns, axis, g) for row in chosen]
    beside = f"beside the {'winner' if race.stage == 'finished' else 'leader'}"
    labels = [beside] if axis is not None else []
    labels += [f"{len(inside) - len(chosen)} more in"] if len(chosen) < len(inside) else []
    if labels and inside:
        label = fit(g(" · ".join(labels)), columns.before, mark="")
        rows.append([(label, "muted"), (axis.ticks() if axis is not None else "", "muted")])
    return rows + [_render_departed(row, columns, width, g) for row in out]


class _Columns:
    """The widths of the columns, those of least use left out first."""

    def __init__(self, rows: list[CandidateRow], width: int) -> None:
        longest = max((measure_text(_label(row)) for row in rows), default=LEAST_NAME)
        self.name = max(LEAST_NAME, min(MOST_NAME, longest + 1))
        self.output = OUTPUT_WIDTH if any(row.output for row in rows) else 0
        self.gib = GIB_WIDTH if any(row.gib for row in rows) else 0
        # Those that left have theirs beside the reason.
        figures = [measure_text(row.figure) for row in rows if row.figure and not row.why]
        self.figure = max(figures) + 1 if figures else 0
        for column in ("output", "gib", "figure"):
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
        """Build the axis of ratios beside the leader; None without room for it, or for one row."""
        ends = [value for row in rows for value in (row.low, row.high, row.ratio) if value]
        if self.axis < 8 or sum(row.ratio is not None for row in rows) < 2:
            return None
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
    if row.limited and row.ratio is None:
        # Beside nobody, what it is over a limit by has the room of the axis and of the ratio.
        first = row.limited.partition(", ")[0]
        forms = row.limited, first, first.replace(" calls within", " within")
        room = columns.axis + 7
        text = fit(choose_form(forms, room, g), room)
        return [*cells, (text, "warn"), *_render_costs(row, columns, g)]
    if axis is None:
        cells.append((" " * columns.axis, "text"))
    elif row.ratio is None:
        cells += axis.empty(g)
    else:
        low, high = row.low or row.ratio, row.high or row.ratio
        interval = FunnelInterval(row.blocks, row.ratio, low, high, counts=row.low is not None)
        cells += axis.interval(interval, "accent-a", row.leads, g)
    cells.append((fit(g(_format_ratio(row)), 7, "right"), tone))
    return cells + _render_costs(row, columns, g)


def _format_ratio(row: CandidateRow) -> str:
    """Format how many times as good as the leader one is, with its doubt: `≈1.5x`."""
    if row.leads:
        return format_ratio(row.ratio)
    interval = (row.low, row.high) if row.low is not None and row.high is not None else None
    return format_rough_ratio(row.ratio, interval)


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
    """Render one that left: why, and its ratio, which is of rounds that it shares with the leader.

    Without a leader it has its figure. The figures of a reason are more than its word.
    """
    name = fit(g(_label(row)), columns.name, mark=g("…"))
    cells: Row = [(fit(g("✗"), 2), row.why_role), (name, "muted")]
    costs = _render_costs(row, columns, g) if row.blocks else []
    after = columns.gib + columns.output if costs else 0
    room = max(0, width - 2 - columns.name - after)
    beside = _format_ratio(row) or row.figure
    tail = f", {beside}" if beside else ""
    short = row.why.partition(": ")[2] or row.why
    first = short.partition("; ")[0] + "…" * ("; " in short)
    forms = row.why + tail, short + tail, first + tail, short, first
    return [*cells, (fit(choose_form(forms, room, g), room), row.why_role), *costs]
