"""The base of every screen of a mode: the one type by which the application knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from textual import events
from textual.notifications import SeverityLevel
from textual.screen import Screen

from txtop.ui.drawing.line_widget import LineWidget
from txtop.ui.keymap import ScreenKind
from txtop.ui.messages import GoBack, Say, SwitchMode
from txtop.ui.modes import AppMode

if TYPE_CHECKING:
    from txtop.ui.text_input import TextInput

F = TypeVar("F")


class ModeScreen(Screen[None], Generic[F]):
    """A screen that draws the frames of a mode and posts messages upward."""

    kind: ClassVar[ScreenKind]

    def show(self, frame: F, /) -> None:
        """Draw what is new in `frame`."""
        raise NotImplementedError

    # Private to Textual; no public hook lies before a picture is made.
    def _compositor_refresh(self) -> None:
        """Make no picture that the application would not send."""
        if not getattr(self.app, "settling", False):
            super()._compositor_refresh()

    @property
    def has_sizes(self) -> bool:
        """True once every part of it was laid out, or is left out."""
        parts = self.query(LineWidget)
        return bool(parts) and all(part.is_laid_out for part in parts)

    def show_starting(self) -> None:
        """Draw a placeholder until the first frame comes."""

    def update_footer(self) -> None:
        """Bring the last row up to date, where `show` does not."""

    @property
    def text_input(self) -> TextInput | None:
        """The line that is typed into now, if one is open."""
        return None

    def on_paste(self, event: events.Paste) -> None:
        """Hand on text that was pasted before the line had the focus."""
        if self.text_input is not None:
            self.text_input.on_paste(event)

    def back(self) -> bool:
        """Leave what is open on this screen; False when there is nothing to leave."""
        return False

    def action_back(self) -> None:
        """Leave what is open here, else the mode for the home screen; a run goes on."""
        if not self.back():
            self.post_message(GoBack())

    def say(self, text: str, severity: SeverityLevel = "information") -> None:
        """Show a line as a toast."""
        self.post_message(Say(text, severity))

    def switch_mode(self, mode: AppMode) -> None:
        """Ask for another mode."""
        self.post_message(SwitchMode(mode, self))
