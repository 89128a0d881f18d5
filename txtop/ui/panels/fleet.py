"""The tables of a fleet: a row for each place, and a column for each kind of machine."""

from __future__ import annotations

from textual import events

from txtop.formatting import MISSING, format_count
from txtop.ui.drawing import glyphs
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.scrolling import limit_first_row, scroll_to_row
from txtop.ui.drawing.spans import Align, Row, clean, cut, fit, join_ends, measure_text
from txtop.ui.models.fleet import FleetCellRow, FleetView, KindFigure, PlaceRow, PlaceStage
from txtop.ui.panels.base import NavigablePanel, Panel

GAP = 2
# What gives way where a row is short, first to last, and the least of each that says something.
GIVING_WAY = (("device", 10), ("cell", 12), ("place", 8), ("device", 5), ("cell", 8))
MIN_FIGURE_WIDTH = 9
COUNTED: tuple[tuple[PlaceStage, str], ...] = (
    ("running", "running"),
    ("trouble", "in trouble"),
    ("waiting", "waiting"),
    ("stopped", "not done"),
    ("done", "done"),
)
COLUMNS: dict[str, Align] = {
    "place": "left",
    "state": "left",
    "cells": "right",
    "cell": "left",
    "rate": "right",
    "device": "left",
    "power": "right",
    "lag": "right",
}
FIGURES = ("cell", "rate", "device", "power")
# What a place at work fills and empties again.
AT_WORK = ("cell", "rate", "lag")


def render_fleet_header(view: FleetView, width: int, g: Glyphs) -> list[Row]:
    """Render the name, the models and how many cells are over in all places."""
    left: Row = [(" txtop", "accent-a.bold"), (f"  {clean(view.name)}", "text.bold")]
    left.append((f" {g('·')} {format_count(len(view.places), 'place')}", "muted"))
    over = sum(row.over for row in view.places)
    total = sum(row.total for row in view.places)
    state: Row = []
    if view.is_over:
        state = [(f"{g('✓')} ", "muted"), ("over", "text.bold"), (f" {view.clock}   ", "text")]
    elif view.is_copied:
        state = [
            (f"{g('●')} ", "accent-a"),
            ("COPYING", "text.bold"),
            (f" {view.clock}   ", "text"),
        ]
    right: Row = [*state, ("cells ", "muted"), (str(over), "text.bold"), (f"/{total} ", "muted")]
    room = width - sum(measure_text(clean(text)) for text, _ in (*left, *right)) - 5
    if view.models and room >= 8:
        left.append((f" {g('·')} {cut(clean(view.models), room, g('…'))}", "muted"))
    return [join_ends(left, right, width)]


def _list_fields(row: PlaceRow, g: Glyphs) -> dict[str, tuple[str, str]]:
    """Return the text and the colour of each field of a row."""
    glyph, word, role = row.sign
    rate = f"{row.rate} {row.unit}" if row.rate else ""
    over = f"{row.over}/{row.total}" if row.total else ""
    return {
        "place": (row.label, "text"),
        "state": (f"{g(glyph)} {word}", role),
        "cells": (over, "bad" if row.failed else "text"),
        "cell": (g(row.cell), "text"),
        "rate": (g(rate), "accent-a.bold"),
        "device": (row.device, "muted"),
        "power": (g(row.power), "text"),
        "lag": (row.lag, "warn" if row.is_silent else "muted"),
    }


def choose_columns(view: FleetView, g: Glyphs) -> list[str]:
    """Choose the columns: without those that say nothing of any place, or of a fleet at rest."""
    worded = {"place", "state", "cells", "device"}
    if view.is_copied and not view.is_over:
        worded.update(AT_WORK)
    for row in view.places:
        fields = _list_fields(row, g).items()
        worded.update(name for name, (text, _) in fields if text not in ("", g(MISSING)))
    return [name for name in COLUMNS if name in worded]


def choose_widths(view: FleetView, width: int, g: Glyphs) -> dict[str, int]:
    """Choose the columns and the width of each: that of its content while there is room."""
    widths = {name: len(name) for name in choose_columns(view, g)}
    for row in view.places:
        for name, (text, _) in _list_fields(row, g).items():
            if name in widths and (row.stage != "trouble" or name != "cell"):
                widths[name] = max(widths[name], measure_text(clean(text)))
    missing = 2 + sum(widths.values()) + GAP * (len(widths) - 1) - width
    for name, least in GIVING_WAY:
        given = max(0, min(missing, widths.get(name, 0) - least))
        if given:
            widths[name] -= given
            missing -= given
    return widths


def render_places(view: FleetView, at: int, first: int, area: Area) -> list[Row]:
    """Render the panel with its frame, from row `first` on, with the cursor at row `at`."""
    g, inside = area.glyphs, area.inside
    widths = choose_widths(view, inside.width, g)
    heads = (" " * GAP).join(fit(name, wide, COLUMNS[name]) for name, wide in widths.items())
    body: list[Row] = [[(f"  {heads}", "muted")]]
    for i, row in enumerate(view.places[first : first + inside.height - 1], start=first):
        body.append(_render_place(row, widths, g, at_cursor=i == at))
    counts = [f"{n} {word}" for stage, word in COUNTED if (n := view.count(stage))]
    return draw_frame("places", [(" · ".join(counts), "muted")] if counts else [], body, area)


