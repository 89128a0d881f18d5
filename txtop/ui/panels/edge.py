"""The panel of `txtop fit`: the axis on which the bracket closes in, and the probes under it."""

from __future__ import annotations

from txtop.formatting import format_count, format_share
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, fit, fit_block, join_ends, measure_row, merge_cells
from txtop.ui.models.edge import EdgeView, ProbeRow
from txtop.ui.models.view import View
from txtop.ui.panels.base import FramedPanel

SIGNS = {
    "ran": ("✓", "ok"),
    "failed": ("✗", "bad"),
    "running": ("▸", "accent-a"),
    "open": ("·", "muted"),
}
MARGIN = 0.08
LABEL_WIDTH, GIB_WIDTH = 16, 5
MIN_AXIS_WIDTH = 20


class EdgePanel(FramedPanel):
    """The edges of a search that have probes."""

    def build(self, width: int, height: int) -> list[Row]:
        return render_edges(self.view, self.area(width, height))


def render_edges(view: View, area: Area) -> list[Row]:
    """Render exactly `area.height` rows: each edge, the one that is searched now last."""
    g, inside = area.glyphs, area.inside
    if not view.edges:
        return draw_frame("what fits", [], [[("no probe yet", "muted")]], area)
    *before, edge = view.edges
    body: list[Row] = []
    for other in before:
        # Both have half of the rows, and what the other one does not need.
        most = max(inside.height // 2, inside.height - edge.row_count)
        body += _render_edge(other, inside, min(most, other.row_count), alone=False)
    body += _render_edge(edge, inside, inside.height - len(body), alone=not before)
    title = "what fits" if before else edge.title
    facts = [] if before else [edge.fixed]
    facts += [edge.room] if edge.room else []
    subtitle: Row = [(g(" · ".join(facts)), "muted")]
    return draw_frame(title, subtitle, fit_block(body, inside.width, inside.height), area)


def _format_bracket(edge: EdgeView, g: Glyphs) -> str:
    """Format both sides of an edge, as `48 runs, 49 does not`."""
    low = f"{edge.low:,} runs" if edge.low is not None else ""
    high = f"{edge.high:,} does not" if edge.high is not None else edge.end
    return g(", ".join(filter(None, (low, high))) or "nothing is known yet")


def _render_edge(edge: EdgeView, area: Area, height: int, *, alone: bool) -> list[Row]:
    """Render the sentence, the axis, the memory and as many probes as there is room for."""
    g, width = area.glyphs, area.width
    left: Row = [(_format_bracket(edge, g), "text.bold")]
    if not alone:
        left = [(g(f"{edge.title}, {edge.fixed}: "), "muted"), *left]
    course, role = _describe_course(edge)
    if measure_row(left) + len(course) + 2 > width:
        # That another search finds another edge comes before how many probes it took.
        course = course.rpartition(", ")[2]
    rows: list[Row] = [join_ends(left, [(course, role)], width)]
    if width >= MIN_AXIS_WIDTH:
        rows.append(_render_axis(edge, width, g))
    if edge.peak_share is not None and height > len(rows) + min(len(edge.probes), 1 + alone):
        rows.append(_render_memory(edge, width, g))
    probes = _choose_probes(edge, height - len(rows))
    room = max([GIB_WIDTH, *(len(gib) for p in probes for gib in (p.gib, p.forecast))])
    return rows + [_render_probe(probe, room, width, g) for probe in probes]


def _describe_course(edge: EdgeView) -> tuple[str, str]:
    """Describe how far the search is, with its colour."""
    count = format_count(len(edge.probes), "probe")
    if edge.found:
        apart = f", ±{edge.spread:,} in another search" if edge.spread else ""
        return f"found in {count}{apart}", "ok"
    if edge.low is not None and edge.high is not None:
        return f"{edge.high - edge.low:,} apart, {count}", "muted"
    return count, "muted"


def _render_axis(edge: EdgeView, width: int, g: Glyphs) -> Row:
    """Render the probes on a line, from what runs to what does not; the gap between is open."""
    values = [probe.value for probe in edge.probes]
    least, most = min(values), max(values)
    span = max(most - least, edge.step)
    start, end = max(0.0, least - MARGIN * span), most + MARGIN * span

    def place(value: float) -> int:
        return min(width - 1, max(0, round((value - start) / (end - start) * (width - 1))))

    low = place(edge.low) if edge.low is not None else -1
    high = place(edge.high) if edge.high is not None else width
    cells = []
    for column in range(width):
        if column <= low:
            cells.append((g("━"), "ok"))
        elif column >= high:
            cells.append((g("━"), "bad"))
        else:
            cells.append((g("╌"), "muted"))
    for probe in sorted(edge.probes, key=lambda probe: (probe.at_edge, probe.state == "running")):
        sign, role = SIGNS[probe.state]
        column = place(probe.value)
        # Both sides of a bracket are seen, also where they are less than a column apart.
        if probe.at_edge and probe.state == "failed" and low == high:
            column = min(width - 1, column + 1)
        cells[column] = (g(sign), role)
    return merge_cells(cells)


def _render_memory(edge: EdgeView, width: int, g: Glyphs) -> Row:
    """Render the peak of the largest that ran as a bar on the limit."""
    share = min(1.0, max(0.0, edge.peak_share or 0.0))
    rate = "".join(f", {probe.rate}" for probe in edge.probes if probe.at_edge and probe.rate)
    text = f" {edge.peak} GiB of {edge.room}, {format_share(1 - share)} to spare{rate}"
    room = max(0, min(40, width - len(text)))
    filled = round(share * room)
    return [
        (g("━") * filled, "accent-a"),
        (g("╌") * (room - filled), "muted"),
        (g(text), "text"),
    ]


def _choose_probes(edge: EdgeView, room: int) -> list[ProbeRow]:
    """Return the probes in their order; without room those nearest to the edge, the running one
    first."""
    if len(edge.probes) <= room:
        return list(edge.probes)
    middle = edge.low or edge.high or 0
    ranked = sorted(
        edge.probes,
        key=lambda probe: (
            probe.state != "running",
            not probe.at_edge,
            abs(probe.value - middle),
        ),
    )
    kept = {probe.id for probe in ranked[: max(0, room)]}
    return [probe for probe in edge.probes if probe.id in kept]


def _render_probe(probe: ProbeRow, room: int, width: int, g: Glyphs) -> Row:
    """Render a probe whose sizes have `room` columns each."""
    sign, role = SIGNS[probe.state]
    tone = "text.bold" if probe.at_edge else "text"
    memory = f"{probe.gib} GiB" if probe.gib else ""
    expected = f"forecast {probe.forecast} GiB" if probe.forecast else ""
    row: Row = [
        (g(sign) + " ", role),
        (fit(g(probe.label), LABEL_WIDTH, mark=g("…")), tone),
        (fit(memory, room + 6, "right") + "  ", tone),
        (fit(expected, room + 13), "muted"),
    ]
    rest = probe.rate or probe.why
    used = sum(len(text) for text, _ in row)
    tail = fit(g(rest), max(0, width - used - 1), mark=g("…"))
    return [*row, (" " + tail, "muted" if probe.why and probe.state != "failed" else role)]
