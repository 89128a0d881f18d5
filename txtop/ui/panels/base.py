"""The base classes of panels: rows made from the newest view, with a frame if there is room."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from txtop.ui.drawing.line_widget import Ground, LineWidget

if TYPE_CHECKING:
    from txtop.ui.models.view import View

PAGE = 10
ARM_ROLES = ("accent-a", "accent-b")
"""The colours of the arms of an A/B, in their order."""
MOVE_BINDINGS: list[BindingType] = [
    Binding("up", "move(-1)", show=False),
    Binding("down", "move(1)", show=False),
    Binding("pageup", f"move(-{PAGE})", show=False),
    Binding("pagedown", f"move({PAGE})", show=False),
]


class Panel(LineWidget):
    """A widget that renders a view; `view` is the newest one, drawn on `tick`."""

    def __init__(self, *, id: str) -> None:
        # Imported late: the home screen is drawn before what shows sessions is loaded.
        from txtop.ui.models.view import View

        super().__init__(id=id)
        self.view = View()

    def show(self, view: View) -> None:
        """Take a view and draw the changes."""
        self.view = view
        self.tick()


class KeysChanged(Message):
    """The meaning of keys changed, so that the footer has to be drawn again."""


class FramedPanel(Panel):
    """A panel with a frame on large terminals, which can have the focus or be zoomed."""

    zoomed = False

    def ground_now(self) -> Ground:
        return "panel" if self.boxed else "bg"

    def watch_has_focus(self, value: bool) -> None:
        """Draw after the focus changed; the focus event itself comes too early."""
        super().watch_has_focus(value)
        self.tick()


class NavigablePanel(FramedPanel, can_focus=True):
    """A list that keys move through while it has the focus; the mouse wheel focuses it."""

    BINDINGS: ClassVar[list[BindingType]] = MOVE_BINDINGS

    def action_move(self, by: int) -> None:
        """Move down by `by` rows."""
        raise NotImplementedError

    def take_focus(self) -> None:
        """Ask for the focus, which `TextInput` keeps while it is open."""
        self.focus()

    def on_mouse_scroll_down(self) -> None:
        self.take_focus()
        self.action_move(1)

    def on_mouse_scroll_up(self) -> None:
        self.take_focus()
        self.action_move(-1)
