"""The place of each panel, for any size of the terminal; docs/look.md ("Grid") has the sizes."""

from __future__ import annotations

from typing import NamedTuple

# Columns and rows: panels have frames from the first size, below the second there is only a card.
BOXED_FROM = (100, 32)
COMPACT_BELOW = (60, 16)
LEFT_SHARE = 0.57
ZOOMABLE_PANELS = ("cells", "tradeoffs", "machine", "log", "detail", "why")
# Rows of a panel; `HIGH_FROM`, `WIDE_FROM` and the two sizes of the matrix concern the terminal.
SMALL_HERO = 9
MIN_CELLS_ROWS = 4
HIGH_FROM = 56
LOADING_ROWS = 6
WIDE_FROM = 150
MIN_LARGE_CELLS_ROWS = 7
MIN_LOG_ROWS = 7
# Rows that the hero and the machine take of those that the log does not need.
MAX_MORE_HERO_ROWS = 4
MIN_ARM_ROWS = 6
SMALL_MATRIX, ROOMY_MATRIX = 10, 14
# Rows of cells and forecast that the values of knobs do not take.
MIN_BELOW_KNOBS = 10
# Rows of the machine on the home screen at most, without GPUs and with them; and on a small
# terminal without GPUs, as it is taken to be until the first frame.
MAX_HOME_MACHINE_ROWS = (18, 20)
MIN_HOME_MACHINE_ROWS = 3
# Share of the sessions on the home screen, without frames and with them.
SESSIONS_PERCENT = (60, 62)


class PanelRegion(NamedTuple):
    """The place of a panel on the screen, in columns and rows."""

    x: int
    y: int
    width: int
    height: int


class PanelLayout(NamedTuple):
    """The visible panels and their places; `boxed` if they have frames."""

    places: dict[str, PanelRegion]
    boxed: bool


def is_boxed(width: int, height: int) -> bool:
    """Return True if panels have frames on a terminal of this size."""
    return width >= BOXED_FROM[0] and height >= BOXED_FROM[1]


