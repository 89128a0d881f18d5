"""The errors txtop raises on purpose, each with the exit code the command line returns for it."""

from __future__ import annotations


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
