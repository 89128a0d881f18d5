"""The screen of a fleet: its places, and its cells by kind of machine."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.geometry import Size

from txtop.ui.drawing.line_widget import LineWidget
from txtop.ui.fleet_mode import FleetMode
from txtop.ui.keymap import build_bindings, build_footer_keys
from txtop.ui.models.fleet import FleetView
from txtop.ui.models.layout import PanelLayout, arrange_fleet
from txtop.ui.panels.fleet import FleetCellsPanel, FleetHeader, PlacesPanel
from txtop.ui.panels.footer import FooterPanel
from txtop.ui.screens.panel_screen import PanelScreen


class FleetScreen(PanelScreen[FleetView]):
    """All places at a glance; `enter` opens one."""

    kind = "fleet"
    BINDINGS: ClassVar[list[BindingType]] = build_bindings("fleet")

    def __init__(self, mode: FleetMode) -> None:
        super().__init__()
        self.mode = mode
        self._shape = (0, 0)

    def compose(self) -> ComposeResult:
        yield FleetHeader(id="header")
        yield PlacesPanel(id="places")
        yield FleetCellsPanel(id="cells")
        yield FooterPanel(build_footer_keys("fleet"), id="footer")

    def on_mount(self) -> None:
        self.set_focus(self.query_one(PlacesPanel), scroll_visible=False)

    def arrange_panels(self, size: Size) -> PanelLayout:
        places, cells = self._shape
        return arrange_fleet(size.width, size.height, places=places, cells=cells)

    def show(self, frame: FleetView) -> None:
        """Draw what is new."""
        shape = len(frame.places), len(frame.cells)
        if shape != self._shape:
            self._shape = shape
            self.query_one("#header").refresh(layout=True)
        for panel in self.query(LineWidget):
            if isinstance(panel, FleetHeader | PlacesPanel | FleetCellsPanel):
                panel.fleet = frame
                panel.tick()

    def action_open_place(self) -> None:
        """Open the place under the cursor with all panels of a session."""
        place = self.query_one(PlacesPanel).selected
        if place is None:
            return
        mode = self.mode.open_place(place.label)
        if mode is None:
            self.say(f"nothing came from {place.label} yet")
        else:
            self.switch_mode(mode)
