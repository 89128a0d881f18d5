"""The screen of the matrix builder: values to choose, and what the run will take."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.geometry import Size

from txtop.errors import UsageError
from txtop.forecast.history import RunHistory
from txtop.forecast.memory_fit import FreeMemory
from txtop.forecast.preview import MatrixPreview, build_matrix_preview
from txtop.ui.clipboard import copy_lines
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import get_glyphs
from txtop.ui.drawing.line_widget import Ground, LineWidget
from txtop.ui.drawing.spans import Row, join_ends
from txtop.ui.keymap import KeyHints, build_bindings, build_footer_keys
from txtop.ui.models.home import HomeFrame
from txtop.ui.models.layout import PanelLayout, arrange_matrix
from txtop.ui.models.matrix_choices import MatrixChoices
from txtop.ui.modes import HomeMode
from txtop.ui.panels import matrix_choices, matrix_preview
from txtop.ui.panels.footer import FooterRow
from txtop.ui.screens.panel_screen import PanelScreen
from txtop.ui.text_input import TextInput

CURSOR_MOVES = {
    "up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1),
    "k": (-1, 0), "j": (1, 0), "h": (0, -1), "l": (0, 1),
    "tab": (1, 0), "shift+tab": (-1, 0),
    "home": (0, -1_000_000), "end": (0, 1_000_000),
}  # fmt: skip
PAGE = 5
DIGITS = tuple("0123456789")


class MatrixWidget(LineWidget):
    """A panel of the builder."""

    @property
    def builder(self) -> MatrixScreen:
        """The screen of this panel."""
        assert isinstance(self.screen, MatrixScreen)
        return self.screen

    def ground_now(self) -> Ground:
        return "panel" if self.boxed and self.id not in ("heading", "footer") else "bg"


class MatrixHeader(MatrixWidget):
    """The first row."""

    def build(self, width: int, height: int) -> list[Row]:
        left: Row = [(" txtop", "accent-a.bold"), ("  start a run", "text.bold")]
        return [join_ends(left, [(f"{self.builder.title_of_machine} ", "muted")], width)]


class MatrixChoicesPanel(MatrixWidget):
    """The knobs and their values."""

    text_input: TextInput | None = None

    def build(self, width: int, height: int) -> list[Row]:
        choices, typed = self.builder.choices, self.builder.typed
        return matrix_choices.render_matrix_choices(choices, typed, self.area(width, height))

    def open_input(self, text: str) -> None:
        """Open the line for another value of the knob under the cursor."""
        builder = self.builder
        self.text_input = TextInput(
            text,
            matrix_choices.FORMS.get(builder.choices.knob.typing, ""),
            on_change=builder.change_typed,
            on_done=builder.end_typing,
        )
        self.mount(self.text_input)
        self.screen.set_focus(self.text_input, scroll_visible=False)

    def close_input(self) -> None:
        if self.text_input is not None:
            self.screen.set_focus(None)
            self.text_input.close()
            self.text_input = None

    def place_input(self) -> None:
        """Put the line in the row of its knob, with room behind it for an error."""
        if self.text_input is None or self.builder.typed is None:
            return
        area = self.area(*self.size).inside
        choices = self.builder.choices
        x = matrix_choices.LABEL_WIDTH + matrix_choices.PROMPT_WIDTH
        width = matrix_choices.compute_input_width(self.builder.typed, area.width - x)
        rows, own = matrix_choices.list_rows(choices, area), (choices.at, 0)
        # On a terminal of a few cells there is no row at all.
        if own in rows:
            y = 1 + rows.index(own)
            self.text_input.place((2 if self.boxed else 1) + x, y, width, boxed=self.boxed)

    def on_resize(self, event: events.Resize) -> None:
        self.place_input()

    def on_click(self, event: events.Click) -> None:
        """Choose the value under the mouse."""
        if self.builder.typed is not None:
            return
        choices = self.builder.choices
        area = self.area(*self.size).inside
        rows = matrix_choices.list_rows(choices, area)
        row, line = rows[event.y - 1] if 0 <= event.y - 1 < len(rows) else (None, 0)
        if row is None:
            return
        places, _ = matrix_choices.place_line(choices, row, line, area)
        x = event.x - (2 if self.boxed else 1)
        for place in places:
            if place.start <= x < place.start + place.width:
                choices.go(row, place.column)
                self.builder.choose()

    def on_mouse_scroll_down(self) -> None:
        self.builder.move(1, 0)

    def on_mouse_scroll_up(self) -> None:
        self.builder.move(-1, 0)


class MatrixCellsPanel(MatrixWidget):
    """The cells, those that will not run first."""

    def build(self, width: int, height: int) -> list[Row]:
        builder = self.builder
        return matrix_preview.render_matrix_cells(
            builder.forecast, builder.free_memory, builder.skip, self.area(width, height)
        )

    def on_mouse_scroll_down(self) -> None:
        self.builder.scroll(1)

    def on_mouse_scroll_up(self) -> None:
        self.builder.scroll(-1)


class MatrixSummaryPanel(MatrixWidget):
    """Time, memory, and the command line of the same run."""

    def build(self, width: int, height: int) -> list[Row]:
        builder = self.builder
        return matrix_preview.render_matrix_summary(
            builder.forecast, builder.free_memory, self.area(width, height)
        )


class MatrixFooter(MatrixWidget, FooterRow):
    """The keys, and while a value is typed the two that end it."""

    def keys_now(self) -> KeyHints:
        return build_footer_keys("matrix", typing=self.builder.typed is not None)


class MatrixScreen(PanelScreen[HomeFrame]):
    """Values to choose and the forecast of their run. `choices` outlive the screen."""

    kind = "matrix"
    BINDINGS: ClassVar[list[BindingType]] = build_bindings("matrix")

    def __init__(self, mode: HomeMode, choices: MatrixChoices) -> None:
        super().__init__()
        self.mode = mode
        self.choices = choices
        self.typed: matrix_choices.KnobInput | None = None
        self.free_memory = FreeMemory()
        self.forecast = MatrixPreview()
        self.skip = 0
        self.title_of_machine = ""
        self._past = RunHistory()
        self._update_preview()

    def compose(self) -> ComposeResult:
        yield MatrixHeader(id="heading")
        yield MatrixChoicesPanel(id="choices")
        yield MatrixCellsPanel(id="cells")
        yield MatrixSummaryPanel(id="before")
        yield MatrixFooter(id="footer")

    def arrange_panels(self, size: Size) -> PanelLayout:
        knobs = len(self.choices.knobs)
        # Frame and padding are four columns, as `Area.inside` has it.
        inside = Area(size.width - 4, size.height, get_glyphs())
        lines = matrix_choices.count_lines(self.choices, inside)
        return arrange_matrix(size.width, size.height, knobs=knobs, lines=lines)

    def show(self, frame: HomeFrame) -> None:
        """Draw the memory that is free now, and the forecast from earlier runs on this machine."""
        self.free_memory = frame.free_memory or self.free_memory
        self.title_of_machine = frame.title
        if frame.past is not self._past and frame.past is not None:
            self._past = frame.past
            self._update_preview()
        self._tick()

    def back(self) -> bool:
        """End typing; False when nothing is typed."""
        if self.typed is None:
            return False
        self._set_typed(None)
        return True

    def action_back(self) -> None:
        if not self.back():
            self.dismiss()

    def move(self, down: int, right: int) -> None:
        """Move the cursor, which stays while a value is typed for its knob."""
        if self.typed is None:
            self.choices.move(down, right)
            self._tick()

    def scroll(self, by: int) -> None:
        """Leave out `by` more of the first cells."""
        self.skip = max(0, min(self.skip + by, len(self.forecast.cells) - 1))
        self._tick()

    def choose(self) -> None:
        """Toggle the value under the cursor, unless the hint beside it says that it is not here."""
        if self.choices.toggle():
            self._update_preview()
            self._tick()

    def begin_typing(self, first: str = "") -> bool:
        """Open the line for another value; False for a knob that has no others."""
        if self.typed is not None:
            return True
        if not self.choices.knob.typing:
            return False
        self.query_one(MatrixChoicesPanel).open_input(first)
        self._set_typed(matrix_choices.KnobInput(first))
        return True

    def _set_typed(self, typed: matrix_choices.KnobInput | None) -> None:
        """Set what is being typed; `None` closes the line."""
        self.typed = typed
        panel = self.query_one(MatrixChoicesPanel)
        panel.close_input() if typed is None else panel.place_input()
        self._tick()

    def change_typed(self, text: str) -> None:
        """Take the new text of the line."""
        self._set_typed(matrix_choices.KnobInput(text))

    def end_typing(self, keep: bool) -> None:
        """Take the value, or close the line without it; a wrong value stays to be corrected."""
        if self.typed is None:
            return
        if keep:
            try:
                self.choices.take(self.typed.text)
            except UsageError as error:
                wrong = matrix_choices.KnobInput(self.typed.text, error.cause, error.hint)
                self._set_typed(wrong)
                return
            self._update_preview()
        self._set_typed(None)

    @property
    def text_input(self) -> TextInput | None:
        return self.query_one(MatrixChoicesPanel).text_input

    def action_choose(self) -> None:
        self.choose()

    def action_type_value(self) -> None:
        if not self.begin_typing():
            self.say("no other values for this row")

    def action_copy_command(self) -> None:
        if self.forecast.command:
            copy_lines(self.app, "the command line", [self.forecast.command])

    def action_start_matrix(self) -> None:
        if self.forecast.plan is None:
            self.say(self.forecast.problem, "error")
        else:
            self.switch_mode(self.mode.start(self.forecast.plan))

    async def on_key(self, event: events.Key) -> None:
        if self.text_input is not None:
            await self.text_input.take(event)
        elif event.key == "space" or (event.key == "plus" and self.choices.knob.typing):
            # A binding is run by the application, after the keys that were typed ahead.
            event.stop()
            event.prevent_default()
            self.choose() if event.key == "space" else self.begin_typing()
        elif event.key in CURSOR_MOVES:
            self.move(*CURSOR_MOVES[event.key])
        elif event.key in ("pageup", "pagedown"):
            self.scroll(PAGE if event.key == "pagedown" else -PAGE)
        elif event.key in DIGITS and self.choices.knob.typing not in ("", "names"):
            # The line is opened with the digit in it.
            event.prevent_default()
            self.begin_typing(event.key)

    def _update_preview(self) -> None:
        self.skip = 0
        forecast = build_matrix_preview(
            self.choices.to_run_options(), self._past, self.mode.session_dir
        )
        self.forecast = self.choices.name_rows_of(forecast)

    def _tick(self) -> None:
        for panel in self.query(MatrixWidget):
            panel.tick()
