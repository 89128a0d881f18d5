"""The table of cells: done, running, failed and waiting."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from textual import events

from txtop.plan.knobs import order_knobs
from txtop.plan.model_names import shorten_alike
from txtop.state.fidelity import shorten_badge
from txtop.ui.drawing import charts, glyphs
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame, measure_subtitle_room
from txtop.ui.drawing.glyphs import BRAILLE, Glyphs
from txtop.ui.drawing.scrolling import compute_first_row, scroll_to_row
from txtop.ui.drawing.spans import Align, Row, clean, crop, cut, fit, measure_row, measure_text
from txtop.ui.models import cell_sorting
from txtop.ui.models.cell_sorting import DESCENDING_COLUMNS
from txtop.ui.models.cells import CellRow
from txtop.ui.models.standing import Standing
from txtop.ui.panels.cell_bars import render_cell_bars
from txtop.ui.panels.filtered_list import FilteredListPanel
from txtop.ui.panels.sign_legend import render_sign_legend

MARKS = {"failed": ("✗", "bad"), "running": ("▸", "accent-a")}
# Of a cell that is done: the check is green only where the number is steady.
STANDING_MARKS: dict[Standing | None, tuple[str, str]] = {
    "steady": ("✓", "ok"),
    "measured": ("✓", "text"),
    "doubtful": ("○", "text"),
    "busy": ("▲", "warn"),
    "saturated": ("▲", "warn"),
}
WIDE_FROM = 100
MIN_NOTE_WIDTH = 10
MIN_MODEL, MIN_PRECISION = 9, 5
# The column of half the interval without its sign, which is two characters in ASCII: ` ±12.3 %`.
HALF_WIDTH = 7
MIN_BAR, MAX_BAR, BAR_GAPS = 6, 40, 4
KNOBS = {
    knob.column: knob.live
    for knob in order_knobs(
        first=("sequence_length", "new_tokens", "threads", "attention", "cache", "speculative")
    )
    if knob.live is not None
}
KERNELS = {"flash_attention_2": "fa2", "flash_attention_3": "fa3", "sdpa:efficient": "effic."}
BEGINNINGS = ("sdpa:", "quantized:", "prompt-", "assistant=")
MIN_WIDE_NOTE_WIDTH = 21


@dataclass(frozen=True)
class CellColumns:
    """The columns of the table at one width and content, and their widths."""

    model: int
    precision: int
    batch: int
    extra: tuple[tuple[str, int], ...]
    encoders: bool
    unit: str
    half: int
    bar: int
    note: int
    gib: int
    gap: int
    served: bool = False

    @property
    def latency(self) -> tuple[tuple[str, str], ...]:
        """The latency fields, with their headings."""
        return (
            (("forward", "E2E ms" if self.unit == "req/s" else "fwd ms"),)
            if self.encoders
            else (("ttft", "TTFT ms"), ("tpot", "TPOT ms"))
        )

    @property
    def work(self) -> str:
        """The field of the batch, or of the load if cells serve requests."""
        return "offered" if self.served else "batch"

    @property
    def sortable(self) -> tuple[str, ...]:
        """The fields that rows can be sorted by, from left to right."""
        named = ["model"] if self.model else []
        named += ["precision"] if self.precision else []
        named += [self.work] if self.batch else []
        named += [name for name, _ in (*self.extra, *self.latency)]
        return (*named, "rate", "gib")


def choose_columns(rows: Sequence[CellRow], width: int, g: Glyphs = BRAILLE) -> CellColumns:
    """Choose the columns for `width`, each as wide as its content while there is room.

    Where there is none, model, batch and precision give way unless they vary: the header has what
    all cells share. Knobs that vary get a column while there is room. Bar and note share the rest.
    """
    rated = [row for row in rows if row.rate]
    encoders = bool(rated) and all(row.forward for row in rated if row.state != "failed")
    encoders = encoders and any(row.forward for row in rated)
    mixed = not encoders and any(row.forward for row in rated)
    roomy = width >= WIDE_FROM
    names = _shorten_models(rows)
    model = _measure_longest(names.values(), "model") + (2 if roomy else 1)
    precision = max(MIN_PRECISION, 1 + _measure_longest((row.precision for row in rows), "prec"))
    gib, gap = (8, 3) if roomy else (6, 2)
    served = any(row.offered for row in rows)
    batch, half = 6, HALF_WIDTH + measure_text(g("±"))
    if served:
        batch = 2 + max(len(format_load(row, short=not roomy)) for row in rows)
    fixed = 2 + 9 * (1 if encoders else 2) + 8 + half + gib + gap
    least = MIN_WIDE_NOTE_WIDTH if roomy else MIN_NOTE_WIDTH
    ended = not any(row.state in ("waiting", "running") for row in rows)
    if ended:
        # No note is still to come.
        least = min(least, _measure_notes(rows))
    varying = [(name, wide) for name, (_, wide) in KNOBS.items() if _varies(rows, name)]
    left = width - fixed - least - sum(wide for _, wide in varying)
    if model + precision + batch > left and len(names) < 2:
        model = 0
    if model + precision + batch > left and not (served or _varies(rows, "batch")):
        batch = 0
    if model + precision + batch > left and not _varies(rows, "precision"):
        precision = 0
    if model + precision + batch > left:
        precision = min(precision, max(MIN_PRECISION, left - model - batch))
        model = min(model, max(MIN_MODEL, left - precision - batch))
    if roomy and ended:
        # Words of notes come before what the header says of all cells.
        spare = width - fixed - min(_measure_notes(rows), width // 3) - sum(w for _, w in varying)
        if model + precision + batch > spare and len(names) < 2:
            model = 0
        if model + precision + batch > spare and not (served or _varies(rows, "batch")):
            batch = 0
    left = width - fixed - least - model - precision - batch
    extra: list[tuple[str, int]] = []
    for name, wide in varying:
        if left >= wide:
            extra.append((name, wide))
            left -= wide
    spare = left - max(8, min(_measure_notes(rows), width // 3) - least + BAR_GAPS)
    bar = min(MAX_BAR, spare) if roomy and spare >= MIN_BAR else 0
    sequences = "req/s" if served else "seq/s"
    unit = sequences if encoders else f"tok|{sequences}" if mixed else "tok/s"
    note = max(0, least + left - (bar + BAR_GAPS if bar else 0))
    return CellColumns(
        model, precision, batch, tuple(extra), encoders, unit, half, bar, note, gib, gap, served
    )


def _shorten_models(rows: Sequence[CellRow]) -> dict[str, str]:
    """Return the names of the models without what all of them share."""
    return shorten_alike(tuple(dict.fromkeys(row.model for row in rows)))


def _measure_longest(texts: Iterable[str], heading: str) -> int:
    return max(measure_text(clean(text)) for text in (heading, *texts))


def _measure_notes(rows: Sequence[CellRow]) -> int:
    """Return the columns of the longest note with the shortest words of the comparison behind."""
    notes = (
        _join_note(row.note.removeprefix("only "), row.ratio, "".join(row.badges[-1:]))
        if row.ratio
        else row.note
        for row in rows
    )
    return max((measure_text(clean(note)) for note in notes), default=0)


def format_load(row: CellRow, *, short: bool) -> str:
    """Format the load: `dynamic 4/s`, or `batch 8` for a cell measured in batches; `cont. 8 cl.` if
    short."""
    load = row.offered or f"batch {row.batch}"
    if not short:
        return load
    return re.sub(" clients?$", " cl.", load).replace("continuous", "cont.")


def _varies(rows: Sequence[CellRow], name: str) -> bool:
    return len({row.knob(name) for row in rows}) > 1


def render_cells(
    rows: Sequence[CellRow],
    running: int | None,
    area: Area,
    *,
    cursor: int | None = None,
    first: int | None = None,
    every: Sequence[CellRow] | None = None,
    order: str = "",
    title: str = "cells",
    bars: bool = False,
) -> list[Row]:
    """Render the panel with its frame, from row `first` on; without `first` the cursor or the
    running row stays in view.

    `every` are all cells if `rows` are a selection of them, sorted by column `order`. With `bars`
    the rows under the table compare figures.
    """
    g = area.glyphs
    inside = area.inside
    every = rows if every is None else every
    shape = choose_columns(every, inside.width, g)
    names = _shorten_models(every)
    room = max(0, inside.height - 1)
    if first is None:
        first = compute_first_row(running if cursor is None else cursor, len(rows), room)
    best = max((row.rate_value for row in every), default=0.0)
    body = [_render_head(shape, order, g)]
    for i, row in enumerate(rows[first : first + room], start=first):
        line = _render_line(row, names, shape, best, g, at_cursor=area.focused and i == cursor)
        body.append(line)
    if bars:
        below = Area(inside.width, inside.height - len(body), g)
        figures = _list_figures(shape)
        body += render_cell_bars(
            rows, figures, lambda row: _name_row(row, names, every), below, cursor
        )
    if every and not rows:
        body.append([("  no matching cell", "muted")])
    some: Row = (
        [(f"{len(rows)} of {len(every)} shown   ", "text")] if len(rows) < len(every) else []
    )
    counts = [*some, *_render_counts(every)]
    room = measure_subtitle_room(title, area) - measure_row(counts) - 3
    legend = render_sign_legend((row.meaning for row in rows if row.meaning), body, room, g)
    return draw_frame(title, [(f"{legend}   " if legend else "", "muted"), *counts], body, area)


def _list_figures(shape: CellColumns) -> list[tuple[str, str, bool]]:
    """List the figures to compare in bars: field, heading, and whether more is better."""
    rate = [] if shape.bar else [("rate", shape.unit, True)]
    return [
        *rate,
        *((name, word, False) for name, word in shape.latency),
        ("gib", "peak GiB", False),
    ]


def _name_row(row: CellRow, names: Mapping[str, str], rows: Sequence[CellRow]) -> str:
    """Name a cell by what differs between `rows`, by its precision if nothing does."""
    parts = [names[row.model]] if len(names) > 1 else []
    parts += [row.precision] if _varies(rows, "precision") else []
    parts += [_format_knob(row.knob(name)) for name in KNOBS if _varies(rows, name)]
    if row.offered:
        parts.append(row.offered)
    elif _varies(rows, "batch"):
        parts.append(f"b{row.batch}")
    return " · ".join(filter(None, parts)) or row.precision


def _render_counts(rows: Sequence[CellRow]) -> Row:
    """Render `2 done · 1 failed · 9 to go`, because rows may be out of view."""
    states = [row.state for row in rows]
    turns = states.count("running") if any(row.waits_turn for row in rows) else 0
    counts = [
        (states.count("done"), "done"),
        (states.count("failed"), "failed"),
        (states.count("skipped"), "skipped"),
        (turns, "taking turns"),
        (states.count("waiting") + states.count("running") - turns, "to go"),
    ]
    parts = [f"{n} {word}" for n, word in counts if n]
    return [(" · ".join(parts), "muted")] if parts else []


def _render_head(shape: CellColumns, order: str, g: Glyphs) -> Row:
    """Render the headings; the sorted column gets a mark in place of its unit."""
    rate = max(8, len(shape.unit) + 1)
    heads: list[tuple[str, str, int, int, Align]] = [
        ("model", "model", shape.model, 0, "left"),
        ("precision", "prec", shape.precision, 0, "left"),
        (shape.work, "load" if shape.served else "batch", shape.batch, 0, "right"),
        *((name, KNOBS[name][0], wide, 0, "right") for name, wide in shape.extra),
        *((name, word, 9, 0, "right") for name, word in shape.latency),
        (
            "rate",
            shape.unit,
            rate,
            8 + shape.half - rate + (shape.bar + BAR_GAPS if shape.bar else 0),
            "right",
        ),
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
    row: CellRow,
    names: Mapping[str, str],
    shape: CellColumns,
    best: float,
    g: Glyphs,
    *,
    at_cursor: bool,
) -> Row:
    marks = None if row.waits_turn else MARKS.get(row.state) or STANDING_MARKS.get(row.standing)
    mark, colour = marks or ("·", "muted")
    quiet = row.state in ("waiting", "skipped")
    is_at_work = row.state == "running" and not row.waits_turn
    weight = ".bold" if is_at_work or at_cursor else ""
    text_role = ("accent-a" if at_cursor else "muted" if quiet else "text") + weight
    number_role = "muted" if quiet else "text"
    rate_role = {"running": "accent-a.bold", "skipped": "muted"}.get(row.state, "text.bold")
    if row.note == "INVALID":
        rate_role = "bad.bold"
    batch = format_load(row, short=shape.gib == 6) if shape.served else str(row.batch)
    ends = fit(batch, shape.batch, "right") + "".join(
        fit(_format_knob(row.knob(name)), wide, "right", g("…")) for name, wide in shape.extra
    )
    spans: Row = [
        (f"{g('▸') if at_cursor else g(mark)} ", "accent-a.bold" if at_cursor else colour),
        (_fit_name(names[row.model], shape.model, g), text_role),
        (fit(row.precision, shape.precision, mark=g("…")) + ends, text_role),
    ]
    times = (row.forward,) if shape.encoders else (row.ttft, row.tpot)
    spans += [(fit(g(text), 9, "right"), number_role) for text in times]
    spans.append((fit(g(row.rate), 8, "right"), rate_role))
    spans.append((fit(" " + g(row.half), shape.half), "muted"))
    if shape.bar:
        drawn = (
            charts.draw_bar(row.rate_value / best, shape.bar, g, _choose_bar_role(row))
            if best
            else []
        )
        drawn = [span for span in drawn if span[1] != "border"] if row.rate_value else []
        spans += [("  ", "text"), *crop(drawn, shape.bar), ("  ", "text")]
    spans.append((fit(g(row.gib), shape.gib, "right") + " " * shape.gap, number_role))
    return [*spans, *_render_note(row, shape, g)]


def _fit_name(name: str, width: int, g: Glyphs) -> str:
    """Fit the name of a model into its column, which ends with a space."""
    return fit(g(name), width - 1, mark=g("…")) + " " if width else ""


def _format_knob(value: object) -> str:
    """Format a kernel, a cache or a speculation by the part that differs from the others."""
    text = "" if value is None else KERNELS.get(str(value), str(value))
    for beginning in BEGINNINGS:
        text = text.removeprefix(beginning)
    return text


def _choose_bar_role(row: CellRow) -> str:
    return {"running": "accent-a", "failed": "bad"}.get(row.state, "plot")


def _render_note(row: CellRow, shape: CellColumns, g: Glyphs) -> Row:
    """Render the reason of a failure, else progress, else the comparison with the reference."""
    if row.state == "failed":
        return [(fit(row.note, shape.note, mark=g("…")), "bad")]
    note = row.note
    if row.is_reference and row.state != "running" and row.note != "reference":
        forms = [f"{row.note} · {word}" for word in ("reference", "ref")]
        note = next((form for form in forms if len(form) <= shape.note), row.note)
    elif row.ratio and row.state != "running" and not row.is_reference:
        notes = dict.fromkeys((row.note, row.note.removeprefix("only "), row.left or row.note))
        badges = (*row.badges, shorten_badge(row.badges[-1]), "?") if row.badges else ("",)
        forms = [_join_note(own, row.ratio, badge) for badge in badges for own in notes]
        # What is wrong with an output, or that a candidate is out, says more than the rest.
        alone = [_join_note("", row.ratio, b) for b in badges if row.meaning or not row.badges]
        forms += [row.left] if row.left else alone
        note = next((form for form in forms if len(form) <= shape.note), row.note)
    if note == "reference" and shape.note < len(note):
        note = "ref"
    if shape.note < len(note):
        note = note.removeprefix("only ")
    return [(fit(g(note), shape.note, mark=g("…")), "muted")]


def _join_note(note: str, ratio: str, badge: str) -> str:
    """Join a note, which may be empty, and the comparison with the reference."""
    return " · ".join(filter(None, (note, f"{ratio} {badge}".rstrip())))


class CellsPanel(FilteredListPanel):
    """The table of cells; while it has the focus, up and down move a cursor."""

    name_shown = "cells"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._order = ""
        self._at: str | None = None
        self._first = 0

    @property
    def rows(self) -> list[CellRow]:
        """The cells that match the filter, sorted."""
        left: Sequence[CellRow] = self.view.cells
        if self.words.text:
            left = [row for row in left if self.words.matches(cell_sorting.build_filter_text(row))]
        return cell_sorting.sort_rows(left, self._order)

    @property
    def chosen(self) -> CellRow | None:
        """The cell under the cursor, or None without a cursor."""
        rows = self.rows if self._at is not None else []
        return rows[self._index(rows)] if rows else None

    @property
    def selected(self) -> str | None:
        """The id of the cell under the cursor, or None."""
        return self.chosen.id if self.chosen else None

    def _index(self, rows: Sequence[CellRow]) -> int:
        """Return the row of the cursor; the first row if the filter excludes its cell."""
        return next((i for i, row in enumerate(rows) if row.id == self._at), 0)

    def next_order(self) -> None:
        """Sort by the next column whose values differ; after the last one, in the order of the
        plan."""
        sortable = cell_sorting.find_sortable_columns(
            self.rows,
            choose_columns(
                self.view.cells, self.area(*self.size).inside.width, glyphs.get_glyphs()
            ).sortable,
        )
        self._order = cell_sorting.get_next_column(self._order, sortable)
        self._first = 0
        self.tick()

    def go_to(self, name: str) -> None:
        """Move the cursor to the cell of that id, if it is listed."""
        self._at = name if any(row.id == name for row in self.rows) else self._at

    def on_focus(self) -> None:
        running = self.view.running
        rows = self.rows
        if self._at is None and running is not None:
            self._at = self.view.cells[running].id
        if rows and self._at not in [row.id for row in rows]:
            self._at = rows[0].id
        self._first = compute_first_row(self._index(rows), len(rows), self._room)
        self.tick()

    def on_blur(self) -> None:
        if not self.words.typing:
            self.focus_lost()

    def focus_lost(self) -> None:
        self._at = None
        self.tick()

    @property
    def _room(self) -> int:
        return max(1, self.area(*self.size).inside.height - 1)

    def action_move(self, by: int) -> None:
        """Move the cursor by `by` rows."""
        rows = self.rows
        if rows:
            self._at = rows[max(0, min(self._index(rows) + by, len(rows) - 1))].id
        self.tick()

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the row under the mouse."""
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
        elif not self._order and self.view.running is not None:
            now = self.view.cells[self.view.running].id
            running = next((i for i, row in enumerate(rows) if row.id == now), None)
        return render_cells(
            rows,
            running,
            self.area(width, height),
            cursor=cursor,
            first=None if cursor is None else self._first,
            every=self.view.cells,
            order=self._order,
            title=self.title,
            bars=self.zoomed,
        )
