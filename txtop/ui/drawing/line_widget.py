"""The widget under every panel: rows of text with roles, of which only changed columns are sent."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.events import Resize, Show
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from txtop.ui.drawing import glyphs, themes
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.spans import Row, Span, adapt_clean, measure_text, merge_spans
from txtop.ui.models.layout import is_boxed

Ground = Literal["bg", "panel"]


def _split_columns(row: Row) -> list[Span]:
    """Return one entry a column; the second half of a wide character is empty."""
    columns: list[Span] = []
    for text, role in row:
        for character in text:
            columns.append((character, "" if character == " " else role))
            if not character.isascii():
                columns += [("", role)] * (measure_text(character) - 1)
    return columns


def find_changed_columns(before: Row, after: Row) -> tuple[int, int] | None:
    """Return the first column that differs and the one after the last, or None for equal rows."""
    old, new = _split_columns(before), _split_columns(after)
    if len(old) != len(new):
        return 0, max(len(old), len(new))
    differ = [x for x, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
    return (differ[0], differ[-1] + 1) if differ else None


def build_text(rows: list[Row], theme: str) -> Text:
    """Build the text of rows for one of Textual's widgets: inert, and on any ground."""
    text = Text(no_wrap=True, end="")
    for number, row in enumerate(rows):
        text.append("\n" if number else "")
        for part, role in row:
            style = themes.get_style(theme, role, "bg")
            own = Style(color=style.color, bold=style.bold, dim=style.dim)
            text.append(adapt_clean(part), own)
    return text


def clean_strip(strip: Strip) -> Strip:
    """Return the line of one of Textual's widgets without characters of an unsure width."""
    if all(segment.text.isascii() for segment in strip):
        return strip
    segments = [Segment(adapt_clean(text), style) for text, style, _ in strip]
    return Strip(segments).adjust_cell_length(strip.cell_length)


class LineWidget(Widget):
    """A widget that draws the rows of `build`; `tick` builds again and refreshes the columns that
    changed.

    Rows are cut and filled to the widget's width. Their text is sanitised here, whoever built them,
    and drawn as plain segments: markup in it is text.
    """

    ground: ClassVar[Ground] = "bg"
    DEFAULT_CSS = """
    LineWidget { width: 1fr; height: 1fr; background: $background; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._raw: list[Row] = []
        self._rows: list[Row] = []
        self._strips: list[Strip | None] = []
        self._built_for: tuple[int, int] | None = None

    def build(self, width: int, height: int) -> list[Row]:
        """Build at most `height` rows for `width` columns, without side effects on the screen."""
        raise NotImplementedError

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, self._repaint)

    @property
    def boxed(self) -> bool:
        """True if this terminal has room for frames."""
        return is_boxed(*self.app.size)

    def area(self, width: int, height: int) -> Area:
        """Return an area of that size with this terminal's glyphs and this widget's focus."""
        return Area(width, height, glyphs.get_glyphs(), self.boxed, self.has_focus)

    def ground_now(self) -> Ground:
        """Return the role of the background; called for every line that is drawn."""
        return self.ground

    @property
    def is_laid_out(self) -> bool:
        """True once rows were built for its size, or if it is not displayed."""
        return self._built_for is not None or not self.display

    def tick(self) -> None:
        """Build again and send the changes; do nothing while hidden or without a size."""
        width, height = self.size
        if not width or not height or not self.display or not self.is_attached:
            return
        regions = self._build(width, height)
        if regions is None:
            self.refresh()
        elif regions:
            self.refresh(*regions)

    def _build(self, width: int, height: int) -> list[Region] | None:
        """Build and return the regions that changed, or None for everything."""
        raw = self.build(width, height)[:height]
        raw += [[] for _ in range(height - len(raw))]
        if self._built_for != (width, height):
            self._built_for = (width, height)
            self._raw = raw
            self._rows = [merge_spans(row, width) for row in raw]
            self._strips = [None] * height
            return None
        regions = []
        for y, row in enumerate(raw):
            if row == self._raw[y]:
                continue
            now = merge_spans(row, width)
            span = find_changed_columns(self._rows[y], now)
            self._rows[y] = now
            if span is not None:
                self._strips[y] = None
                regions.append(Region(span[0], y, span[1] - span[0], 1))
        self._raw = raw
        return regions

    def _repaint(self, _theme: Any = None) -> None:
        self._strips = [None] * len(self._rows)
        self.refresh()

    def on_resize(self, event: Resize) -> None:
        self.tick()

    def on_show(self, event: Show) -> None:
        self.tick()

    def render_line(self, y: int) -> Strip:
        """Return the stored strip of line `y`; make it from its row on first use."""
        width, height = self.size
        if self._built_for != (width, height) and width and height:
            self._build(width, height)
        if y >= len(self._rows):
            return Strip.blank(width, themes.get_style(self.app.theme, "text", self.ground_now()))
        strip = self._strips[y]
        if strip is None:
            strip = self._strips[y] = self._strip(self._rows[y], width)
        return strip

    def _strip(self, row: Row, width: int) -> Strip:
        theme, ground = self.app.theme, self.ground_now()
        return Strip(
            [Segment(adapt_clean(t), themes.get_style(theme, role, ground)) for t, role in row],
            width,
        )
