"""The detail of one cell: its panels on a large terminal, one column of all of them on a small."""

from __future__ import annotations

from txtop.ui.detail import Detail
from txtop.ui.glyphs import Glyphs
from txtop.ui.widgets import facts, histogram, phases
from txtop.ui.widgets import strip as points
from txtop.ui.widgets.frame import framed, inside
from txtop.ui.widgets.hero import number_rows
from txtop.ui.widgets.rows import Row, block

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
    body = phases.phases(shown.loading, across, g)
    said = phases.said(shown.loading, g)
    return framed("load", said, body, width, height, g, boxed=boxed)


def loading_rows(shown: Detail, width: int, g: Glyphs) -> int:
    """Rows that the panel wants inside."""
    return len(phases.phases(shown.loading, width, g))


def column(
    shown: Detail,
    width: int,
    height: int,
    g: Glyphs,
    *,
    boxed: bool,
    focused: bool = False,
    skip: int = 0,
) -> list[Row]:
    """Without frames all of the detail, else what has no panel of its own; from row `skip` on."""
    if boxed:
        across, down = inside(width, height, boxed)
        rows = words(shown, across, g)
        rest = max(0, len(rows) - skip - down)
        said: Row = [(g(f"↓ {rest} more"), "muted")] if rest else []
        return framed(
            "figures and facts", said, rows[skip:], width, height, g,
            boxed=boxed, focused=focused,
        )  # fmt: skip
    rows = whole(shown, width, height, g)
    rest = len(rows) - skip - height
    if rest <= 0 or height < 3:
        return block(rows[skip:], width, height)
    more: Row = [(g("─") * max(0, width - 12), "border"), (g(f" ↓ {rest + 1} more "), "muted")]
    return block([*rows[skip : skip + height - 1], more], width, height)


def rows_of(shown: Detail, width: int, height: int, g: Glyphs, *, boxed: bool) -> tuple[int, int]:
    """How many rows the column has, and how many of them show at once."""
    if boxed:
        across, down = inside(width, height, boxed)
        return len(words(shown, across, g)), down
    return len(whole(shown, width, height, g)), height


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
    if shown.spread.values or shown.spread.why:
        rows += spread(shown, width, SPREAD_ROWS + 1, g, boxed=False)
    rows += part("load", phases.said(shown.loading, g), phases.phases(shown.loading, across, g))
    for each in groups.values():
        rows += each
    return rows + part(REPRODUCE, [], facts.command(shown.command, across, g))
