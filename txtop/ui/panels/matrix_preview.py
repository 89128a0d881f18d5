"""What a matrix will ask of this machine: its cells with their memory, its time, its command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from txtop import formatting
from txtop.forecast.memory_fit import FreeMemory
from txtop.forecast.preview import CellPreview, MatrixPreview
from txtop.plan.cell import Cell
from txtop.plan.knobs import order_knobs
from txtop.ui.drawing.frame import compute_inner_size, draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, clean, cut, fit, measure_row, measure_text

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
CONTINUATION = " \\"
MEMORY_BASIS = "weights + KV cache only, without ~0.4 GiB for the process"


def classify_cell(each: CellPreview, room: FreeMemory) -> str:
    """The word for one cell."""
    if each.fate != "planned":
        return each.fate
    return each.fit(room.for_device(each.cell.device)[0])


def format_note(each: CellPreview, word: str, room: FreeMemory) -> str:
    """What is to be said of one cell; empty where all is well."""
    if word in ("will not fit", "tight"):
        return f"{word} in {formatting.format_gib(room.for_device(each.cell.device)[0])}"
    if word == "unknown" and each.needs is None:
        return "known when loaded"
    return f"{word}: {each.brief or each.why}" if each.why else ""


def render_matrix_cells(
    shown: MatrixPreview,
    room: FreeMemory,
    skip: int,
    width: int,
    height: int,
    g: Glyphs,
    *,
    boxed: bool,
) -> list[Row]:
    """The panel with its frame: what will not run first, then the cells in their order."""
    across, down = compute_inner_size(width, height, boxed)
    rows = sorted(
        ((classify_cell(each, room), each) for each in shown.cells),
        key=lambda r: STATES_WORST_FIRST.index(r[0]),
    )
    knobs, model = _choose_columns([each for _, each in rows], across)
    body = [_render_head(knobs, model)] if rows else []
    room_for = max(0, down - len(body))
    first = max(0, min(skip, len(rows) - room_for))
    body += [
        _render_line(each, word, room, knobs, model, across, g)
        for word, each in rows[first : first + room_for]
    ]
    return draw_frame("cells", _render_counts(shown, room), body, width, height, g, boxed=boxed)


def _render_counts(shown: MatrixPreview, room: FreeMemory) -> Row:
    counts = shown.counts(room)
    row: Row = [(f"{counts.get('planned', 0)} to measure", "muted")] if shown.cells else []
    for word in ("will not fit", "refused", "left out"):
        if counts.get(word):
            role = "muted" if word == "left out" else "bad"
            row += [("   ", "muted"), (f"{counts[word]} {word}", role)]
    return row


def _choose_columns(rows: Sequence[CellPreview], width: int) -> tuple[list[str], int]:
    """The knobs with a column, those that vary before those that are told always, as far as there
    is room; and the model's width."""
    left = width - 2 - MODEL_WIDTH - GIB_WIDTH - 2 - NOTE_WIDTH
    varying = [k for k in KNOBS if len({getattr(each.cell, k) for each in rows}) > 1]
    shown = []
    for name in dict.fromkeys([*varying, *ALWAYS_SHOWN]):
        if left >= KNOBS[name][1]:
            shown.append(name)
            left -= KNOBS[name][1]
    longest = max((measure_text(clean(each.cell.model_name)) for each in rows), default=0)
    model = MODEL_WIDTH + max(0, min(longest + 1 - MODEL_WIDTH, left))
    return [name for name in KNOBS if name in shown], model


def _render_head(knobs: list[str], model: int) -> Row:
    text = fit("  model", 2 + model)
    text += "".join(fit(*KNOBS[name], "right") for name in knobs)
    return [(text + fit("GiB", GIB_WIDTH, "right"), "muted")]


def _render_line(
    each: CellPreview,
    word: str,
    room: FreeMemory,
    knobs: list[str],
    model: int,
    width: int,
    g: Glyphs,
) -> Row:
    sign, role = MARKS[word]
    text, value = ("muted", "muted") if word == "left out" else ("text", "text.bold")
    cell, more = each.cell, g("…")
    row: Row = [
        (g(sign) + " ", role),
        (fit(cell.model_name, model - 1, mark=more) + " ", text),
    ]
    for name in knobs:
        said = _format_load(cell) if name == "offered" else str(getattr(cell, name) or "auto")
        row.append((" " + fit(said, KNOBS[name][1] - 1, "right", mark=more), text))
    row.append((fit(g(formatting.format_gib(each.needs, "~")), GIB_WIDTH, "right"), value))
    tone = role if word in ALERT_STATES else "muted"
    said = cut(clean(g(format_note(each, word, room))), max(0, width - measure_row(row) - 2), more)
    return [*row, (f"  {said}", tone)]


