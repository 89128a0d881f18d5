"""The first visible row of a list that is longer than its panel.

Every function takes the number of rows, `count`, and how many are visible, `room`.
"""

from __future__ import annotations

# Rows kept in view above the one that is followed.
ROWS_ABOVE = 2


def limit_first_row(first: int, count: int, room: int) -> int:
    """Return `first`, moved so that no row stays empty below the last one."""
    return max(0, min(first, count - room))


def compute_first_row(at: int | None, count: int, room: int) -> int:
    """Return the first visible row with row `at` third from the top; 0 without `at`."""
    return 0 if at is None else limit_first_row(at - ROWS_ABOVE, count, room)


def center_row(at: int, count: int, room: int) -> int:
    """Return the first visible row with row `at` in the middle."""
    return limit_first_row(at - room // 2, count, room)


def scroll_to_row(first: int, at: int, count: int, room: int) -> int:
    """Return `first`, moved no further than necessary to keep row `at` in view."""
    return limit_first_row(min(max(first, at - room + 1), at), count, room)
