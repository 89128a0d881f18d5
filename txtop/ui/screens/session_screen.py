"""The base of the screens of sessions: footer, focus, and what is done to lists of any of them."""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

from textual import events
from textual.widget import Widget

from txtop.ui.clipboard import copy_lines, copy_summary
from txtop.ui.keymap import KeyHints, build_footer_keys
from txtop.ui.models.view import View
from txtop.ui.modes import AppMode
from txtop.ui.panels.base import Panel
from txtop.ui.panels.compact import CompactPanel
from txtop.ui.panels.filtered_list import FilteredListPanel
from txtop.ui.panels.footer import FooterPanel
from txtop.ui.report import write_report
from txtop.ui.screens.panel_screen import PanelScreen
from txtop.ui.text_input import TextInput

M = TypeVar("M", bound=AppMode)
F = TypeVar("F")


class SessionScreen(PanelScreen[F], Generic[M, F]):
    """A screen of one session or two. `back_to` names the screen that lies under it, if any."""

    def __init__(self, mode: M, *, back_to: str = "") -> None:
        super().__init__()
        self.mode = mode
        self.back_to = back_to
        self._zoom = ""
        self.footer: KeyHints = self.keys_now()

    # The footer

    @property
    def focused_panel(self) -> Widget | None:
        """The panel that has the focus, itself or in the line that is typed into."""
        focused = self.focused
        owner = focused.parent if isinstance(focused, TextInput) else focused
        return owner if isinstance(owner, Widget) else None

    @property
    def panel_now(self) -> str:
        """The panel that has all the room, else the one that has the focus; empty without one."""
        return self._zoom or (self.focused_panel.id if self.focused_panel else None) or ""

    @property
    def typing(self) -> bool:
        """True while a filter is being typed."""
        panel = self.focused_panel
        return isinstance(panel, FilteredListPanel) and panel.words.typing

    @property
    def ended(self) -> bool:
        """True if the end of the recording is on the screen."""
        return False

    @property
    def cell_detail(self) -> Literal["", "shut", "open"]:
        """The state of the detail of a cell; empty where none can be opened."""
        return ""

    def keys_now(self) -> KeyHints:
        """Return the keys that work now."""
        return build_footer_keys(
            self.kind,
            panel=self.panel_now,
            typing=self.typing,
            paused=self.mode.paused,
            over=self.mode.over,
            ended=self.ended,
            back=self.back_to,
            arms=self.mode.arms,
            cell=self.cell_detail,
        )

    def update_footer(self) -> None:
        keys = self.keys_now()
        if keys != self.footer:
            self.set_footer(keys)

    def set_footer(self, keys: KeyHints) -> None:
        """Replace the last row."""
        self.footer = keys
        for bar in self.query(FooterPanel):
            bar.keys = keys
            bar.tick()
        for card in self.query(CompactPanel):
            card.keys = keys
            card.tick()

    def on_keys_changed(self) -> None:
        self.update_footer()

    def on_descendant_focus(self) -> None:
        self.update_footer()

    def on_descendant_blur(self) -> None:
        self.update_footer()

    # Keys

    @property
    def text_input(self) -> TextInput | None:
        panels = self.query(FilteredListPanel)
        return next((panel.text_input for panel in panels if panel.text_input), None)

    async def on_key(self, event: events.Key) -> None:
        """Hand on a key that was typed before the line had the focus."""
        if self.text_input is not None:
            await self.text_input.take(event)
        elif event.key == "slash" and self.filter():
            # A binding is run by the application, after the keys that were typed ahead.
            event.stop()
            event.prevent_default()

    # Panels

    def panel(self, number: int) -> None:
        """Give a panel the focus or all the room, or take it away."""
        raise NotImplementedError

    def filter(self) -> bool:
        """Begin to look for text in a list; False where there is none."""
        return False

    def next_order(self) -> bool:
        """Order the cells by the next column; False where they have one order."""
        return False

    def next_severity(self) -> bool:
        """Leave out more of the log; False where there is none."""
        return False

    def get_selected_lines(self) -> tuple[str, list[str]] | None:
        """Return the name and the lines of what is selected to be copied; `None` without any."""
        return None

    def action_panel(self, number: int) -> None:
        self.panel(number)

    def action_filter(self) -> None:
        if not self.filter():
            self.say("nothing to search here")

    def action_order(self) -> None:
        if not self.next_order():
            self.say("cannot be sorted here")

    def action_severity(self) -> None:
        if not self.next_severity():
            self.say("there is no log here")

    def action_copy(self) -> None:
        """Copy what is selected, else the summary of the session, which is read for it."""
        app, selection = self.app, self.get_selected_lines()
        if selection is not None:
            copy_lines(app, *selection)
        elif paths := self.mode.paths:
            app.run_worker(lambda: copy_summary(app, paths), thread=True)
        else:
            self.say("there is no session yet")

    def action_write_report(self) -> None:
        """Write the report of the session, in a process of its own, once nothing is measured."""
        app, paths = self.app, self.mode.paths
        if self.mode.going:
            self.say("a report would disturb the measurement: e again when the run is over")
        elif len(paths) != 1:
            self.say("there is a report of one session at a time")
        else:
            self.say("writing the report…")
            app.run_worker(lambda: write_report(app, paths[0]), thread=True, exclusive=True)

    # Drawing

    def _distribute_views(self, *views: tuple[str, View]) -> None:
        """Give each panel the view for the ending of its id; hidden panels draw it later."""
        places = self.arrange_panels(self.size).places
        for panel in self.query(Panel):
            view = next(v for ending, v in views if (panel.id or "").endswith(ending))
            if panel.id in places:
                panel.show(view)
            else:
                panel.view = view

    def _lay_out(self) -> None:
        """Have the panels placed again; asked for from a child, since a screen keeps its place."""
        self.query_one("#header").refresh(layout=True)