def _format_load(cell: Cell) -> str:
    """`at 20%`, `clients`; nothing of full batches."""
    return "clients" if cell.asks_all else cell.offered.removeprefix(cell.scenario).strip()


def render_matrix_summary(
    shown: MatrixPreview, room: FreeMemory, width: int, height: int, g: Glyphs, *, boxed: bool
) -> list[Row]:
    """What will happen, and the command line that does the same."""
    across, down = compute_inner_size(width, height, boxed)
    time: Row = [
        ("time ", "muted"),
        *_render_time(shown, g),
        (f" {_format_cell_count(shown)}", "muted"),
    ]
    subtitle = [] if boxed else time
    body = (
        _render_roomy(shown, room, across, down, g)
        if down >= 8
        else _render_tight(shown, room, across, down, g)
    )
    return draw_frame("estimate", subtitle, body, width, height, g, boxed=boxed)


def _format_cell_count(shown: MatrixPreview) -> str:
    count = len(shown.plan.cells) if shown.plan else 0
    return f"for {count} cell{'' if count == 1 else 's'}" if count else ""


def _render_time(shown: MatrixPreview, g: Glyphs) -> Row:
    if shown.plan is None:
        return [(g("—"), "text.bold")]
    if shown.time.seconds is None:
        return [("unknown", "text.bold")]
    most: Row = [("at most ", "muted")] if shown.time.most else []
    return [*most, (formatting.format_estimate(shown.time.seconds), "text.bold")]


def _render_memory(shown: MatrixPreview, room: FreeMemory, g: Glyphs) -> tuple[Row, str]:
    """The range of what the planned cells need of what is free; and where they run."""
    planned = [each for each in shown.cells if each.fate == "planned"]
    needs = [each.needs for each in planned if each.needs is not None]
    if not planned:
        return [(g("—"), "text.bold")], "memory"
    free, where = room.for_device(planned[0].cell.device)
    ends = dict.fromkeys(
        formatting.format_gib(end, "~") for end in ((min(needs), max(needs)) if needs else ())
    )
    row: Row = [(" to ".join(ends) or g("—"), "text.bold"), (" of ", "muted")]
    return [*row, (g(formatting.format_gib(free)), "text.bold"), (" GiB free", "muted")], where


def _render_roomy(
    shown: MatrixPreview, room: FreeMemory, width: int, height: int, g: Glyphs
) -> list[Row]:
    memory, where = _render_memory(shown, room, g)
    rows: list[Row] = [
        [
            (fit("time", LABEL_WIDTH), "muted"),
            *_render_time(shown, g),
            (f" {_format_cell_count(shown)}", "muted"),
        ],
        *_wrap_sentence(shown.time.basis, width - LABEL_WIDTH, g, "muted", LABEL_WIDTH),
        [(fit("memory", LABEL_WIDTH), "muted"), *memory],
        [(f"{' ' * LABEL_WIDTH}{where}: {MEMORY_BASIS}", "muted")],
        [],
    ]
    if shown.error:
        rows += [*_wrap_sentence(f"{g('✗')} {shown.error}", width, g, "bad"), []]
    rows += [
        [("equivalent command", "muted")],
        *render_command_rows(shown.command, width, g),
    ]
    return rows if len(rows) <= height else [row for row in rows if row][:height]


def _render_tight(
    shown: MatrixPreview, room: FreeMemory, width: int, height: int, g: Glyphs
) -> list[Row]:
    if shown.error:
        said = _wrap_sentence(f"{g('✗')} {shown.error}", width, g, "bad")[: max(1, height - 2)]
    else:
        memory, where = _render_memory(shown, room, g)
        needs: Row = [("memory ", "muted"), *memory, (f"   {where}: {MEMORY_BASIS}", "muted")]
        said = [[(shown.time.basis, "muted")], *([needs] if height >= 4 else [])]
    return [*said, *render_command_rows(shown.command, width, g)][:height]


def _wrap_sentence(text: str, width: int, g: Glyphs, role: str, indent: int = 0) -> list[Row]:
    """A sentence over as many rows as it takes, four at most."""
    lines = [""]
    for word in clean(text).split():
        longer = f"{lines[-1]} {word}".strip()
        if measure_text(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return [[(" " * indent + cut(line, max(1, width), g("…")), role)] for line in lines[:4]]


def render_command_rows(command: str, width: int, g: Glyphs) -> list[Row]:
    """A command line over several rows, as a shell reads it too; a word is never broken."""
    room = max(1, width - len(CONTINUATION))
    lines = [""]
    for word in map(shlex.quote, shlex.split(command)):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if measure_text(clean(longer)) <= room or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(f"  {word}")
    ends = [CONTINUATION] * (len(lines) - 1) + [""]
    return [
        [(cut(clean(line), room, g("…")), "text"), (end, "muted")]
        for line, end in zip(lines, ends, strict=True)
    ]
