"""The forecast of a matrix on this machine: its cells with their memory, its time, its command."""

from __future__ import annotations

from collections.abc import Sequence

from txtop import formatting
from txtop.forecast.memory_fit import FreeMemory
from txtop.forecast.preview import CellPreview, MatrixPreview
from txtop.plan.cell import Cell
from txtop.plan.knobs import order_knobs
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.scrolling import limit_first_row
from txtop.ui.drawing.spans import Row, clean, cut, fit, measure_row, measure_text, wrap
from txtop.ui.panels.command_line import render_command

MARKS = {
    "refused": ("✗", "bad"),
    "will not fit": ("✗", "bad"),
    "tight": ("▲", "warn"),
    "left out": ("·", "muted"),
    "unknown": ("·", "muted"),
    "fits": ("·", "muted"),
}
STATES_WORST_FIRST = tuple(MARKS)
ALERT_STATES = ("refused", "will not fit", "tight")
KNOBS: dict[str, tuple[str, int]] = {}
for _knob in order_knobs():
    if _knob.ahead is not None:
        KNOBS[_knob.field] = _knob.ahead
    if _knob.field == "batch_size":
        KNOBS |= {"scenario": ("scenario", 11), "offered": ("load", 9)}
ALWAYS_SHOWN = ("precision", "batch_size")
MODEL_WIDTH, GIB_WIDTH, NOTE_WIDTH = 10, 10, 20
LABEL_WIDTH = 8
ROOMY_ROWS = 8
MAX_SENTENCE_LINES = 4
MEMORY_PARTS = "the peak, process included"


def classify_cell(cell: CellPreview, free_memory: FreeMemory) -> str:
    """Return the state of one cell."""
    if cell.fate != "planned":
        return cell.fate
    return cell.fit(free_memory.for_device(cell.cell.device)[0])


def format_note(cell: CellPreview, word: str, free_memory: FreeMemory) -> str:
    """Format the note of one cell; empty if it will run without problems."""
    if word in ("will not fit", "tight"):
        return f"{word} in {formatting.format_gib(free_memory.for_device(cell.cell.device)[0])}"
    if word == "unknown" and cell.needs is None:
        return "known when loaded"
    return f"{word}: {cell.brief or cell.why}" if cell.why else ""


def render_matrix_cells(
    preview: MatrixPreview, free_memory: FreeMemory, skip: int, area: Area
) -> list[Row]:
    """Render the panel with its frame: cells that will not run first, then the others in order."""
    inside = area.inside
    rows = sorted(
        ((classify_cell(cell, free_memory), cell) for cell in preview.cells),
        key=lambda r: STATES_WORST_FIRST.index(r[0]),
    )
    knobs, model = _choose_columns([cell for _, cell in rows], inside.width)
    body = [_render_head(knobs, model)] if rows else []
    room = max(0, inside.height - len(body))
    first = limit_first_row(skip, len(rows), room)
    body += [
        _render_line(cell, word, free_memory, knobs, model, inside.width, area.glyphs)
        for word, cell in rows[first : first + room]
    ]
    return draw_frame("cells", _render_counts(preview, free_memory), body, area)


def _render_counts(preview: MatrixPreview, free_memory: FreeMemory) -> Row:
    counts = preview.counts(free_memory)
    row: Row = [(f"{counts.get('planned', 0)} to measure", "muted")] if preview.cells else []
    for word in ("will not fit", "refused", "left out"):
        if counts.get(word):
            role = "muted" if word == "left out" else "bad"
            row += [("   ", "muted"), (f"{counts[word]} {word}", role)]
    return row


def _choose_columns(rows: Sequence[CellPreview], width: int) -> tuple[list[str], int]:
    """Return the knobs that have a column, varying ones first and then the permanent ones as room
    permits, and the width of the model."""
    left = width - 2 - MODEL_WIDTH - GIB_WIDTH - 2 - NOTE_WIDTH
    varying = [k for k in KNOBS if len({getattr(row.cell, k) for row in rows}) > 1]
    chosen = []
    for name in dict.fromkeys([*varying, *ALWAYS_SHOWN]):
        if left >= KNOBS[name][1]:
            chosen.append(name)
            left -= KNOBS[name][1]
    longest = max((measure_text(clean(row.cell.model_name)) for row in rows), default=0)
    model = MODEL_WIDTH + max(0, min(longest + 1 - MODEL_WIDTH, left))
    return [name for name in KNOBS if name in chosen], model


def _render_head(knobs: list[str], model: int) -> Row:
    text = fit("  model", 2 + model)
    text += "".join(fit(*KNOBS[name], "right") for name in knobs)
    return [(text + fit("GiB", GIB_WIDTH, "right"), "muted")]


def _render_line(
    preview: CellPreview,
    word: str,
    free_memory: FreeMemory,
    knobs: list[str],
    model: int,
    width: int,
    g: Glyphs,
) -> Row:
    sign, role = MARKS[word]
    text, value = ("muted", "muted") if word == "left out" else ("text", "text.bold")
    cell, more = preview.cell, g("…")
    row: Row = [
        (g(sign) + " ", role),
        (fit(cell.model_name, model - 1, mark=more) + " ", text),
    ]
    for name in knobs:
        content = _format_load(cell) if name == "offered" else str(getattr(cell, name) or "auto")
        row.append((" " + fit(content, KNOBS[name][1] - 1, "right", mark=more), text))
    row.append((fit(g(formatting.format_gib(preview.needs, "~")), GIB_WIDTH, "right"), value))
    tone = role if word in ALERT_STATES else "muted"
    note = clean(g(format_note(preview, word, free_memory)))
    content = cut(note, max(0, width - measure_row(row) - 2), more)
    return [*row, (f"  {content}", tone)]


