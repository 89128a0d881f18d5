"""The live screen in an application that has nothing else."""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.screen import Screen

from support import ui_events
from txtop.ui.drawing import themes
from txtop.ui.drawing.line_widget import LineWidget
from txtop.ui.keymap import KeyHints
from txtop.ui.models.view import View, build_view
from txtop.ui.modes import LiveMode
from txtop.ui.screens.live import LiveScreen
from txtop.ui.screens.single_session import SingleSessionScreen

KEYS = (("space", "pause"), ("?", "help"), ("q", "quit"))


class Bench(App[None]):
    """An application that has nothing but the screen."""

    def __init__(
        self,
        screen: SingleSessionScreen[Any] | None = None,
        theme: str = "txtop-dark",
        keys: KeyHints = KEYS,
    ) -> None:
        super().__init__()
        themes.install_themes(self, theme)
        self.live = screen or LiveScreen(LiveMode())
        self.live.set_footer(keys)

    def get_default_screen(self) -> Screen[Any]:
        return self.live


def a_view(until_s: float = 61.0, gpus: int = 1) -> View:
    story = ui_events.Story(ui_events.sweep(), gpus=gpus)
    return build_view(ui_events.folded(story.whole(), until_s))


def text_of(app: App[Any], panel: str) -> str:
    widget = app.screen.query_one(f"#{panel}", LineWidget)
    return "\n".join(widget.render_line(y).text for y in range(widget.size.height))
