"""The words on what neighbours cost a place: for the log, and for every cell that is there."""

from __future__ import annotations

from txtop.formatting import format_ratio_interval
from txtop.protocol.events import Isolation

HIDDEN = 0.1
"""An interval that reaches further above 1 could hide a cost that matters."""


def is_slowed(isolation: Isolation) -> bool:
    """Return whether a place was shown to be slower beside its neighbours, by over the margin."""
    return isolation.ci95 is not None and isolation.ci95[0] > 1 + isolation.margin


def is_cleared(isolation: Isolation) -> bool:
    """Return whether neighbours were shown to cost a place little: less than `HIDDEN` at most."""
    is_narrow = isolation.ci95 is not None and isolation.ci95[1] <= 1 + HIDDEN
    return is_narrow and not is_slowed(isolation)


def describe_isolation(isolation: Isolation) -> str:
    """Describe what the neighbours of a place cost it, with the interval."""
    if isolation.ratio is None or isolation.ci95 is None:
        return f"neighbours of {isolation.place} not judged: {isolation.failed}"
    size = f"{isolation.ratio:.2f}x {format_ratio_interval(*isolation.ci95)}"
    if is_slowed(isolation):
        return f"beside its neighbours {isolation.place} takes {size} as long"
    if is_cleared(isolation):
        return f"neighbours cost {isolation.place} nothing that can be shown: {size}"
    return f"not decided what neighbours cost {isolation.place}: {size}"