def _format_load(cell: Cell) -> str:
    """Format the load: `at 20%`, `clients`; empty for full batches."""
    return "clients" if cell.asks_all else cell.offered.removeprefix(cell.scenario).strip()


def render_matrix_summary(preview: MatrixPreview, free_memory: FreeMemory, area: Area) -> list[Row]:
    """Render the forecast of time and memory, and the equivalent command line."""
    inside = area.inside
    time: Row = [
        ("time ", "muted"),
        *_render_time(preview, area.glyphs),
        (f" {_format_cell_count(preview)}", "muted"),
    ]
    subtitle = [] if area.boxed else time
    body = (
        _render_roomy(preview, free_memory, inside)
        if inside.height >= ROOMY_ROWS
        else _render_tight(preview, free_memory, inside)
    )
    return draw_frame("estimate", subtitle, body, area)


def _format_cell_count(preview: MatrixPreview) -> str:
    count = len(preview.plan.cells) if preview.plan else 0
    return f"for {formatting.format_count(count, 'cell')}" if count else ""


def _render_time(preview: MatrixPreview, g: Glyphs) -> Row:
    if preview.plan is None:
        return [(g("—"), "text.bold")]
    if preview.time.seconds is None:
        return [("unknown", "text.bold")]
    most: Row = [("at most ", "muted")] if preview.time.most else []
    return [*most, (formatting.format_estimate(preview.time.seconds), "text.bold")]


def _render_memory(preview: MatrixPreview, free_memory: FreeMemory, g: Glyphs) -> tuple[Row, str]:
    """Return the range of memory that the planned cells need of the free memory, and the place
    where they run."""
    planned = [cell for cell in preview.cells if cell.fate == "planned"]
    needs = [cell.needs for cell in planned if cell.needs is not None]
    if not planned:
        return [(g("—"), "text.bold")], "memory"
    free, where = free_memory.for_device(planned[0].cell.device)
    ends = dict.fromkeys(
        formatting.format_gib(end, "~") for end in ((min(needs), max(needs)) if needs else ())
    )
    row: Row = [(" to ".join(ends) or g("—"), "text.bold"), (" of ", "muted")]
    return [*row, (g(formatting.format_gib(free)), "text.bold"), (" GiB free", "muted")], where


def _format_memory_basis(preview: MatrixPreview) -> str:
    """Format what the forecast of memory counts, and how far earlier ones were off."""
    if not preview.memory_errors:
        return MEMORY_PARTS
    worst = formatting.format_share(max(map(abs, preview.memory_errors)))
    count = formatting.format_count(len(preview.memory_errors), "cell")
    return f"{MEMORY_PARTS}; off by at most {worst} in {count} here"


def _render_roomy(preview: MatrixPreview, free_memory: FreeMemory, area: Area) -> list[Row]:
    g = area.glyphs
    memory, where = _render_memory(preview, free_memory, g)
    rows: list[Row] = [
        [
            (fit("time", LABEL_WIDTH), "muted"),
            *_render_time(preview, g),
            (f" {_format_cell_count(preview)}", "muted"),
        ],
        *_wrap_sentence(preview.time.basis, area.width - LABEL_WIDTH, g, "muted", LABEL_WIDTH),
        [(fit("memory", LABEL_WIDTH), "muted"), *memory],
        *_wrap_sentence(
            f"{where}: {_format_memory_basis(preview)}",
            area.width - LABEL_WIDTH,
            g,
            "muted",
            LABEL_WIDTH,
        ),
        [],
    ]
    if preview.error:
        rows += [*_wrap_sentence(f"{g('✗')} {preview.problem}", area.width, g, "bad"), []]
    rows += [
        [("equivalent command", "muted")],
        *render_command(preview.command, area.width, g),
    ]
    return rows if len(rows) <= area.height else [row for row in rows if row][: area.height]


def _render_tight(preview: MatrixPreview, free_memory: FreeMemory, area: Area) -> list[Row]:
    g = area.glyphs
    if preview.error:
        rows = _wrap_sentence(f"{g('✗')} {preview.problem}", area.width, g, "bad")[
            : max(1, area.height - 2)
        ]
    else:
        memory, where = _render_memory(preview, free_memory, g)
        needs: Row = [("memory ", "muted"), *memory]
        basis = _format_memory_basis(preview)
        forms = (f"   {where}: {basis}", f"   {where}: {MEMORY_PARTS}", f"   {where}")
        room = area.width - measure_row(needs)
        needs.append((next((form for form in forms if len(form) <= room), ""), "muted"))
        rows = [[(preview.time.basis, "muted")], *([needs] if area.height >= 4 else [])]
    return [*rows, *render_command(preview.command, area.width, g)][: area.height]


def _wrap_sentence(text: str, width: int, g: Glyphs, role: str, indent: int = 0) -> list[Row]:
    """Wrap a sentence into at most four rows."""
    lines = wrap(text, max(1, width), MAX_SENTENCE_LINES, g("…"))
    return [[(" " * indent + line, role)] for line in lines]
