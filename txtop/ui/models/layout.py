"""Where each panel stands, for any size of the terminal."""

from __future__ import annotations

from typing import NamedTuple

BOXED_FROM = (100, 32)
CARD_BELOW = (60, 16)
LEFT_SHARE = 0.57
ZOOMED = ("cells", "tradeoffs", "machine", "log", "detail")
SMALL_HERO = 9
FEWEST_CELLS = 4
HIGH_FROM = 56
LOADING_ROWS = 6
WIDE_FROM = 150
FEWEST_LARGE = 7
FEWEST_LOG = 7
FEWEST_LANE = 6
SMALL_MATRIX, ROOMY_MATRIX = 10, 14


class Place(NamedTuple):
    """Columns and rows of a panel on the screen."""

    x: int
    y: int
    width: int
    height: int


class Plan(NamedTuple):
    """The panels on show and where; `boxed` says that they have frames."""

    places: dict[str, Place]
    boxed: bool


def is_boxed(width: int, height: int) -> bool:
    """Whether panels have frames on a terminal of this size."""
    return width >= BOXED_FROM[0] and height >= BOXED_FROM[1]


def arrange(
    width: int,
    height: int,
    *,
    replay: bool = False,
    machine_rows: int = 4,
    cells: int = 0,
    zoom: str = "",
    tradeoffs: bool = False,
) -> Plan:
    """The grid of LOOK: card, small, large (from 100x32) and wide (from 150 columns).

    `machine_rows` is what the machine wants on a small terminal, `cells` how many the plan has,
    `zoom` a panel that takes the room of all the others. With `tradeoffs` to show, a wide terminal
    has them in its right lower corner.
    """
    if width < CARD_BELOW[0] or height < CARD_BELOW[1]:
        alone = "detail" if zoom == "detail" else "card"
        return Plan({alone: Place(0, 0, width, height)}, False)
    boxed = is_boxed(width, height)
    bar = 2 if replay and boxed else 1
    top = 1 + bar
    places = {
        "header": Place(0, 0, width, 1),
        "transport" if replay else "rail": Place(0, 1, width, bar),
        "footer": Place(0, height - 1, width, 1),
    }
    rest = height - 1 - top
    if zoom == "detail" and boxed:
        places |= _detail(width, top, rest)
    elif zoom in ZOOMED:
        places[zoom] = Place(0, top, width, rest)
    elif boxed:
        places |= _large(width, height, top, rest, cells, tradeoffs=tradeoffs)
    else:
        places |= _small(width, top, rest, machine_rows)
    return Plan(places, boxed)


def _small(width: int, top: int, rest: int, machine_rows: int) -> dict[str, Place]:
    """One above the other; where that is too much the machine goes first."""
    hero = min(SMALL_HERO, rest)
    machine = machine_rows if rest - hero - machine_rows >= FEWEST_CELLS else 0
    cells = rest - hero - machine
    places = {"hero": Place(0, top, width, hero)}
    if machine:
        places["machine"] = Place(0, top + hero, width, machine)
    if cells >= 2:
        places["cells"] = Place(0, top + hero + machine, width, cells)
    else:
        places["hero"] = Place(0, top, width, rest)
    return places


def _large(
    width: int, height: int, top: int, rest: int, count: int, *, tradeoffs: bool
) -> dict[str, Place]:
    """Hero and machine side by side, the cells under them, and what is left for the log; where
    there is room, cells and log leave the right to the trade-offs."""
    left = round(LEFT_SHARE * width)
    hero = 20 if height >= HIGH_FROM else 16 if width >= WIDE_FROM else 15
    hero = min(hero, rest - FEWEST_LARGE - FEWEST_LOG)
    most = max(FEWEST_LARGE, min(rest - hero - FEWEST_LOG, round(0.4 * height)))
    cells = min(max(FEWEST_LARGE, count + 3), most)
    log = rest - hero - cells
    corner = tradeoffs and width >= WIDE_FROM
    across = left if corner else width
    places = {
        "hero": Place(0, top, left, hero),
        "machine": Place(left, top, width - left, hero),
        "cells": Place(0, top + hero, across, cells),
        "log": Place(0, top + hero + cells, across, log),
    }
    if corner:
        places["tradeoffs"] = Place(left, top + hero, width - left, cells + log)
    return places


