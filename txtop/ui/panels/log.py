"""The log panel, newest line first."""

from __future__ import annotations

from collections.abc import Sequence

from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame
from txtop.ui.drawing.spans import Row, clean, fit, measure_text
from txtop.ui.models.view import LogRow, View
from txtop.ui.panels.filtered_list import FilteredListPanel, TextFilter

ROLES = {"info": "text", "warning": "warn", "error": "bad"}
# By their position, the levels of `ROLES` that are left out from the mildest on.
SEVERITIES = ("", "warnings", "errors")
MAX_CELL_WIDTH, MIN_TEXT_WIDTH = 28, 60


def filter_log(lines: Sequence[LogRow], text_filter: TextFilter, least: str = "") -> list[LogRow]:
    """Return the lines that match the filter and are at least as severe as `least`."""
    if not text_filter.text and not least:
        return list(lines)
    levels = tuple(ROLES)[SEVERITIES.index(least) :]
    return [
        line
        for line in lines
        if line.level in levels and text_filter.matches(f"{line.who} {line.text}")
    ]


def render_log(
    lines: Sequence[LogRow],
    area: Area,
    *,
    skip: int = 0,
    every: int | None = None,
    least: str = "",
    title: str = "log",
) -> list[Row]:
    """Render the panel with its frame, without the newest `skip` lines.

    `every` counts all lines if `lines` are a selection of them.
    """
    g = area.glyphs
    inside = area.inside
    skip = max(0, min(skip, len(lines) - inside.height))
    visible = lines[skip : skip + max(0, inside.height)]
    when = max((len(line.at) for line in visible), default=5)
    longest = max((measure_text(clean(line.who)) for line in visible), default=0)
    texts = max((measure_text(clean(g(line.text))) for line in visible), default=0)
    # Names are whole while most of the texts are.
    who = min(MAX_CELL_WIDTH, max(0, inside.width // 3))
    who = min(longest, max(who, inside.width - when - 4 - min(texts, MIN_TEXT_WIDTH)))
    body: list[Row] = []
    for line in visible:
        row: Row = [(f"{line.at:>{when}}  ", "muted")]
        if who:
            row.append((fit(line.who, who, mark=g("…")) + "  ", "muted"))
        room = max(0, inside.width - when - 2 - (who + 2 if who else 0))
        row.append((fit(line.text, room, mark=g("…")), ROLES.get(line.level, "text")))
        body.append(row)
    if every and not lines:
        body.append([("no matching line", "muted")])
    counts = [f"{skip} newer"] if skip else []
    counts += [f"{len(lines)} of {every} lines"] if every is not None and len(lines) < every else []
    above: Row = [("   ".join([*counts, *([f"{least} alone"] if least else [])]), "muted")]
    return draw_frame(title, above if above[0][0] else [], body, area)


class LogPanel(FilteredListPanel):
    """The log; while it has the focus, down moves back in time and the position stays."""

    name_shown = "log"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._skip = 0
        self._least = ""

    def show(self, view: View) -> None:
        new = view.log_count - self.view.log_count
        if new < 0:
            self._skip = 0
        elif self._skip:
            self._skip += len(filter_log(view.log[:new], self.words, self._least))
        super().show(view)

    @property
    def lines(self) -> list[LogRow]:
        """The lines that match the filter and the severity."""
        return filter_log(self.view.log, self.words, self._least)

    @property
    def in_sight(self) -> list[LogRow]:
        """The lines that are in view."""
        return self.lines[self._skip :][: self.area(*self.size).inside.height]

    def next_severity(self) -> None:
        """Switch between all lines, warnings and errors, and errors alone."""
        self._least = SEVERITIES[(SEVERITIES.index(self._least) + 1) % len(SEVERITIES)]
        self.apply_filter()

    def clear(self) -> bool:
        had, self._least = bool(self._least), ""
        return super().clear() or had

    def apply_filter(self) -> None:
        self._skip = 0
        super().apply_filter()

    def action_move(self, by: int) -> None:
        """Skip `by` more of the newest lines."""
        most = len(self.lines) - self.area(*self.size).inside.height
        self._skip = max(0, min(self._skip + by, most))
        self.tick()

    def build(self, width: int, height: int) -> list[Row]:
        return render_log(
            self.lines,
            self.area(width, height),
            skip=self._skip,
            every=len(self.view.log),
            least=self._least,
            title=self.title,
        )
