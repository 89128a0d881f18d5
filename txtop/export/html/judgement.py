"""The colour of a figure that is not what it seems: of a badge or a status, from its text."""

from __future__ import annotations

from txtop.state.cell import FAILED_STATUSES

_BADGES = {"✗": "bad", "INVALID": "bad", "▲": "warn"}
_BAD_STATUSES = FAILED_STATUSES | {"INVALID"}


def judge_badge(text: str) -> str:
    """Return the role of a badge, `bad` or `warn`; empty for one that leaves nothing to say."""
    return next((role for mark, role in _BADGES.items() if text.startswith(mark)), "")


def judge_field(column: str, text: str) -> str:
    """Return the role of a field of a table by its column; empty for a plain one."""
    if column == "output":
        return judge_badge(text)
    return "bad" if column == "status" and text in _BAD_STATUSES else ""