def _detail(width: int, top: int, rest: int) -> dict[str, Place]:
    """One cell: its iterations above, how they are spread under them, and words beside both."""
    left = round(LEFT_SHARE * width)
    spread = max(9, round(0.36 * rest))
    return {
        "detail-strip": Place(0, top, left, rest - spread),
        "detail-spread": Place(0, top + rest - spread, left, spread),
        "detail-load": Place(left, top, width - left, LOADING_ROWS),
        "detail": Place(left, top + LOADING_ROWS, width - left, rest - LOADING_ROWS),
    }


def arrange_duel(
    width: int, height: int, *, replay: bool = False, machine_rows: int = 4, zoom: str = ""
) -> Plan:
    """An A/B: the verdict, a lane an arm side by side, and where they begin to write differently.
    `zoom` is one of the panels that are not on show otherwise."""
    if zoom in ZOOMED:
        return arrange(width, height, replay=replay, machine_rows=machine_rows, zoom=zoom)
    plan = arrange(width, height, replay=replay)
    if "card" in plan.places:
        return plan
    kept = ("header", "rail", "transport", "footer")
    places = {name: place for name, place in plan.places.items() if name in kept}
    top = max(place.y + place.height for name, place in places.items() if name != "footer")
    rest = height - 1 - top
    if plan.boxed:
        verdict = 20 if height >= HIGH_FROM else 13
        difference = 7
    else:
        verdict = min(9, max(5, rest - FEWEST_LANE))
        difference = 3 if rest - verdict - 3 >= FEWEST_LANE else 0
    lane = rest - verdict - difference
    half = width // 2
    places["verdict"] = Place(0, top, width, verdict)
    if lane >= 3:
        places["lane-a"] = Place(0, top + verdict, half, lane)
        places["lane-b"] = Place(half, top + verdict, width - half, lane)
    if difference:
        places["difference"] = Place(0, top + verdict + lane, width, difference)
    return Plan(places, plan.boxed)


def arrange_pair(width: int, height: int, *, cells: int = 0, zoom: str = "") -> Plan:
    """Two sessions under one transport: side by side with their cells, of which the longer list
    has `cells`, or on a small terminal one above the other. `zoom` is `cells` or nothing."""
    if width < CARD_BELOW[0] or height < CARD_BELOW[1]:
        return Plan({"card": Place(0, 0, width, height)}, False)
    boxed = is_boxed(width, height)
    bar = 2 if boxed else 1
    half, top = width // 2, 1 + bar
    rest = height - 1 - top
    places = {
        "header": Place(0, 0, width, 1),
        "transport": Place(0, 1, width, bar),
        "footer": Place(0, height - 1, width, 1),
    }
    if boxed or zoom == "cells":
        table = rest if zoom == "cells" else min(max(FEWEST_LARGE, cells + 3), rest // 2)
        for side, x, across in (("a", 0, half), ("b", half, width - half)):
            if table < rest:
                places[f"hero-{side}"] = Place(x, top, across, rest - table)
            places[f"cells-{side}"] = Place(x, top + rest - table, across, table)
    else:
        upper = rest // 2
        places["hero-a"] = Place(0, top, width, upper)
        places["hero-b"] = Place(0, top + upper, width, rest - upper)
    return Plan(places, boxed)


def arrange_matrix(width: int, height: int, *, knobs: int) -> Plan:
    """The matrix builder: its `knobs` above, under them the cells and what will happen; on a small
    terminal these go first, then the rows of knobs that the cursor is far from."""
    boxed = is_boxed(width, height)
    heading = 1 if height >= SMALL_MATRIX else 0
    footer = 1 if height >= FEWEST_CELLS else 0
    rest = height - heading - footer
    places = {"heading": Place(0, 0, width, heading)} if heading else {}
    if footer:
        places["footer"] = Place(0, height - 1, width, 1)
    if boxed:
        left, upper = round(LEFT_SHARE * width), knobs + 2
        places["choices"] = Place(0, heading, width, upper)
        places["cells"] = Place(0, heading + upper, left, rest - upper)
        places["before"] = Place(left, heading + upper, width - left, rest - upper)
        return Plan(places, True)
    before = 5 if rest >= ROOMY_MATRIX else 2 if rest >= FEWEST_CELLS else 0
    upper = min(knobs + 1, rest - before - (FEWEST_CELLS if rest >= ROOMY_MATRIX else 0))
    places["choices"] = Place(0, heading, width, max(1, upper))
    cells = rest - before - upper
    if cells >= 2:
        places["cells"] = Place(0, heading + upper, width, cells)
    if before:
        places["before"] = Place(0, heading + upper + cells, width, before)
    return Plan(places, False)
