"""The horizontal axis of a cell's iterations: the load first, then iterations of equal width."""

from __future__ import annotations

from dataclasses import dataclass

from txtop import formatting
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row
from txtop.ui.models.cell_detail.iterations import IterationsView

STEPS = (1, 2, 5)
MIN_TICK_WIDTH = 7


@dataclass(frozen=True)
class IterationAxis:
    """The positions of iterations: `lead` columns of loading, then `body` columns for all of
    `room`."""

    lead: int
    body: int
    room: int

    @classmethod
    def of(cls, view: IterationsView, width: int) -> IterationAxis:
        """Build the axis; the load takes the whole width, or an eighth once there are
        iterations."""
        if not view.lead_s:
            return cls(0, width, view.room)
        lead = max(4, width // 8) if view.values else width
        return cls(min(width, lead), max(0, width - lead), view.room)

    def column(self, i: int) -> int:
        """Return the column in the middle of iteration `i`, counted from 0."""
        return self.lead + (2 * i + 1) * self.body // (2 * self.room)

    def edge(self, i: int) -> int:
        """Return the first column of iteration `i`."""
        return self.lead + i * self.body // self.room


def render_axis_rule(view: IterationsView, axis: IterationAxis, g: Glyphs) -> Row:
    """Render the rule: load, warm-up, measured and planned iterations."""
    done = axis.edge(min(len(view.values), view.room)) - axis.lead
    warm = sum(kind in ("first", "warmup") for kind in view.kinds)
    warm = min(done, axis.edge(warm) - axis.lead)
    return [
        (g("·") * axis.lead, "muted"),
        (g("╌") * warm, "muted"),
        (g("━") * (done - warm), "plot"),
        (g("─") * (axis.body - done), "border"),
    ]


def format_axis_ticks(view: IterationsView, axis: IterationAxis) -> str:
    """Format as many iteration numbers as fit, from 1 on, and the load time."""
    line = [" "] * (axis.lead + axis.body)
    took = formatting.format_number(view.lead_s)
    load = next((f for f in (f"load {took} s", f"{took} s", "load") if len(f) < axis.lead), "")
    line[: len(load)] = load
    if axis.body <= 0:
        return "".join(line)
    places = [0, *range(step := _choose_step(axis), view.room + 1, step)]
    for number in dict.fromkeys(max(1, place) for place in places):
        text = f"{number:,}"
        at = axis.column(number - 1) - (len(text) - 1) // 2
        at = min(at, len(line) - len(text))
        if at < axis.lead or any(c != " " for c in line[max(0, at - 1) : at + len(text) + 1]):
            continue
        line[at : at + len(text)] = text
    return "".join(line)


def _choose_step(axis: IterationAxis) -> int:
    most = max(1, axis.body // MIN_TICK_WIDTH)
    power = 0
    while True:
        for one in STEPS:
            step: int = one * 10**power
            if axis.room // step <= most:
                return step
        power += 1
