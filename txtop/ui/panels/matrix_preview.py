"""What a matrix will ask of this machine: its cells with their memory, its time, its command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from txtop import formatting
from txtop.forecast.memory_fit import Room
from txtop.forecast.preview import Ahead, Forecast
from txtop.plan.cell import Cell
from txtop.ui.drawing.frame import framed, inside
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, cells, clean, cut, fit, row_width

MARKS = {
    "refused": ("✗", "bad"),
    "will not fit": ("✗", "bad"),
    "tight": ("▲", "warn"),
    "left out": ("·", "muted"),
    "unknown": ("·", "muted"),
    "fits": ("·", "muted"),
}
WORST = tuple(MARKS)
LOUD = ("refused", "will not fit", "tight")
KNOBS = {
    "precision": ("prec", 8),
    "attention": ("attention", 10),
    "batch_size": ("batch", 6),
    "scenario": ("scenario", 11),
    "offered": ("load", 9),
    "sequence_length": ("length", 7),
    "new_tokens": ("tokens", 7),
    "threads": ("threads", 8),
}
ALWAYS = ("precision", "batch_size")
MODEL, GIB, NOTE = 10, 10, 20
LABEL = 8
ROOMY = 8
CONTINUED = " \\"
OF_WHAT = "weights and KV cache alone"


def state(each: Ahead, room: Room) -> str:
    """The word for one cell."""
    if each.fate != "planned":
        return each.fate
    return each.fit(room.for_device(each.cell.device)[0])


def note(each: Ahead, word: str, room: Room) -> str:
    """What is to be said of one cell; empty where all is well."""
    if word in ("will not fit", "tight"):
        return f"{word} in {formatting.gib(room.for_device(each.cell.device)[0])}"
    if word == "unknown" and each.needs is None:
        return "known when loaded"
    return f"{word}: {each.brief or each.why}" if each.why else ""


def table(
    shown: Forecast, room: Room, skip: int, width: int, height: int, g: Glyphs, *, boxed: bool
) -> list[Row]:
    """The panel with its frame: what will not run first, then the cells in their order."""
    across, down = inside(width, height, boxed)
    rows = sorted(
        ((state(each, room), each) for each in shown.cells), key=lambda r: WORST.index(r[0])
    )
    knobs, model = _columns([each for _, each in rows], across)
    body = [_head(knobs, model)] if rows else []
    room_for = max(0, down - len(body))
    first = max(0, min(skip, len(rows) - room_for))
    body += [
        _line(each, word, room, knobs, model, across, g)
        for word, each in rows[first : first + room_for]
    ]
    return framed("cells", _counts(shown, room), body, width, height, g, boxed=boxed)


def _counts(shown: Forecast, room: Room) -> Row:
    counts = shown.counts(room)
    row: Row = [(f"{counts.get('planned', 0)} to measure", "muted")] if shown.cells else []
    for word in ("will not fit", "refused", "left out"):
        if counts.get(word):
            role = "muted" if word == "left out" else "bad"
            row += [("   ", "muted"), (f"{counts[word]} {word}", role)]
    return row


def _columns(rows: Sequence[Ahead], width: int) -> tuple[list[str], int]:
    """The knobs with a column, those that vary before those that are told always, as far as there
    is room; and the model's width."""
    left = width - 2 - MODEL - GIB - 2 - NOTE
    varying = [k for k in KNOBS if len({getattr(each.cell, k) for each in rows}) > 1]
    shown = []
    for name in dict.fromkeys([*varying, *ALWAYS]):
        if left >= KNOBS[name][1]:
            shown.append(name)
            left -= KNOBS[name][1]
    longest = max((cells(clean(each.cell.model_name)) for each in rows), default=0)
    model = MODEL + max(0, min(longest + 1 - MODEL, left))
    return [name for name in KNOBS if name in shown], model


def _head(knobs: list[str], model: int) -> Row:
    text = fit("  model", 2 + model)
    text += "".join(fit(*KNOBS[name], "right") for name in knobs)
    return [(text + fit("GiB", GIB, "right"), "muted")]


def _line(
    each: Ahead, word: str, room: Room, knobs: list[str], model: int, width: int, g: Glyphs
) -> Row:
    sign, role = MARKS[word]
    text, value = ("muted", "muted") if word == "left out" else ("text", "text.bold")
    cell, more = each.cell, g("…")
    row: Row = [
        (g(sign) + " ", role),
        (fit(cell.model_name, model - 1, mark=more) + " ", text),
    ]
    for name in knobs:
        said = _load(cell) if name == "offered" else str(getattr(cell, name) or "auto")
        row.append((" " + fit(said, KNOBS[name][1] - 1, "right", mark=more), text))
    row.append((fit(g(formatting.gib(each.needs, "~")), GIB, "right"), value))
    tone = role if word in LOUD else "muted"
    said = cut(clean(g(note(each, word, room))), max(0, width - row_width(row) - 2), more)
    return [*row, (f"  {said}", tone)]


