"""What every panel is: lines made from the newest view, with a frame where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from txtop.ui.drawing.line_widget import Ground, LineWidget
from txtop.ui.models.view import View

PAGE = 10
MOVE_BINDINGS: list[BindingType] = [
    Binding("up", "move(-1)", show=False),
    Binding("down", "move(1)", show=False),
    Binding("pageup", f"move(-{PAGE})", show=False),
    Binding("pagedown", f"move({PAGE})", show=False),
]


class Panel(LineWidget):
    """Lines made from a view. `shown` is the newest; drawing waits for `tick`."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.shown = View()

    def show(self, view: View) -> None:
        """Takes a view and draws what it changes."""
        self.shown = view
        self.tick()


class KeysChanged(Message):
    """What keys mean is another now: the footer says so."""


class FramedPanel(Panel):
    """A panel with a frame on large terminals, which can have the focus, or all the room."""

    zoomed = False

    def ground_now(self) -> Ground:
        return "panel" if self.boxed else "bg"

    def watch_has_focus(self, value: bool) -> None:
        """Drawn once it is so: the event comes before it."""
        super().watch_has_focus(value)
        self.tick()


class NavigablePanel(FramedPanel, can_focus=True):
    """A list that is moved through by keys while it has the focus; the wheel gives it that."""

    BINDINGS: ClassVar[list[BindingType]] = MOVE_BINDINGS

    def action_move(self, by: int) -> None:
        """So many rows down."""
        raise NotImplementedError

    def on_mouse_scroll_down(self) -> None:
        self.focus()
        self.action_move(1)

    def on_mouse_scroll_up(self) -> None:
        self.focus()
        self.action_move(-1)


KeyHints = Sequence[tuple[str, str]]
