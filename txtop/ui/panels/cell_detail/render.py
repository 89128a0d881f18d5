"""The detail of one cell: its panels on a large terminal, one column of all of them on a small."""

from __future__ import annotations

from txtop.ui.drawing.frame import compute_inner_size, draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, fit_block, measure_text
from txtop.ui.models.cell_detail.detail import CellDetailView
from txtop.ui.panels.cell_detail import facts, histogram, load_phases
from txtop.ui.panels.cell_detail import iterations as points
from txtop.ui.panels.hero import render_hero_number

HISTOGRAM_ROWS = 10
MIN_ITERATIONS_ROWS, MAX_ITERATIONS_ROWS = 13, 20
COMMAND_TITLE = "reproduce"


def render_iterations_panel(
    shown: CellDetailView, width: int, height: int, g: Glyphs, *, boxed: bool
) -> list[Row]:
    """The cell's number, and every iteration of it."""
    across, down = compute_inner_size(width, height, boxed)
    head = render_hero_number(shown.hero, across, g, False)
    if down >= MIN_ITERATIONS_ROWS + 3:
        head = [[], *head, []]
    body = points.render_iterations(shown.strip, shown.traces, across, down - len(head), g)
    return draw_frame(
        shown.hero.title, _render_position(shown), [*head, *body], width, height, g, boxed=boxed
    )


def _render_position(shown: CellDetailView) -> Row:
    return [("cell ", "muted"), (str(shown.place), "text"), (f"/{shown.count}", "muted")]


def render_histogram_panel(
    shown: CellDetailView, width: int, height: int, g: Glyphs, *, boxed: bool
) -> list[Row]:
    """How its latencies are spread."""
    across, down = compute_inner_size(width, height, boxed)
    body = histogram.render_histogram(shown.spread, across, down, g)
    title = f"{shown.spread.title} · ms"
    return draw_frame(
        g(title), histogram.render_needed_samples(shown.spread), body, width, height, g, boxed=boxed
    )


def render_load_panel(
    shown: CellDetailView, width: int, height: int, g: Glyphs, *, boxed: bool
) -> list[Row]:
    """What its load was made of."""
    across, _ = compute_inner_size(width, height, boxed)
    body = load_phases.render_load_phases(shown.loading, across, g)
    said = load_phases.render_load_time(shown.loading, g)
    return draw_frame("load", said, body, width, height, g, boxed=boxed)


def build_column_rows(
    shown: CellDetailView, width: int, height: int, g: Glyphs, *, boxed: bool
) -> list[Row]:
    """What scrolls in a panel of that size: without frames all of the detail, else what has no
    panel of its own."""
    if boxed:
        return render_detail_text(shown, compute_inner_size(width, height, boxed)[0], g)
    return render_stacked(shown, width, height, g)


def compute_max_skip(rows: list[Row], width: int, height: int, *, boxed: bool) -> int:
    """How many rows can be left out above."""
    return (
        max(0, len(rows) - compute_inner_size(width, height, boxed)[1])
        if boxed
        else max(0, len(rows) - height)
    )


def render_column(
    rows: list[Row],
    skip: int,
    width: int,
    height: int,
    g: Glyphs,
    *,
    boxed: bool,
    focused: bool = False,
) -> list[Row]:
    """The panel, from row `skip` on; it says how many rows are left out below."""
    rest = compute_max_skip(rows, width, height, boxed=boxed) - skip
    if boxed:
        said: Row = [(g(f"↓ {rest} more"), "muted")] if rest > 0 else []
        return draw_frame(
            "results and configuration",
            said,
            rows[skip:],
            width,
            height,
            g,
            boxed=True,
            focused=focused,
        )
    if rest <= 0 or height < 3:
        return fit_block(rows[skip:], width, height)
    text = g(f" ↓ {rest + 1} more ")
    more: Row = [(g("─") * max(0, width - measure_text(text)), "border"), (text, "muted")]
    return fit_block([*rows[skip : skip + height - 1], more], width, height)


def render_detail_text(shown: CellDetailView, width: int, g: Glyphs) -> list[Row]:
    """Figures, groups and the command, a blank row between them."""
    failed = [group for group in shown.groups if group.title == "failure"]
    others = [group for group in shown.groups if group not in failed]
    rows: list[Row] = []
    for group in failed:
        rows += [[(group.title, "text.bold")], *facts.render_fact_group(group, width, g), []]
    if shown.figures:
        rows += [*facts.render_metrics(shown.figures, width, g), []]
    for group in others:
        rows += [[(group.title, "text.bold")], *facts.render_fact_group(group, width, g), []]
    return [*rows, [(COMMAND_TITLE, "text.bold")], *facts.render_command(shown.command, width, g)]


def render_stacked(shown: CellDetailView, width: int, height: int, g: Glyphs) -> list[Row]:
    """Everything, one part under the other, each under a rule with its name."""
    across = compute_inner_size(width, height, False)[0]

    def part(title: str, said: Row, body: list[Row]) -> list[Row]:
        return draw_frame(title, said, body, width, len(body) + 1, g, boxed=False)

    high = min(MAX_ITERATIONS_ROWS, max(MIN_ITERATIONS_ROWS, height - len(shown.figures) - 2))
    if not shown.strip.values:
        high = 4 + 4 + len(shown.traces)
    rows = render_iterations_panel(shown, width, high, g, boxed=False)
    groups = {group.title: part(group.title, [], facts.render_fact_group(group, across, g))
              for group in shown.groups}  # fmt: skip
    rows += groups.pop("failure", [])
    if shown.figures:
        rows += part("figures", [], facts.render_metrics(shown.figures, across, g))
    if shown.strip.values:
        rows += render_histogram_panel(shown, width, HISTOGRAM_ROWS + 1, g, boxed=False)
    rows += part(
        "load",
        load_phases.render_load_time(shown.loading, g),
        load_phases.render_load_phases(shown.loading, across, g),
    )
    for each in groups.values():
        rows += each
    return rows + part(COMMAND_TITLE, [], facts.render_command(shown.command, across, g))
