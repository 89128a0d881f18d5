"""The detail of one cell: panels on a large terminal, one column of all parts on a small one."""

from __future__ import annotations

from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, fit_block, measure_text
from txtop.ui.models.cell_detail.detail import CellDetailView
from txtop.ui.panels.cell_detail import facts, histogram, load_phases
from txtop.ui.panels.cell_detail.iterations import render_iterations
from txtop.ui.panels.hero import choose_title, render_hero_number

HISTOGRAM_ROWS = 10
MIN_ITERATIONS_ROWS, MAX_ITERATIONS_ROWS = 13, 20
COMMAND_TITLE = "reproduce"


def render_iterations_panel(view: CellDetailView, area: Area) -> list[Row]:
    """Render the cell's number and all its iterations."""
    g = area.glyphs
    inside = area.inside
    head = render_hero_number(view.hero, inside.width, g, False)
    if inside.height >= MIN_ITERATIONS_ROWS + 3:
        head = [[], *head, []]
    body = render_iterations(
        view.iterations, view.traces, Area(inside.width, inside.height - len(head), g)
    )
    position = _render_position(view)
    return draw_frame(choose_title(view.hero, position, area), position, [*head, *body], area)


def _render_position(view: CellDetailView) -> Row:
    return [("cell ", "muted"), (str(view.place), "text"), (f"/{view.count}", "muted")]


def render_histogram_panel(view: CellDetailView, area: Area) -> list[Row]:
    """Render the distribution of the cell's latencies."""
    inside = area.inside
    body = histogram.render_histogram(view.histogram, inside)
    title = f"{view.histogram.title} · ms"
    return draw_frame(
        area.glyphs(title), histogram.render_needed_samples(view.histogram), body, area
    )


def render_load_panel(view: CellDetailView, area: Area) -> list[Row]:
    """Render the phases of the cell's load."""
    g = area.glyphs
    inside = area.inside
    body = load_phases.render_load_phases(view.loading, inside.width, g)
    subtitle = load_phases.render_load_time(view.loading, g)
    return draw_frame("load", subtitle, body, area)


def build_column_rows(view: CellDetailView, area: Area) -> list[Row]:
    """Build the scrolling rows: without frames the whole detail, else the parts that have no
    panel."""
    if area.boxed:
        return render_detail_text(view, area.inside.width, area.glyphs)
    return render_stacked(view, area)


def compute_max_skip(rows: list[Row], area: Area) -> int:
    """Return the count of rows that can be scrolled out at the top."""
    return max(0, len(rows) - (area.inside if area.boxed else area).height)


def render_column(rows: list[Row], skip: int, area: Area) -> list[Row]:
    """Render the panel from row `skip` on, with the count of rows left below."""
    g = area.glyphs
    rest = compute_max_skip(rows, area) - skip
    if area.boxed:
        subtitle: Row = [(g(f"↓ {rest} more"), "muted")] if rest > 0 else []
        return draw_frame("results and configuration", subtitle, rows[skip:], area)
    if rest <= 0 or area.height < 3:
        return fit_block(rows[skip:], area.width, area.height)
    text = g(f" ↓ {rest + 1} more ")
    more: Row = [(g("─") * max(0, area.width - measure_text(text)), "border"), (text, "muted")]
    return fit_block([*rows[skip : skip + area.height - 1], more], area.width, area.height)


def render_detail_text(view: CellDetailView, width: int, g: Glyphs) -> list[Row]:
    """Render metrics, groups and the command, a blank row between them."""
    failed = [group for group in view.groups if group.title == "failure"]
    others = [group for group in view.groups if group not in failed]
    rows: list[Row] = []
    for group in failed:
        rows += [[(group.title, "text.bold")], *facts.render_fact_group(group, width, g), []]
    if view.metrics:
        rows += [*facts.render_metrics(view.metrics, width, g), []]
    for group in others:
        rows += [[(group.title, "text.bold")], *facts.render_fact_group(group, width, g), []]
    return [
        *rows,
        [(COMMAND_TITLE, "text.bold")],
        *facts.render_reproduce_command(view.command, width, g),
    ]


def render_stacked(view: CellDetailView, area: Area) -> list[Row]:
    """Render all parts one below the other, each under a rule with its name."""
    g = area.glyphs
    across = Area(area.width, area.height, g).inside.width

    def part(title: str, subtitle: Row, body: list[Row]) -> list[Row]:
        return draw_frame(title, subtitle, body, Area(area.width, len(body) + 1, g))

    high = min(MAX_ITERATIONS_ROWS, max(MIN_ITERATIONS_ROWS, area.height - len(view.metrics) - 2))
    if not view.iterations.values:
        high = 4 + 4 + len(view.traces)
    rows = render_iterations_panel(view, Area(area.width, high, g))
    groups = {group.title: part(group.title, [], facts.render_fact_group(group, across, g))
              for group in view.groups}  # fmt: skip
    rows += groups.pop("failure", [])
    if view.metrics:
        rows += part("figures", [], facts.render_metrics(view.metrics, across, g))
    if view.iterations.values:
        rows += render_histogram_panel(view, Area(area.width, HISTOGRAM_ROWS + 1, g))
    rows += part(
        "load",
        load_phases.render_load_time(view.loading, g),
        load_phases.render_load_phases(view.loading, across, g),
    )
    for group_rows in groups.values():
        rows += group_rows
    return rows + part(COMMAND_TITLE, [], facts.render_reproduce_command(view.command, across, g))
