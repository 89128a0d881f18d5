"""The detail of one cell: its panels on a large terminal, one column of all of them on a small."""

from __future__ import annotations

from txtop.ui.drawing.frame import framed, inside
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, block, cells
from txtop.ui.models.cell_detail.detail import Detail
from txtop.ui.panels.cell_detail import facts, histogram, load_phases
from txtop.ui.panels.cell_detail import iterations as points
from txtop.ui.panels.hero import number_rows

SPREAD_ROWS = 10
LEAST_STRIP, MOST_STRIP = 13, 20
REPRODUCE = "measure it again"


def strip(shown: Detail, width: int, height: int, g: Glyphs, *, boxed: bool) -> list[Row]:
    """The cell's number, and every iteration of it."""
    across, down = inside(width, height, boxed)
    head = number_rows(shown.hero, across, g, False)
    if down >= LEAST_STRIP + 3:
        head = [[], *head, []]
    body = points.strip(shown.strip, shown.traces, across, down - len(head), g)
    return framed(shown.hero.title, _place(shown), [*head, *body], width, height, g, boxed=boxed)


def _place(shown: Detail) -> Row:
    return [("cell ", "muted"), (str(shown.place), "text"), (f"/{shown.count}", "muted")]


def spread(shown: Detail, width: int, height: int, g: Glyphs, *, boxed: bool) -> list[Row]:
    """How its latencies are spread."""
    across, down = inside(width, height, boxed)
    body = histogram.histogram(shown.spread, across, down, g)
    title = f"{shown.spread.title} · ms"
    return framed(g(title), histogram.needs(shown.spread), body, width, height, g, boxed=boxed)


def loading(shown: Detail, width: int, height: int, g: Glyphs, *, boxed: bool) -> list[Row]:
    """What its load was made of."""
    across, _ = inside(width, height, boxed)
    body = load_phases.phases(shown.loading, across, g)
    said = load_phases.said(shown.loading, g)
    return framed("load", said, body, width, height, g, boxed=boxed)


def lines(shown: Detail, width: int, height: int, g: Glyphs, *, boxed: bool) -> list[Row]:
    """What scrolls in a panel of that size: without frames all of the detail, else what has no
    panel of its own."""
    if boxed:
        return words(shown, inside(width, height, boxed)[0], g)
    return whole(shown, width, height, g)


def furthest(rows: list[Row], width: int, height: int, *, boxed: bool) -> int:
    """How many rows can be left out above."""
    return (
        max(0, len(rows) - inside(width, height, boxed)[1]) if boxed else max(0, len(rows) - height)
    )


def column(
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
    rest = furthest(rows, width, height, boxed=boxed) - skip
    if boxed:
        said: Row = [(g(f"↓ {rest} more"), "muted")] if rest > 0 else []
        return framed(
            "figures and facts", said, rows[skip:], width, height, g, boxed=True, focused=focused
        )
    if rest <= 0 or height < 3:
        return block(rows[skip:], width, height)
    text = g(f" ↓ {rest + 1} more ")
    more: Row = [(g("─") * max(0, width - cells(text)), "border"), (text, "muted")]
    return block([*rows[skip : skip + height - 1], more], width, height)


def words(shown: Detail, width: int, g: Glyphs) -> list[Row]:
    """Figures, groups and the command, a blank row between them."""
    failed = [group for group in shown.groups if group.title == "failure"]
    others = [group for group in shown.groups if group not in failed]
    rows: list[Row] = []
    for group in failed:
        rows += [[(group.title, "text.bold")], *facts.told(group, width, g), []]
    if shown.figures:
        rows += [*facts.figures(shown.figures, width, g), []]
    for group in others:
        rows += [[(group.title, "text.bold")], *facts.told(group, width, g), []]
    return [*rows, [(REPRODUCE, "text.bold")], *facts.command(shown.command, width, g)]


def whole(shown: Detail, width: int, height: int, g: Glyphs) -> list[Row]:
    """Everything, one part under the other, each under a rule with its name."""
    across = inside(width, height, False)[0]

    def part(title: str, said: Row, body: list[Row]) -> list[Row]:
        return framed(title, said, body, width, len(body) + 1, g, boxed=False)

    high = min(MOST_STRIP, max(LEAST_STRIP, height - len(shown.figures) - 2))
    if not shown.strip.values:
        high = 4 + 4 + len(shown.traces)
    rows = strip(shown, width, high, g, boxed=False)
    groups = {group.title: part(group.title, [], facts.told(group, across, g))
              for group in shown.groups}  # fmt: skip
    rows += groups.pop("failure", [])
    if shown.figures:
        rows += part("figures", [], facts.figures(shown.figures, across, g))
    if shown.strip.values:
        rows += spread(shown, width, SPREAD_ROWS + 1, g, boxed=False)
    rows += part(
        "load", load_phases.said(shown.loading, g), load_phases.phases(shown.loading, across, g)
    )
    for each in groups.values():
        rows += each
    return rows + part(REPRODUCE, [], facts.command(shown.command, across, g))
