"""The check that panels cover the screen and never overlap."""

from __future__ import annotations

from txtop.ui.models.layout import PanelLayout


def tiled(plan: PanelLayout, size: tuple[int, int]) -> bool:
    """Return True if every place of a screen of that size belongs to just one panel."""
    covered = [
        (x, y)
        for at in plan.places.values()
        for x in range(at.x, at.x + at.width)
        for y in range(at.y, at.y + at.height)
    ]
    screen = {(x, y) for x in range(size[0]) for y in range(size[1])}
    return len(covered) == len(screen) and set(covered) == screen
