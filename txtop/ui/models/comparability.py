"""One line about two sessions: comparable, or the most frequent reason against it."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from txtop.analysis.compare import find_obstacles
from txtop.state.session import SessionState

Level = Literal["muted", "warn"]


def describe_comparability(left: SessionState, right: SessionState) -> tuple[str, Level]:
    """Say whether two sessions may be compared, and if not, why; with the level of the line."""
    obstacles = find_obstacles(left, right)
    reasons = [causes for causes in obstacles.values() if causes]
    alone = [causes for causes in reasons if causes[0].startswith("only in ")]
    if len(alone) == len(obstacles):
        return "not comparable: no cell in common", "warn"
    if not reasons:
        return "comparable", "muted"
    others = Counter(causes[0] for causes in reasons if causes not in alone)
    why = others.most_common(1)[0][0] if others else f"{len(alone)} in one of them alone"
    if len(reasons) == len(obstacles):
        return f"not comparable: {why}", "warn"
    return f"{len(obstacles) - len(reasons)} of {len(obstacles)} cells comparable: {why}", "warn"