def _render_place(row: PlaceRow, widths: dict[str, int], g: Glyphs, *, at_cursor: bool) -> Row:
    fields = _list_fields(row, g)
    spans: Row = [(f"{g('▸')} " if at_cursor else "  ", "accent-a.bold")]
    for name in widths:
        text, role = fields[name]
        if name == "place" and at_cursor:
            role = "accent-a.bold"
        if name == "cell" and row.stage == "trouble":
            # What is wrong has the room of the figures that there are none of.
            covered = [widths[own] for own in FIGURES if own in widths]
            wide = sum(covered) + GAP * (len(covered) - 1)
            spans.append((fit(text, wide, mark=g("…")) + " " * GAP, row.sign[2]))
            continue
        if row.stage == "trouble" and name in FIGURES:
            continue
        spans.append((fit(text, widths[name], COLUMNS[name], g("…")) + " " * GAP, role))
    return spans


def render_fleet_cells(view: FleetView, first: int, area: Area) -> list[Row]:
    """Render the cells from row `first` on, with as many kinds of machine as there is room for."""
    g, inside = area.glyphs, area.inside
    if not view.kinds:
        return draw_frame("cells", [], [[("no model is loaded yet", "muted")]], area)
    units = {row.unit for row in view.cells if row.unit}
    unit_width = 0 if len(units) < 2 else 6
    names = max((measure_text(clean(g(row.name))) for row in view.cells), default=0)
    names = min(max(names, 4), inside.width // 2)
    room = inside.width - 2 - names - unit_width
    count = max(1, min(len(view.kinds), room // (MIN_FIGURE_WIDTH + GAP)))
    widest = max(MIN_FIGURE_WIDTH, *(measure_text(clean(kind)) for kind in view.kinds[:count]))
    wide = min(widest, max(0, room // count - GAP))
    heads = "".join(" " * GAP + fit(k, wide, "right", g("…")) for k in view.kinds[:count])
    body: list[Row] = [[(f"  {fit('cell', names)}{heads}", "muted")]]
    for row in view.cells[first : first + max(0, inside.height - 1)]:
        body.append(_render_cell(row, names, count, wide, unit_width, g))
    left_out = len(view.kinds) - count
    parts = [*units] if len(units) == 1 else []
    parts += [f"{format_count(left_out, 'more kind')} of machine"] if left_out else []
    return draw_frame("cells by kind of machine", [(" · ".join(parts), "muted")], body, area)


def _render_cell(
    row: FleetCellRow, names: int, count: int, wide: int, unit_width: int, g: Glyphs
) -> Row:
    """Render a cell; the fastest kind of machine stands out."""
    best = max((figure.value for figure in row.figures), default=0.0)
    spans: Row = [(f"  {fit(g(row.name), names, mark=g('…'))}", "text")]
    for figure in row.figures[:count]:
        text = fit(g(figure.text), wide, "right", g("…"))
        spans.append((" " * GAP + text, _choose_role(figure, best, len(row.figures))))
    if unit_width:
        spans.append((" " + fit(row.unit, unit_width - 1), "muted"))
    return spans


def _choose_role(figure: KindFigure, best: float, kinds: int) -> str:
    is_best = kinds > 1 and figure.value == best and figure.role == "text"
    return "text.bold" if is_best else figure.role


class FleetHeader(Panel):
    """The first row of a fleet's screen."""

    fleet = FleetView()

    def build(self, width: int, height: int) -> list[Row]:
        return render_fleet_header(self.fleet, width, glyphs.get_glyphs())


class PlacesPanel(NavigablePanel):
    """The places; a cursor is always on one of them."""

    fleet = FleetView()
    at = 0
    _first = 0

    @property
    def selected(self) -> PlaceRow | None:
        """The place under the cursor; None before the first frame."""
        return self.fleet.places[self.at] if self.at < len(self.fleet.places) else None

    @property
    def _room(self) -> int:
        return max(1, self.area(*self.size).inside.height - 1)

    def action_move(self, by: int) -> None:
        self.at = max(0, min(self.at + by, len(self.fleet.places) - 1))
        self.tick()

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the row under the mouse."""
        at = self._first + event.y - 2
        if event.y >= 2 and event.y - 2 < self._room and at < len(self.fleet.places):
            self.at = at
            self.tick()

    def build(self, width: int, height: int) -> list[Row]:
        self._first = scroll_to_row(self._first, self.at, len(self.fleet.places), self._room)
        return render_places(self.fleet, self.at, self._first, self.area(width, height))


class FleetCellsPanel(NavigablePanel):
    """The cells by kind of machine; with the focus, keys scroll it."""

    fleet = FleetView()
    _first = 0

    def action_move(self, by: int) -> None:
        room = max(1, self.area(*self.size).inside.height - 1)
        self._first = limit_first_row(self._first + by, len(self.fleet.cells), room)
        self.tick()

    def build(self, width: int, height: int) -> list[Row]:
        return render_fleet_cells(self.fleet, self._first, self.area(width, height))
