"""The errors txtop raises on purpose, each with the exit code the command line returns for it."""

from __future__ import annotations

from collections.abc import Iterable


class TxtopError(Exception):
    """One line that names the cause, and a hint that names the next step."""

    exit_code = 1

    def __init__(self, cause: str, hint: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.cause}: {self.hint}" if self.hint else self.cause


class RunError(TxtopError):
    """The run could not start or could not be recorded."""


class UsageError(TxtopError):
    """What was asked for contradicts itself or names something that does not exist."""

    exit_code = 2


class SessionError(TxtopError):
    """A session that cannot be found or read."""

    exit_code = 4


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """A hint that names the nearest of `known`, or `otherwise` where none is near."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(known), 1)
    return f"did you mean {near[0]}?" if near else otherwise
