"""What happened, newest first."""

from __future__ import annotations

from collections.abc import Sequence

from txtop.ui.drawing import glyphs
from txtop.ui.drawing.frame import compute_inner_size, draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, fit, measure_text
from txtop.ui.models.view import LogRow, View
from txtop.ui.panels.filtered_list import FilteredListPanel, TextFilter

ROLES = {"info": "text", "warning": "warn", "error": "bad"}
# What is left out from below: nothing, all but warnings and errors, all but errors.
SEVERITIES = ("", "warnings", "errors")
MAX_CELL_WIDTH = 28


def filter_log(lines: Sequence[LogRow], words: TextFilter, least: str = "") -> list[LogRow]:
    """The lines that have all words, and are as bad as asked for."""
    if not words.text and not least:
        return list(lines)
    levels = tuple(ROLES)[SEVERITIES.index(least) :]
    return [
        line for line in lines if line.level in levels and words.matches(f"{line.who} {line.text}")
    ]


def render_log(
    lines: Sequence[LogRow],
    width: int,
    height: int,
    g: Glyphs,
    *,
    boxed: bool,
    focused: bool = False,
    skip: int = 0,
    every: int | None = None,
    least: str = "",
    title: str = "log",
) -> list[Row]:
    """The panel with its frame; `skip` newest lines are left out, to read what lies before.
    `every` counts all lines where `lines` are some of them."""
    across, down = compute_inner_size(width, height, boxed)
    skip = max(0, min(skip, len(lines) - down))
    shown = lines[skip : skip + max(0, down)]
    when = max((len(line.at) for line in shown), default=5)
    longest = max((measure_text(clean(line.who)) for line in shown), default=0)
    who = min(longest, MAX_CELL_WIDTH, max(0, across // 3))
    body: list[Row] = []
    for line in shown:
        row: Row = [(f"{line.at:>{when}}  ", "muted")]
        if who:
            row.append((fit(line.who, who, mark=g("…")) + "  ", "muted"))
        room = max(0, across - when - 2 - (who + 2 if who else 0))
        row.append((fit(line.text, room, mark=g("…")), ROLES.get(line.level, "text")))
        body.append(row)
    if every and not lines:
        body.append([("no line like that", "muted")])
    said = [f"{skip} newer"] if skip else []
    said += [f"{len(lines)} of {every} lines"] if every is not None and len(lines) < every else []
    above: Row = [("   ".join([*said, *([f"{least} alone"] if least else [])]), "muted")]
    return draw_frame(
        title, above if above[0][0] else [], body, width, height, g, boxed=boxed, focused=focused
    )


class LogPanel(FilteredListPanel):
    """The log, newest first; with the focus, down goes back in time, and stays there."""

    name_shown = "log"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._skip = 0
        self._least = ""

    def show(self, view: View) -> None:
        new = view.log_count - self.shown.log_count
        if new < 0:
            self._skip = 0
        elif self._skip:
            self._skip += len(filter_log(view.log[:new], self.words, self._least))
        super().show(view)

    @property
    def lines(self) -> list[LogRow]:
        """What the words and the severity leave."""
        return filter_log(self.shown.log, self.words, self._least)

    @property
    def in_sight(self) -> list[LogRow]:
        """Those of them that are on show."""
        return self.lines[self._skip :][: compute_inner_size(*self.size, self.boxed)[1]]

    def next_severity(self) -> None:
        """All lines, warnings and errors, errors alone."""
        self._least = SEVERITIES[(SEVERITIES.index(self._least) + 1) % len(SEVERITIES)]
        self.apply_filter()

    def clear(self) -> bool:
        had, self._least = bool(self._least), ""
        return super().clear() or had

    def apply_filter(self) -> None:
        self._skip = 0
        super().apply_filter()

    def on_blur(self) -> None:
        self.words.typing = False
        self.tick()

    def action_move(self, by: int) -> None:
        """Leaves out so many more of the newest lines."""
        most = len(self.lines) - compute_inner_size(*self.size, self.boxed)[1]
        self._skip = max(0, min(self._skip + by, most))
        self.tick()

    def build(self, width: int, height: int) -> list[Row]:
        return render_log(
            self.lines,
            width,
            height,
            glyphs.get_glyphs(),
            boxed=self.boxed,
            focused=self.has_focus,
            skip=self._skip,
            every=len(self.shown.log),
            least=self._least,
            title=self.title,
        )
