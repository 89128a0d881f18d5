"""The matrix builder: knobs to choose values of, and what that will take, before it is begun."""

from __future__ import annotations

from pathlib import Path

from textual import events
from textual.app import ComposeResult
from textual.geometry import Size

from txtop.errors import UsageError
from txtop.forecast.history import RunHistory
from txtop.forecast.memory_fit import FreeMemory
from txtop.forecast.preview import MatrixPreview, build_matrix_preview
from txtop.ui.drawing.frame import compute_inner_size
from txtop.ui.drawing.glyphs import get_glyphs
from txtop.ui.drawing.line_widget import Ground, LineWidget
from txtop.ui.drawing.spans import Row, join_ends
from txtop.ui.keymap import build_footer_keys
from txtop.ui.models.home import HomeFrame
from txtop.ui.models.layout import PanelLayout, arrange_matrix
from txtop.ui.models.matrix_choices import MatrixChoices
from txtop.ui.panels import matrix_choices as knobs
from txtop.ui.panels import matrix_preview
from txtop.ui.panels.base import KeyHints
from txtop.ui.panels.footer import FooterRow
from txtop.ui.screens.panel_screen import PanelScreen
from txtop.ui.typed import LineInput

CURSOR_MOVES = {
    "up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1),
    "k": (-1, 0), "j": (1, 0), "h": (0, -1), "l": (0, 1),
    "tab": (1, 0), "shift+tab": (-1, 0),
    "home": (0, -1_000_000), "end": (0, 1_000_000),
}  # fmt: skip
PAGE = 5


class MatrixWidget(LineWidget):
    """A panel of the builder."""

    @property
    def builder(self) -> MatrixScreen:
        """The screen that it is on."""
        assert isinstance(self.screen, MatrixScreen)
        return self.screen

    def ground_now(self) -> Ground:
        return "panel" if self.boxed and self.id not in ("heading", "footer") else "bg"


class MatrixHeader(MatrixWidget):
    """Row 0."""

    def build(self, width: int, height: int) -> list[Row]:
        left: Row = [(" txtop", "accent-a.bold"), ("  start a run", "text.bold")]
        return [join_ends(left, [(f"{self.builder.title_of_machine} ", "muted")], width)]


class MatrixChoicesPanel(MatrixWidget):
    """The knobs."""

    def build(self, width: int, height: int) -> list[Row]:
        shown, typed = self.builder.choices, self.builder.typed
        return knobs.render_matrix_choices(
            shown, typed, width, height, get_glyphs(), boxed=self.boxed
        )

    def on_click(self, event: events.Click) -> None:
        """Chooses the value under the mouse."""
        if self.builder.typed is not None:
            return
        shown = self.builder.choices
        across, down = compute_inner_size(*self.size, self.boxed)
        row = event.y - 1 + knobs.compute_first_knob(shown, down)
        if not 0 <= event.y - 1 < down or not 0 <= row < len(shown.knobs):
            return
        found, _ = knobs.place_values(shown.knobs[row], row == shown.at, across, get_glyphs())
        x = event.x - (2 if self.boxed else 1)
        for place in found:
            if place.start <= x < place.start + place.width:
                shown.go(row, place.column)
                self.builder.choose()

    def on_mouse_scroll_down(self) -> None:
        self.builder.move(1, 0)

    def on_mouse_scroll_up(self) -> None:
        self.builder.move(-1, 0)


class MatrixCellsPanel(MatrixWidget):
    """The cells, what will not run first."""

    def build(self, width: int, height: int) -> list[Row]:
        builder = self.builder
        return matrix_preview.render_matrix_cells(
            builder.forecast,
            builder.room,
            builder.skip,
            width,
            height,
            get_glyphs(),
            boxed=self.boxed,
        )

    def on_mouse_scroll_down(self) -> None:
        self.builder.scroll(1)

    def on_mouse_scroll_up(self) -> None:
        self.builder.scroll(-1)


class MatrixSummaryPanel(MatrixWidget):
    """Time, memory, and the command line that does the same."""

    def build(self, width: int, height: int) -> list[Row]:
        builder = self.builder
        return matrix_preview.render_matrix_summary(
            builder.forecast, builder.room, width, height, get_glyphs(), boxed=self.boxed
        )