def _load(cell: Cell) -> str:
    """`at 20%`, `clients`; nothing of full batches."""
    return "clients" if cell.asks_all else cell.offered.removeprefix(cell.scenario).strip()


def before(
    shown: Forecast, room: Room, width: int, height: int, g: Glyphs, *, boxed: bool
) -> list[Row]:
    """What will happen, and the command line that does the same."""
    across, down = inside(width, height, boxed)
    time: Row = [("time ", "muted"), *_time(shown, g), (f" {_plural(shown)}", "muted")]
    subtitle = [] if boxed else time
    body = (
        _roomy(shown, room, across, down, g) if down >= 8 else _tight(shown, room, across, down, g)
    )
    return framed("before it starts", subtitle, body, width, height, g, boxed=boxed)


def _plural(shown: Forecast) -> str:
    count = len(shown.plan.cells) if shown.plan else 0
    return f"for {count} cell{'' if count == 1 else 's'}" if count else ""


def _time(shown: Forecast, g: Glyphs) -> Row:
    if shown.plan is None:
        return [(g("—"), "text.bold")]
    if shown.time.seconds is None:
        return [("unknown", "text.bold")]
    most: Row = [("at most ", "muted")] if shown.time.most else []
    return [*most, (formatting.about(shown.time.seconds), "text.bold")]


def _memory(shown: Forecast, room: Room, g: Glyphs) -> tuple[Row, str]:
    """The range of what the planned cells need of what is free; and where they run."""
    planned = [each for each in shown.cells if each.fate == "planned"]
    needs = [each.needs for each in planned if each.needs is not None]
    if not planned:
        return [(g("—"), "text.bold")], "memory"
    free, where = room.for_device(planned[0].cell.device)
    ends = dict.fromkeys(
        formatting.gib(end, "~") for end in ((min(needs), max(needs)) if needs else ())
    )
    row: Row = [(" to ".join(ends) or g("—"), "text.bold"), (" of ", "muted")]
    return [*row, (g(formatting.gib(free)), "text.bold"), (" GiB free", "muted")], where


def _roomy(shown: Forecast, room: Room, width: int, height: int, g: Glyphs) -> list[Row]:
    memory, where = _memory(shown, room, g)
    rows: list[Row] = [
        [(fit("time", LABEL), "muted"), *_time(shown, g), (f" {_plural(shown)}", "muted")],
        *_wrapped(shown.time.basis, width - LABEL, g, "muted", LABEL),
        [(fit("memory", LABEL), "muted"), *memory],
        [(f"{' ' * LABEL}{where}: {OF_WHAT}", "muted")],
        [],
    ]
    if shown.error:
        rows += [*_wrapped(f"{g('✗')} {shown.error}", width, g, "bad"), []]
    rows += [[("the same as a command line", "muted")], *command_rows(shown.command, width, g)]
    return rows if len(rows) <= height else [row for row in rows if row][:height]


def _tight(shown: Forecast, room: Room, width: int, height: int, g: Glyphs) -> list[Row]:
    if shown.error:
        said = _wrapped(f"{g('✗')} {shown.error}", width, g, "bad")[: max(1, height - 2)]
    else:
        memory, where = _memory(shown, room, g)
        needs: Row = [("memory ", "muted"), *memory, (f"   {where}: {OF_WHAT}", "muted")]
        said = [[(shown.time.basis, "muted")], *([needs] if height >= 4 else [])]
    return [*said, *command_rows(shown.command, width, g)][:height]


def _wrapped(text: str, width: int, g: Glyphs, role: str, indent: int = 0) -> list[Row]:
    """A sentence over as many rows as it takes, four at most."""
    lines = [""]
    for word in clean(text).split():
        longer = f"{lines[-1]} {word}".strip()
        if cells(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return [[(" " * indent + cut(line, max(1, width), g("…")), role)] for line in lines[:4]]


def command_rows(command: str, width: int, g: Glyphs) -> list[Row]:
    """A command line over several rows, as a shell reads it too; a word is never broken."""
    room = max(1, width - len(CONTINUED))
    lines = [""]
    for word in map(shlex.quote, shlex.split(command)):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if cells(clean(longer)) <= room or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(f"  {word}")
    ends = [CONTINUED] * (len(lines) - 1) + [""]
    return [
        [(cut(clean(line), room, g("…")), "text"), (end, "muted")]
        for line, end in zip(lines, ends, strict=True)
    ]
