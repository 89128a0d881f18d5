"""Whether two sessions can be held against each other, in a line."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from txtop.analysis.compare import find_obstacles
from txtop.state.session import SessionState

Level = Literal["muted", "warn"]


def describe_comparability(left: SessionState, right: SessionState) -> tuple[str, Level]:
    """What is to be said of A and B before anybody reads one number against the other."""
    found = find_obstacles(left, right)
    reasons = [each for each in found.values() if each]
    alone = [each for each in reasons if each[0].startswith("only in ")]
    if len(alone) == len(found):
        return "not comparable: no cell in common", "warn"
    if not reasons:
        return "comparable", "muted"
    others = Counter(each[0] for each in reasons if each not in alone)
    why = others.most_common(1)[0][0] if others else f"{len(alone)} in one of them alone"
    if len(reasons) == len(found):
        return f"not comparable: {why}", "warn"
    return f"{len(found) - len(reasons)} of {len(found)} cells comparable: {why}", "warn"
