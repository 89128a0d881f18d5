"""The errors that txtop raises on purpose, each with the exit code of the command line."""

from __future__ import annotations

from collections.abc import Iterable


class TxtopError(Exception):
    """An error in one line: a `cause`, and a `hint` at the next step."""

    exit_code = 1

    def __init__(self, cause: str, hint: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.cause}: {self.hint}" if self.hint else self.cause


class RunError(TxtopError):
    """The run could not start, or could not be recorded."""


class UsageError(TxtopError):
    """The arguments contradict each other, or name something that does not exist."""

    exit_code = 2


class SessionError(TxtopError):
    """A session cannot be found or read."""

    exit_code = 4


# Above this share of letters in common; the least that the library takes joins `starts` and `task`.
_NEAR = 0.61


def did_you_mean(word: str, names: Iterable[str], otherwise: str) -> str:
    """Return a hint at the nearest of `names`, or `otherwise` if none is near."""
    from difflib import get_close_matches

    # The dashes of an option would make it near to every other.
    plain = {name.lstrip("-"): name for name in names}
    near = get_close_matches(word.lstrip("-"), plain, 1, _NEAR)
    return f"did you mean {plain[near[0]]}?" if near else otherwise
