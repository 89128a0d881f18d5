"""The table of the plan: every cell done, running, failed and waiting."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from textual import events

from txtop.plan.knobs import order_knobs
from txtop.ui.drawing import charts, glyphs
from txtop.ui.drawing.frame import compute_inner_size, draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Align, Row, crop, cut, fit, measure_text
from txtop.ui.models import cell_sorting
from txtop.ui.models.cell_sorting import DESCENDING_COLUMNS
from txtop.ui.models.cells import CellRow
from txtop.ui.panels.filtered_list import FilteredListPanel

MARKS = {"done": ("✓", "ok"), "failed": ("✗", "bad"), "running": ("▸", "accent-a")}
WIDE_FROM = 100
ROOMY_FROM = 85
RUNNING_ROW = 2
MIN_NOTE_WIDTH = 10
KNOBS = {
    knob.column: knob.live
    for knob in order_knobs(first=("sequence_length", "new_tokens", "threads", "attention"))
    if knob.live is not None
}
KERNELS = {"flash_attention_2": "fa2", "flash_attention_3": "fa3", "sdpa:efficient": "effic."}
MIN_WIDE_NOTE_WIDTH = 21


@dataclass(frozen=True)
class CellColumns:
    """Which columns a table of this width and content has, and how wide they are."""

    model: int
    precision: int
    batch: int
    extra: tuple[tuple[str, int], ...]
    encoders: bool
    unit: str
    bar: int
    note: int
    gib: int
    gap: int
    served: bool = False

    @property
    def latency(self) -> tuple[tuple[str, str], ...]:
        """The fields that tell it, and their headings."""
        return (
            (("forward", "E2E ms" if self.unit == "req/s" else "fwd ms"),)
            if self.encoders
            else (("ttft", "TTFT ms"), ("tpot", "TPOT ms"))
        )

    @property
    def work(self) -> str:
        """The field with the batch, or with the load where cells serve requests."""
        return "offered" if self.served else "batch"

    @property
    def shown(self) -> tuple[str, ...]:
        """The fields that rows can be ordered by, from left to right."""
        named = ["model", *(["precision"] if self.precision else [])]
        named += [self.work] if self.batch else []
        named += [name for name, _ in (*self.extra, *self.latency)]
        return (*named, "rate", "gib")


def choose_columns(rows: Sequence[CellRow], width: int) -> CellColumns:
    """Knobs that vary get a column where there is room, and take that of batch or precision where
    these do not; what is left goes to bar and note.
    """
    known = [row for row in rows if row.rate]
    encoders = bool(known) and all(row.forward for row in known if row.state != "failed")
    encoders = encoders and any(row.forward for row in known)
    mixed = not encoders and any(row.forward for row in known)
    longest = max((len(row.model) for row in rows), default=0)
    most = 13 if width >= WIDE_FROM else 11 if width >= ROOMY_FROM else 9
    if width >= WIDE_FROM:
        model = max(13, min(longest + 2, width - WIDE_FROM + most))
    else:
        model = max(6, min(longest + 1, most))
    gib = 8 if width >= WIDE_FROM else 6
    gap = 3 if width >= WIDE_FROM else 2
    served = any(row.offered for row in rows)
    precision, batch = 5, 6
    if served:
        batch = 2 + max(len(format_load(row, short=width < WIDE_FROM)) for row in rows)
    fixed = 2 + model + precision + batch + 9 * (1 if encoders else 2) + 8 + 6 + gib + gap
    least = MIN_WIDE_NOTE_WIDTH if width >= WIDE_FROM else MIN_NOTE_WIDTH
    left = width - fixed - least
    varying = [(name, wide) for name, (_, wide) in KNOBS.items() if _varies(rows, name)]
    if served and left < 0 and not _varies(rows, "precision"):
        precision, left = 0, left + precision
    alike = not _varies(rows, "batch") and not served
    if left < sum(wide for _, wide in varying) and alike:
        batch, left = 0, left + batch
    if left < sum(wide for _, wide in varying) and precision and not _varies(rows, "precision"):
        precision, left = 0, left + precision
    extra: list[tuple[str, int]] = []
    for name, wide in varying:
        if left >= wide:
            extra.append((name, wide))
            left -= wide
    bar = min(40, left - 8) if width >= WIDE_FROM and left - 8 >= 6 else 0
    sequences = "req/s" if served else "seq/s"
    unit = sequences if encoders else f"tok|{sequences}" if mixed else "tok/s"
    note = max(0, least + left - (bar + 4 if bar else 0))
    return CellColumns(
        model, precision, batch, tuple(extra), encoders, unit, bar, note, gib, gap, served
    )


def format_load(row: CellRow, *, short: bool) -> str:
    """`dynamic 4/s`, `batch 8` of a cell that is measured in batches; `cont. 8 cl.` if short."""
    said = row.offered or f"batch {row.batch}"
    if not short:
        return said
    return re.sub(" clients?$", " cl.", said).replace("continuous", "cont.")


def _varies(rows: Sequence[CellRow], name: str) -> bool:
    return len({row.knob(name) for row in rows}) > 1


def render_cells(
    rows: Sequence[CellRow],
    running: int | None,
    width: int,
    height: int,
    g: Glyphs,
    *,
    boxed: bool,
    focused: bool = False,
    cursor: int | None = None,
    first: int | None = None,
    every: Sequence[CellRow] | None = None,
    order: str = "",
    title: str = "cells",
) -> list[Row]:
    """The panel with its frame, from the row `first` on; else the running row stays in sight.

    `every` are all cells where `rows` are some of them, in an `order` of their own.
    """
    across, down = compute_inner_size(width, height, boxed)
    every = rows if every is None else every
    shape = choose_columns(every, across)
    room = max(0, down - 1)
    if first is None:
        first = compute_first_row(len(rows), running if cursor is None else cursor, room)
    best = max((row.rate_value for row in every), default=0.0)
    body = [_render_head(shape, order, g)]
    for i, row in enumerate(rows[first : first + room], start=first):
        body.append(_render_line(row, shape, best, g, at_cursor=focused and i == cursor))
    if every and not rows:
        body.append([("  no cell has these words", "muted")])
    some: Row = (
        [(f"{len(rows)} of {len(every)} shown   ", "text")] if len(rows) < len(every) else []
    )
    return draw_frame(
        title,
        [*some, *_render_counts(every)],
        body,
        width,
        height,
        g,
        boxed=boxed,
        focused=focused,
    )


def compute_first_row(count: int, at: int | None, room: int) -> int:
    """The first row on show, so that row `at` is the third from the top where there are enough."""
    if at is None:
        return 0
    return max(0, min(at - RUNNING_ROW, count - room))


def scroll_to_row(first: int, at: int, count: int, room: int) -> int:
    """The first row on show, moved no further than it takes to have row `at` in sight."""
    first = min(max(first, at - room + 1), at)
    return max(0, min(first, count - room))


def _render_counts(rows: Sequence[CellRow]) -> Row:
    """`2 done · 1 failed · 9 to go`: what may be off the screen."""
    states = [row.state for row in rows]
    counts = [
        (states.count("done"), "done"),
        (states.count("failed"), "failed"),
        (states.count("skipped"), "skipped"),
        (states.count("waiting") + states.count("running"), "to go"),
    ]
    said = [f"{n} {word}" for n, word in counts if n]
    return [(" · ".join(said), "muted")] if said else []


def _render_head(shape: CellColumns, order: str, g: Glyphs) -> Row:
    """The headings; that of the column which rows are ordered by is marked, and no unit with it."""
    rate = max(8, len(shape.unit) + 1)
    heads: list[tuple[str, str, int, int, Align]] = [
        ("model", "model", shape.model, 0, "left"),
        ("precision", "prec", shape.precision, 0, "left"),
        (shape.work, "load" if shape.served else "batch", shape.batch, 0, "right"),
        *((name, KNOBS[name][0], wide, 0, "right") for name, wide in shape.extra),
        *((name, word, 9, 0, "right") for name, word in shape.latency),
        ("rate", shape.unit, rate, 14 - rate + (shape.bar + 4 if shape.bar else 0), "right"),
        ("gib", "peak GiB" if shape.gib == 8 else "GiB", shape.gib, shape.gap, "right"),
    ]
    row: Row = []
    quiet = "  "
    for name, word, wide, gap, align in heads:
        if name == order:
            sign = g("▾" if name in DESCENDING_COLUMNS else "▴")
            word = cut(word.removeprefix("peak "), max(0, wide - measure_text(sign)), "") + sign
            row += [(quiet, "muted"), (fit(word, wide, align), "text.bold")]
            quiet = " " * gap
        else:
            quiet += fit(word, wide, align) + " " * gap
    return [*row, (quiet + fit("note", shape.note), "muted")]


def _render_line(
    row: CellRow, shape: CellColumns, best: float, g: Glyphs, *, at_cursor: bool
) -> Row:
    mark, colour = MARKS.get(row.state, ("·", "muted"))
    quiet = row.state in ("waiting", "skipped")
    weight = ".bold" if row.state == "running" or at_cursor else ""
    word = ("accent-a" if at_cursor else "muted" if quiet else "text") + weight
    number = "muted" if quiet else "text"
    rate = {"running": "accent-a.bold", "skipped": "muted"}.get(row.state, "text.bold")
    if row.note == "INVALID":
        rate = "bad.bold"
    batch = format_load(row, short=shape.gib == 6) if shape.served else str(row.batch)
    ends = fit(batch, shape.batch, "right") + "".join(
        fit(_format_knob(row.knob(name)), wide, "right") for name, wide in shape.extra
    )
    found: Row = [
        (f"{g('▸') if at_cursor else g(mark)} ", "accent-a.bold" if at_cursor else colour),
        (fit(row.model, shape.model - 1, mark=g("…")) + " ", word),
        (fit(row.precision, shape.precision) + ends, word),
    ]
    shown = (row.forward,) if shape.encoders else (row.ttft, row.tpot)
    found += [(fit(g(text), 9, "right"), number) for text in shown]
    found.append((fit(g(row.rate), 8, "right"), rate))
    found.append((fit(" " + row.half.replace("±", g("±")), 6), "muted"))
    if shape.bar:
        drawn = (
            charts.draw_bar(row.rate_value / best, shape.bar, g, _choose_bar_role(row))
            if best
            else []
        )
        drawn = [span for span in drawn if span[1] != "border"] if row.rate_value else []
        found += [("  ", "text"), *crop(drawn, shape.bar), ("  ", "text")]
    found.append((fit(g(row.gib), shape.gib, "right") + " " * shape.gap, number))
    return [*found, *_render_note(row, shape, g)]


def _format_knob(value: object) -> str:
    """A kernel by the name that tells it from the others."""
    return "" if value is None else KERNELS.get(str(value), str(value).removeprefix("sdpa:"))


def _choose_bar_role(row: CellRow) -> str:
    return {"running": "accent-a", "failed": "bad"}.get(row.state, "plot")


def _render_note(row: CellRow, shape: CellColumns, g: Glyphs) -> Row:
    """The reason of a failure, else progress, else how it compares."""
    if row.state == "failed":
        return [(fit(row.note, shape.note, mark=g("…")), "bad")]
    said = row.note
    if row.ratio and row.state != "running" and row.note != "reference":
        room = shape.note - (len(row.note) + 3 if row.note else 0)
        words = (*row.badges, row.badges[-1].split()[0], "?")
        forms = (f"{row.ratio} {word}" for word in words)
        against = next((form for form in forms if len(form) <= room), "")
        said = " · ".join(text for text in (row.note, against) if text)
    return [(fit(g(said), shape.note, mark=g("…")), "muted")]


class CellsPanel(FilteredListPanel):
    """The table; with the focus, up and down move a cursor through it."""

    name_shown = "cells"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._order = ""
        self._at: str | None = None
        self._first = 0

    @property
    def rows(self) -> list[CellRow]:
        """The cells that the words leave, in their order."""
        left: Sequence[CellRow] = self.shown.cells
        if self.words.text:
            left = [row for row in left if self.words.matches(cell_sorting.build_filter_text(row))]
        return cell_sorting.sort_rows(left, self._order)

    @property
    def chosen(self) -> CellRow | None:
        """The cell under the cursor; null without one."""
        rows = self.rows if self._at is not None else []
        return rows[self._index(rows)] if rows else None

    @property
    def selected(self) -> str | None:
        """Its id."""
        return self.chosen.id if self.chosen else None

    def _index(self, rows: Sequence[CellRow]) -> int:
        """Where the cursor is; on the first row when the words left its cell out."""
        return next((i for i, row in enumerate(rows) if row.id == self._at), 0)

    def next_order(self) -> None:
        """Orders the rows by the next column that tells them apart; then again as planned."""
        across, _ = compute_inner_size(*self.size, self.boxed)
        known = cell_sorting.find_sortable_columns(
            self.rows, choose_columns(self.shown.cells, across).shown
        )
        self._order = cell_sorting.get_next_column(self._order, known)
        self._first = 0
        self.tick()

    def go_to(self, name: str) -> None:
        """Puts the cursor on the cell of that id, if it is there."""
        self._at = name if any(row.id == name for row in self.rows) else self._at

    def on_focus(self) -> None:
        running = self.shown.running
        rows = self.rows
        if self._at is None and running is not None:
            self._at = self.shown.cells[running].id
        if rows and self._at not in [row.id for row in rows]:
            self._at = rows[0].id
        self._first = compute_first_row(len(rows), self._index(rows), self._room)
        self.tick()

    def on_blur(self) -> None:
        self._at = None
        self.words.typing = False
        self.tick()

    @property
    def _room(self) -> int:
        return max(1, compute_inner_size(*self.size, self.boxed)[1] - 1)

    def action_move(self, by: int) -> None:
        """Moves the cursor by so many rows."""
        rows = self.rows
        if rows:
            self._at = rows[max(0, min(self._index(rows) + by, len(rows) - 1))].id
        self.tick()

    def on_click(self, event: events.Click) -> None:
        """Puts the cursor on the row under the mouse."""
        rows = self.rows
        at = self._first + event.y - 2
        if event.y >= 2 and event.y - 2 < self._room and at < len(rows):
            self._at = rows[at].id
            self.tick()

    def build(self, width: int, height: int) -> list[Row]:
        rows = self.rows
        cursor, running = None, None
        if self._at is not None and rows:
            cursor = self._index(rows)
            self._first = scroll_to_row(self._first, cursor, len(rows), self._room)
        elif not self._order and self.shown.running is not None:
            now = self.shown.cells[self.shown.running].id
            running = next((i for i, row in enumerate(rows) if row.id == now), None)
        return render_cells(
            rows,
            running,
            width,
            height,
            glyphs.get_glyphs(),
            boxed=self.boxed,
            focused=self.has_focus,
            cursor=cursor,
            first=None if cursor is None else self._first,
            every=self.shown.cells,
            order=self._order,
            title=self.title,
        )