class MatrixFooter(MatrixWidget, FooterRow):
    """While a value is typed, how that ends."""

    def keys_now(self) -> KeyHints:
        return build_footer_keys("matrix", typing=self.builder.typed is not None)


class MatrixScreen(PanelScreen):
    """Keeps what is chosen, and shows what it amounts to. `enter` is the application's."""

    def __init__(self, choices: MatrixChoices, session_dir: Path | None = None) -> None:
        super().__init__()
        self.choices = choices
        self._session_dir = session_dir
        self.typed: knobs.KnobInput | None = None
        self.room = FreeMemory()
        self.forecast = MatrixPreview()
        self.skip = 0
        self.title_of_machine = ""
        self._past = RunHistory()
        self._line = LineInput()
        self._update_preview()

    def compose(self) -> ComposeResult:
        yield MatrixHeader(id="heading")
        yield MatrixChoicesPanel(id="choices")
        yield MatrixCellsPanel(id="cells")
        yield MatrixSummaryPanel(id="before")
        yield MatrixFooter(id="footer")

    def arrange_panels(self, size: Size) -> PanelLayout:
        """The panels on show on a terminal of that size."""
        return arrange_matrix(size.width, size.height, knobs=len(self.choices.knobs))

    def show(self, frame: HomeFrame) -> None:
        """Takes what is free now, and what runs took here so far."""
        self.room = frame.room
        self.title_of_machine = frame.title
        if frame.past is not self._past and frame.past is not None:
            self._past = frame.past
            self._update_preview()
        self._tick()

    def back(self) -> bool:
        """Ends typing; False when there is nothing to leave."""
        if self.typed is None:
            return False
        self.typed = None
        self._tick()
        return True

    def move(self, down: int, right: int) -> None:
        self.choices.move(down, right)
        self._tick()

    def scroll(self, by: int) -> None:
        """Leaves out so many more of the first cells."""
        self.skip = max(0, min(self.skip + by, len(self.forecast.cells) - 1))
        self._tick()

    def choose(self) -> None:
        """Chooses the value under the cursor, or no longer."""
        self.choices.toggle()
        self._update_preview()
        self._tick()

    def begin_typing(self, first: str = "") -> bool:
        """Opens the line for another value; False where all there are stand there already."""
        if not self.choices.knob.typing:
            return False
        self._line = LineInput(first)
        self.typed = knobs.KnobInput(first)
        self._tick()
        return True

    def on_key(self, event: events.Key) -> None:
        if self.typed is not None:
            event.stop()
            event.prevent_default()
            self._type(event)
        elif event.key == "space" or (event.key == "plus" and self.choices.knob.typing):
            # The application would do it after the keys that were typed ahead.
            event.stop()
            event.prevent_default()
            self.choose() if event.key == "space" else self.begin_typing()
        elif event.key in CURSOR_MOVES:
            self.move(*CURSOR_MOVES[event.key])
        elif event.key in ("pageup", "pagedown"):
            self.scroll(PAGE if event.key == "pagedown" else -PAGE)
        elif event.character and event.character in "0123456789":
            self._digit(event.character)

    def _digit(self, digit: str) -> None:
        if self.choices.knob.typing not in ("", "names"):
            self.begin_typing(digit)

    def _type(self, event: events.Key) -> None:
        if event.key == "escape":
            self.back()
            return
        wrong = ""
        if event.key == "enter":
            try:
                self.choices.take(self._line.text)
            except UsageError as error:
                wrong = str(error)
            else:
                self.typed = None
                self._update_preview()
                self._tick()
                return
        elif not self._line.take(event):
            return
        self.typed = knobs.KnobInput(self._line.text, wrong)
        self._tick()

    def _update_preview(self) -> None:
        self.skip = 0
        self.forecast = build_matrix_preview(
            self.choices.to_run_options(), self._past, self._session_dir
        )

    def _tick(self) -> None:
        for panel in self.query(MatrixWidget):
            panel.tick()
