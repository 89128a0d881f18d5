"""The page of a fleet: one plot and one table of the same cells on every kind of machine.

`fleet.html.jinja` holds its markup; what a session's page has stands in the report of each place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from txtop.analysis.hardware import HardwareRow, compare_hardware, group_by_kind
from txtop.export.html.page import (
    CONTENT_SECURITY_POLICY,
    HERE,
    collect_drawings,
    describe_machine,
    load_template,
    mark_trusted,
)
from txtop.export.html.plots import WIDE_INCHES
from txtop.export.html.svg import SERIES_STYLES, get_colour, render_svg, simplify_axes
from txtop.export.text import hardware
from txtop.formatting import format_count
from txtop.plan.plan import DEFAULT_MARGIN
from txtop.sanitise import sanitise
from txtop.state.session import SessionState

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of more cells a plot cannot be read; the table has them all.
MAX_DRAWN = 24
ROW_INCHES = 0.2
POINTS = "Points are means with their 95 % intervals."
RATES = (
    "A rate is the median of the iterations; a ratio is to the first kind of machine, with its"
    " 95 % interval."
)


def render_fleet_page(states: Mapping[str, SessionState], name: str) -> bytes:
    """Return the report of a fleet, the same bytes each time. Everything foreign in it is inert."""
    sides = group_by_kind(states)
    rows = compare_hardware(sides, DEFAULT_MARGIN)
    version = next((s.header.versions.get("txtop", "") for s in states.values() if s.header), "")
    left_out = len({row.cell for row in rows}) - MAX_DRAWN
    values: dict[str, Any] = {
        "policy": mark_trusted(CONTENT_SECURITY_POLICY),
        "style": mark_trusted((HERE / "page.css").read_text(encoding="utf-8")),
        "title": name,
        "version": version,
        "machines": [(kind, describe_machine(own[0])) for kind, own in sides.items()],
        "speeds": collect_drawings(draw_speeds(rows)),
        "drawn_below": POINTS
        + (f" {format_count(left_out, 'more cell')} in the table." if left_out > 0 else ""),
        "cells": hardware.build_table(rows),
        "cells_below": RATES,
        "notes": [*hardware.list_reasons(rows), *_list_unended(states)],
        "judge": lambda _column, _text: "",
    }
    return load_template("fleet.html.jinja").render(values).encode()


def _list_unended(states: Mapping[str, SessionState]) -> list[str]:
    return [
        f"{place}: the session has no end: the run goes on or was cut off"
        for place, state in states.items()
        if state.ended is None
    ]


def draw_speeds(rows: Sequence[HardwareRow]) -> str:
    """Draw the rate of each cell on each kind of machine with its interval; empty without any."""
    measured = [row for row in rows if row.mean is not None]
    cells = list(dict.fromkeys(row.cell for row in measured))[:MAX_DRAWN]
    machines = list(dict.fromkeys(row.machine for row in measured))
    drawn = [row for row in measured if row.cell in cells]
    if not drawn:
        return ""
    apart = 1 / (len(machines) + 1)

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for number, machine in enumerate(machines):
            role, marker = SERIES_STYLES[number % len(SERIES_STYLES)]
            own = [row for row in drawn if row.machine == machine]
            ys = [cells.index(row.cell) + (number + 1) * apart - 0.5 for row in own]
            for row, y in zip(own, ys, strict=True):
                if row.ci95:
                    axes.plot(row.ci95, [y, y], color=get_colour(role), lw=2)
            means = [row.mean or 0.0 for row in own]
            axes.plot(
                means, ys, marker, color=get_colour(role), ls="none", label=sanitise(machine, 60)
            )
        every = [row.mean for row in drawn if row.mean is not None]
        if max(every) > 8 * min(every):
            axes.set_xscale("log")
        else:
            axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_yticks(range(len(cells)), [sanitise(cell, 60) for cell in cells])
        axes.set_ylim(len(cells) - 0.5, -0.5)
        axes.set_xlabel(" or ".join(dict.fromkeys(row.unit for row in drawn)))
        simplify_axes(axes)
        axes.grid(axis="x", visible=True)
        axes.grid(axis="y", visible=False)
        if len(machines) > 1:
            axes.legend(fontsize=8)

    height = 0.9 + ROW_INCHES * len(cells) * (len(machines) + 1)
    description = "rate of each cell on each kind of machine, with its 95 % interval"
    return render_svg("speeds", (WIDE_INCHES, height), draw, description)
