"""The trade-offs as a panel: a plot, a table beside or under it, and the point under the cursor."""

from __future__ import annotations

from dataclasses import dataclass

from txtop.ui.drawing.frame import framed, inside
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.scatter import Plane, role, sign
from txtop.ui.drawing.spans import Row, block, fit, row_width
from txtop.ui.models.layout import Place
from txtop.ui.models.tradeoffs.build import FEW, FEWER
from txtop.ui.models.tradeoffs.groups import A_VERDICT
from txtop.ui.models.tradeoffs.plot import TITLES, Plot, Point, Tradeoffs
from txtop.ui.panels.tradeoffs.plot import drawing
from txtop.ui.panels.tradeoffs.precision_bars import bars
from txtop.ui.panels.tradeoffs.table import Listing, point_line, table, table_width

BESIDE_FROM = 100
UNDER_SHARE = 0.42
LEAST_PLOT, LEAST_TABLE = 8, 4
NAME = 28
ORDER = {"rates": "latency", "lengths": "length", "precisions": "precision", "load": "load"}
HOW = {
    TITLES["rates"]: "--batch-sizes 1 8 32",
    TITLES["lengths"]: "--sequence-lengths 128 256 512",
    TITLES["precisions"]: "--precisions fp32 bf16",
    TITLES["load"]: "--scenario dynamic continuous --rate sweep",
}


@dataclass(frozen=True)
class Shown:
    """What of the trade-offs is on show: a plot and the place of the point under the cursor.

    `whole` says that the panel has all the room: then the table stands beside the plot.
    """

    all: Tradeoffs
    at: int = 0
    cursor: int | None = None
    whole: bool = True
    focused: bool = False

    @property
    def plot(self) -> Plot | None:
        return self.all.plots[self.at] if self.at < len(self.all.plots) else None

    @property
    def point(self) -> Point | None:
        plot = self.plot
        return plot.points[self.cursor] if plot is not None and self.cursor is not None else None


