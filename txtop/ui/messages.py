"""The messages that a screen sends to the application above it, which it never imports."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.message import Message
from textual.notifications import SeverityLevel
from textual.screen import Screen

if TYPE_CHECKING:
    from txtop.ui.modes import AppMode


class Say(Message):
    """A line for a person; it may be posted from any thread."""

    def __init__(self, text: str, severity: SeverityLevel = "information") -> None:
        super().__init__()
        self.text = text
        self.severity = severity


class SwitchMode(Message):
    """The request for another mode. It is void once `screen` is no longer the current one, so that
    a key that was pressed twice switches once.
    """

    def __init__(self, mode: AppMode, screen: Screen[None]) -> None:
        super().__init__()
        self.mode = mode
        self.screen = screen


class GoBack(Message):
    """The request to leave the mode for the home screen, if there is one."""


class OpenScreen(Message):
    """The request for another screen of the same mode, over the one that asks."""

    def __init__(self, screen: Screen[None]) -> None:
        super().__init__()
        self.screen = screen


class AskSource(Message):
    """A change of the frame source, made in the thread of the frame loop; a frame follows it."""

    def __init__(self, change: Callable[[Any], object]) -> None:
        super().__init__()
        self.change = change