def arrange_home(
    width: int, height: int, *, small: int = MIN_HOME_MACHINE_ROWS, gpus: bool = False
) -> PanelLayout:
    """Arrange the machine above the sessions and, beside these, what starts a run.

    The machine has a third of the rows where it has a frame, else `small`. On a narrow terminal the
    sessions stand alone, on a low one there are no findings.
    """
    boxed = is_boxed(width, height)
    machine = min(height // 3, MAX_HOME_MACHINE_ROWS[gpus]) if boxed else small
    findings = 1 if height >= COMPACT_BELOW[1] else 0
    top = 1 + machine
    rest = max(1, height - top - findings - 1)
    left = width * SESSIONS_PERCENT[boxed] // 100 if width >= COMPACT_BELOW[0] else width
    places = {
        "heading": PanelRegion(0, 0, width, 1),
        "machine": PanelRegion(0, 1, width, machine),
        "sessions": PanelRegion(0, top, left, rest),
    }
    if left < width:
        places["start"] = PanelRegion(left, top, width - left, rest)
    if findings:
        places["findings"] = PanelRegion(0, top + rest, width, 1)
    places["footer"] = PanelRegion(0, top + rest + findings, width, 1)
    return PanelLayout(places, boxed)


def arrange_session(
    width: int,
    height: int,
    *,
    replay: bool = False,
    captioned: bool = False,
    machine_rows: int = 4,
    cells: int = 0,
    zoom: str = "",
    tradeoffs: bool = False,
    results: bool = False,
    edge: int = 0,
    why: bool = False,
    race: int = 0,
) -> PanelLayout:
    """Arrange a session as a card, small, large (from 100x32) or wide (from 150 columns).

    `machine_rows` is the height of the machine on a small terminal, `cells` the number of cells in
    the plan, `zoom` a panel that takes the room of all the others. A `captioned` replay has a row
    more under its transport. With `tradeoffs` to draw, a wide terminal has them in its lower right
    corner. The lines of the `edge` of a search stand there, and on other terminals in place of the
    cells. `results` take the place of the hero. With `why` an explanation stands under it, in place
    of cells and log. The lines of a `race` have the place of the cells, and on a small terminal
    that of the hero, too.
    """
    if width < COMPACT_BELOW[0] or height < COMPACT_BELOW[1]:
        alone = "detail" if zoom == "detail" else "card"
        return PanelLayout({alone: PanelRegion(0, 0, width, height)}, False)
    boxed = is_boxed(width, height)
    bar = (2 if replay and boxed else 1) + captioned
    top = 1 + bar
    places = {
        "header": PanelRegion(0, 0, width, 1),
        "transport" if replay else "rail": PanelRegion(0, 1, width, bar),
        "footer": PanelRegion(0, height - 1, width, 1),
    }
    rest = height - 1 - top
    if zoom == "detail" and boxed:
        places |= _arrange_detail(width, top, rest)
    elif zoom in ZOOMABLE_PANELS:
        places[zoom] = PanelRegion(0, top, width, rest)
    elif boxed:
        lines = (race if width >= WIDE_FROM else race or edge) or cells + 1
        corner = tradeoffs or bool(edge)
        places |= _arrange_large(width, height, top, rest, lines, tradeoffs=corner)
    elif race:
        places |= _arrange_race(width, top, rest, machine_rows)
    else:
        places |= _arrange_small(width, top, rest, machine_rows)
    if results and "hero" in places:
        places["results"] = places.pop("hero")
    if race and boxed and "cells" in places and not zoom:
        places["race"] = places.pop("cells")
    if edge and not zoom:
        instead = "tradeoffs" if "tradeoffs" in places else "cells"
        if instead in places:
            places["edge"] = places.pop(instead)
    if why and not zoom and "cells" in places:
        table = places.pop("cells")
        log = places.pop("log").height if "log" in places else 0
        places["why"] = table._replace(height=table.height + log)
    return PanelLayout(places, boxed)


def _arrange_race(width: int, top: int, rest: int, machine_rows: int) -> dict[str, PanelRegion]:
    """Place the race above the machine, which is left out where rows are short."""
    machine = machine_rows if rest - machine_rows >= 2 * MIN_CELLS_ROWS else 0
    places = {"race": PanelRegion(0, top, width, rest - machine)}
    if machine:
        places["machine"] = PanelRegion(0, top + rest - machine, width, machine)
    return places


def _arrange_small(width: int, top: int, rest: int, machine_rows: int) -> dict[str, PanelRegion]:
    """Place one panel above the other; where rows are short, the machine is left out first."""
    hero = min(SMALL_HERO, rest)
    machine = machine_rows if rest - hero - machine_rows >= MIN_CELLS_ROWS else 0
    cells = rest - hero - machine
    places = {"hero": PanelRegion(0, top, width, hero)}
    if machine:
        places["machine"] = PanelRegion(0, top + hero, width, machine)
    if cells >= 2:
        places["cells"] = PanelRegion(0, top + hero + machine, width, cells)
    else:
        places["hero"] = PanelRegion(0, top, width, rest)
    return places


def _arrange_large(
    width: int, height: int, top: int, rest: int, count: int, *, tradeoffs: bool
) -> dict[str, PanelRegion]:
    """Place hero and machine side by side, the cells under them, and the log in the rest.

    The cells, or what stands in their place, have `count` rows inside. Where there is room, cells
    and log leave the right to the trade-offs.
    """
    left = round(LEFT_SHARE * width)
    hero = 20 if height >= HIGH_FROM else 16 if width >= WIDE_FROM else 15
    hero = min(hero, rest - MIN_LARGE_CELLS_ROWS - MIN_LOG_ROWS)
    most = max(MIN_LARGE_CELLS_ROWS, min(rest - hero - MIN_LOG_ROWS, round(0.4 * height)))
    cells = min(max(MIN_LARGE_CELLS_ROWS, count + 2), most)
    hero += min(MAX_MORE_HERO_ROWS, max(0, rest - hero - cells - MIN_LOG_ROWS) // 2)
    log = rest - hero - cells
    corner = tradeoffs and width >= WIDE_FROM
    across = left if corner else width
    places = {
        "hero": PanelRegion(0, top, left, hero),
        "machine": PanelRegion(left, top, width - left, hero),
        "cells": PanelRegion(0, top + hero, across, cells),
        "log": PanelRegion(0, top + hero + cells, across, log),
    }
    if corner:
        places["tradeoffs"] = PanelRegion(left, top + hero, width - left, cells + log)
    return places


def _arrange_detail(width: int, top: int, rest: int) -> dict[str, PanelRegion]:
    """Place one cell's iterations above their distribution, and its texts beside both."""
    left = round(LEFT_SHARE * width)
    spread = max(9, round(0.36 * rest))
    return {
        "detail-iterations": PanelRegion(0, top, left, rest - spread),
        "detail-histogram": PanelRegion(0, top + rest - spread, left, spread),
        "detail-load": PanelRegion(left, top, width - left, LOADING_ROWS),
        "detail": PanelRegion(left, top + LOADING_ROWS, width - left, rest - LOADING_ROWS),
    }


def arrange_ab(
    width: int,
    height: int,
    *,
    replay: bool = False,
    captioned: bool = False,
    machine_rows: int = 4,
    zoom: str = "",
) -> PanelLayout:
    """Arrange an A/B: the verdict, the arms side by side, and where the outputs diverge.

    `zoom` is one of the panels that are hidden otherwise.
    """
    zoom = zoom if zoom in ZOOMABLE_PANELS else ""
    session = arrange_session(
        width, height, replay=replay, captioned=captioned, machine_rows=machine_rows, zoom=zoom
    )
    if zoom:
        return session
    if "card" in session.places:
        return session
    bars = ("header", "rail", "transport", "footer")
    places = {name: place for name, place in session.places.items() if name in bars}
    top = max(place.y + place.height for name, place in places.items() if name != "footer")
    rest = height - 1 - top
    if session.boxed:
        verdict = 20 if height >= HIGH_FROM else 13
        difference = 7
    else:
        verdict = min(9, max(5, rest - MIN_ARM_ROWS))
        difference = 3 if rest - verdict - 3 >= MIN_ARM_ROWS else 0
    arm_height = rest - verdict - difference
    half = width // 2
    places["verdict"] = PanelRegion(0, top, width, verdict)
    if arm_height >= 3:
        places["arm-a"] = PanelRegion(0, top + verdict, half, arm_height)
        places["arm-b"] = PanelRegion(half, top + verdict, width - half, arm_height)
    if difference:
        places["difference"] = PanelRegion(0, top + verdict + arm_height, width, difference)
    return PanelLayout(places, session.boxed)


def arrange_side_by_side(width: int, height: int, *, cells: int, zoom: str) -> PanelLayout:
    """Arrange two sessions under one transport, each with its cells.

    They stand side by side, on a small terminal one above the other and without cells unless
    zoomed. `cells` is the length of the longer list of cells; `zoom` is `cells` or empty.
    """
    if width < COMPACT_BELOW[0] or height < COMPACT_BELOW[1]:
        return PanelLayout({"card": PanelRegion(0, 0, width, height)}, False)
    boxed = is_boxed(width, height)
    bar = 2 if boxed else 1
    half, top = width // 2, 1 + bar
    rest = height - 1 - top
    places = {
        "header": PanelRegion(0, 0, width, 1),
        "transport": PanelRegion(0, 1, width, bar),
        "footer": PanelRegion(0, height - 1, width, 1),
    }
    if boxed or zoom == "cells":
        table = rest if zoom == "cells" else min(max(MIN_LARGE_CELLS_ROWS, cells + 3), rest // 2)
        for side, x, across in (("a", 0, half), ("b", half, width - half)):
            if table < rest:
                places[f"hero-{side}"] = PanelRegion(x, top, across, rest - table)
            places[f"cells-{side}"] = PanelRegion(x, top + rest - table, across, table)
    else:
        upper = rest // 2
        places["hero-a"] = PanelRegion(0, top, width, upper)
        places["hero-b"] = PanelRegion(0, top + upper, width, rest - upper)
    return PanelLayout(places, boxed)


def arrange_fleet(width: int, height: int, *, places: int, cells: int) -> PanelLayout:
    """Arrange the places of a fleet above its cells, each with a row of headings.

    The cells have what they need of up to half of the rows; where few rows are left, none.
    """
    boxed = is_boxed(width, height)
    frame = (2 if boxed else 1) + 1
    header = 1 if height >= MIN_CELLS_ROWS else 0
    regions = {"header": PanelRegion(0, 0, width, 1)} if header else {}
    rest = height - header
    if rest >= MIN_CELLS_ROWS:
        rest -= 1
        regions["footer"] = PanelRegion(0, height - 1, width, 1)
    below = min(cells + frame, max(rest // 2, rest - places - frame))
    if below < MIN_CELLS_ROWS or rest - below < MIN_CELLS_ROWS:
        below = 0
    elif boxed:
        below = max(below, rest - places - frame)
    above = rest - below
    regions["places"] = PanelRegion(0, header, width, above)
    if below:
        regions["cells"] = PanelRegion(0, header + above, width, below)
    return PanelLayout(regions, boxed)


def arrange_matrix(width: int, height: int, *, knobs: int, lines: int = 0) -> PanelLayout:
    """Arrange the matrix builder: `knobs` rows and a hint above, then the cells and the forecast.

    On a large terminal knobs have all the `lines` that their values need, if the rest is enough.
    On a small terminal cells and forecast are left out first, then the knobs far from the cursor.
    """
    boxed = is_boxed(width, height)
    heading = 1 if height >= SMALL_MATRIX else 0
    footer = 1 if height >= MIN_CELLS_ROWS else 0
    rest = height - heading - footer
    places = {"heading": PanelRegion(0, 0, width, heading)} if heading else {}
    if footer:
        places["footer"] = PanelRegion(0, height - 1, width, 1)
    if boxed:
        left, upper = round(LEFT_SHARE * width), knobs + 3
        if rest - lines - 3 >= MIN_BELOW_KNOBS:
            upper = max(upper, lines + 3)
        places["choices"] = PanelRegion(0, heading, width, upper)
        places["cells"] = PanelRegion(0, heading + upper, left, rest - upper)
        places["before"] = PanelRegion(left, heading + upper, width - left, rest - upper)
        return PanelLayout(places, True)
    before = 5 if rest >= ROOMY_MATRIX else 2 if rest >= MIN_CELLS_ROWS else 0
    upper = min(knobs + 2, rest - before - (MIN_CELLS_ROWS if rest >= ROOMY_MATRIX else 0))
    places["choices"] = PanelRegion(0, heading, width, max(1, upper))
    cells = rest - before - upper
    if cells >= 2:
        places["cells"] = PanelRegion(0, heading + upper, width, cells)
    if before:
        places["before"] = PanelRegion(0, heading + upper + cells, width, before)
    return PanelLayout(places, False)