def parts(shown: Shown, width: int, height: int, *, boxed: bool) -> dict[str, Place]:
    """Where in the panel the plot (or the bars), the table and the point under the cursor are; the
    table goes first where there is little room, then the point."""
    plot = shown.plot
    if not shown.whole or plot is None:
        return {"plot": Place(0, 0, width, height)}
    below = 3 if boxed else 2
    below = below if height >= LEAST_PLOT + below else 0
    down = height - below
    places = {"plot": Place(0, 0, width, down)}
    right = min(table_width(plot) + (4 if boxed else 2), width // 2)
    under = min(len(plot.points) + 2, round(UNDER_SHARE * down), down - LEAST_PLOT)
    if plot.kind == "precisions":
        pass
    elif width >= BESIDE_FROM:
        places["plot"] = Place(0, 0, width - right, down)
        places["table"] = Place(width - right, 0, right, down)
    elif under >= LEAST_TABLE:
        places["plot"] = Place(0, 0, width, down - under)
        places["table"] = Place(0, down - under, width, under)
    if below:
        places["point"] = Place(0, down, width, below)
    return places


def tradeoffs(shown: Shown, width: int, height: int, g: Glyphs, *, boxed: bool) -> list[Row]:
    """Exactly `height` rows of `width` columns."""
    plot = shown.plot
    if plot is None:
        return block(_nothing(shown, width, height, g, boxed=boxed), width, height)
    places = parts(shown, width, height, boxed=boxed)
    rows = _plot(shown, plot, places["plot"], g, boxed=boxed)
    if at := places.get("table"):
        listed = _table(shown, plot, at, g, boxed=boxed)
        beside = at.y == 0
        rows = [[*a, *b] for a, b in zip(rows, listed, strict=True)] if beside else rows + listed
    if at := places.get("point"):
        rows += _point(shown, plot, at, g, boxed=boxed)
    return block(rows, width, height)


def hit(
    shown: Shown, width: int, height: int, g: Glyphs, *, boxed: bool, x: int, y: int
) -> int | None:
    """The place of the point that a click there means: on its sign, or on its row."""
    plot = shown.plot
    if plot is None:
        return None
    for name, at in parts(shown, width, height, boxed=boxed).items():
        across, down = inside(at.width, at.height, boxed)
        column, row = x - at.x - (2 if boxed else 1), y - at.y - 1
        if not (0 <= column < across and 0 <= row < down):
            continue
        room = _plot_rows(shown, down)
        if name == "table":
            return _listing(shown, plot, across, down, g).at(row)
        if name == "plot" and plot.kind == "precisions":
            return _listing(shown, plot, across, room, g).at(row)
        if name == "plot":
            return Plane(drawing(plot, shown.cursor), across, room, g).nearest(column, row)
    return None


def _plot(shown: Shown, plot: Plot, at: Place, g: Glyphs, *, boxed: bool) -> list[Row]:
    across, down = inside(at.width, at.height, boxed)
    room = _plot_rows(shown, down)
    if plot.kind == "precisions":
        body = _listing(shown, plot, across, room, g).rows
        body += _remarks(shown, plot, across, room - len(body), g) if shown.whole else []
    else:
        body = Plane(drawing(plot, shown.cursor), across, room, g).rows(shown.cursor)
    if room < down and shown.point is not None:
        line = point_line(shown.point, plot, across, g, named=True)
        body = [*block(body, across, room), line]
    subtitle = _legend(shown, plot, at.width - row_width([(plot.title, "")]) - 14, g)
    return framed(
        g(plot.title), subtitle, body, at.width, at.height, g, boxed=boxed, focused=shown.focused
    )


def _table(shown: Shown, plot: Plot, at: Place, g: Glyphs, *, boxed: bool) -> list[Row]:
    across, down = inside(at.width, at.height, boxed)
    body = _listing(shown, plot, across, down, g).rows
    body += _remarks(shown, plot, across, down - len(body), g)
    by: Row = [(f"{len(plot.points)} by {ORDER[plot.kind]}", "muted")]
    return framed("cells", by, body, at.width, at.height, g, boxed=boxed)


def _listing(shown: Shown, plot: Plot, width: int, height: int, g: Glyphs) -> Listing:
    rows = bars if plot.kind == "precisions" else table
    return rows(plot, width, height, g, shown.cursor)


def _plot_rows(shown: Shown, down: int) -> int:
    """Rows of the plot: in a corner the last one goes to the point under the cursor."""
    takes = not shown.whole and shown.point is not None and down > LEAST_PLOT
    return down - 1 if takes else down


def _legend(shown: Shown, plot: Plot, room: int, g: Glyphs) -> Row:
    """The signs of the lines (of bars, how many there are), and how to get to the next plot; the
    signs first where there is little room."""
    signs: Row = []
    if plot.kind == "precisions":
        signs = [(f"{len(plot.points)} cells", "muted")]
    else:
        for i, name in enumerate(plot.lines):
            signs += [
                ("  " if signs else "", "muted"),
                (sign(i, g), role(i)),
                (f" {name}", "muted"),
            ]
    count = len(shown.all.plots)
    pages: Row = [("v", "accent-a.bold"), (f" {shown.at + 1} of {count}", "muted")]
    pages = pages if count > 1 else []
    both: Row = [*signs, ("   ", "muted"), *pages] if signs and pages else [*signs, *pages]
    return next((row for row in (both, signs, pages) if row and row_width(row) <= room), [])


def _point(shown: Shown, plot: Plot, at: Place, g: Glyphs, *, boxed: bool) -> list[Row]:
    """The cell under the cursor: its name, its figures, and where it stands."""
    point = shown.point
    across, _ = inside(at.width, at.height, boxed)
    if point is None:
        hint: Row = [("3", "accent-a.bold"), (" and the arrows choose a cell", "muted")]
        return framed("no cell", [], [hint], at.width, at.height, g, boxed=boxed)
    said = point_line(point, plot, across, g)
    under: Row = [("under the cursor", "muted")]
    return framed(g(point.title), under, [said], at.width, at.height, g, boxed=boxed)


def _remarks(shown: Shown, plot: Plot, width: int, height: int, g: Glyphs) -> list[Row]:
    """What the plot leaves out, and why there are no others; as far as there is room."""
    lines: list[str] = [f"left out: {plot.left_out}"] if plot.left_out else []
    lines += plot.remarks
    for title, why in shown.all.absent:
        short = len(title) + 2 + len(why) <= width
        lines += [f"{title}: {why}"] if short else [f"{title}:", f"  {why}"]
    rows: list[Row] = [[(fit(g(text), width, mark=g("…")), "muted")] for text in lines]
    return [[], *rows][: max(0, height)] if rows else []


def _nothing(shown: Shown, width: int, height: int, g: Glyphs, *, boxed: bool) -> list[Row]:
    """No plot has points: why, and what would give it some."""
    across, _ = inside(width, height, boxed)
    beside = across >= NAME + 40
    body: list[Row] = [[("nothing to weigh up", "text.bold")]]
    for title, why in shown.all.absent:
        name: Row = [(fit(title, NAME) if beside else title, "text")]
        said: Row = [(g(why), "muted")]
        body += [[], [*name, *said]] if beside else [[], name, said]
        if title in HOW and why not in (FEW, FEWER, A_VERDICT):
            indent: Row = [(" " * NAME if beside else "", "text")]
            body.append([*indent, (f"txtop run {HOW[title]}", "muted")])
    return framed("trade-offs", [], body, width, height, g, boxed=boxed, focused=shown.focused)
