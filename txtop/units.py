"""Factors between units of time. Whole numbers, so that `//` and `range` take them as they are.

Apart from `formatting`, since what computes with times formats none.
"""

from __future__ import annotations

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
