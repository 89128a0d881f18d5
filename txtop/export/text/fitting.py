"""Fit a table and its notes into a terminal: what does not vary is said once, and no word is cut.

A table that is still too wide becomes several below each other, each with the columns that name its
rows, so that nothing is left out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence
from typing import TextIO

from txtop.export.text.columns import align_columns, measure_cells
from txtop.formatting import MISSING
from txtop.plan.knobs import KNOBS
from txtop.system.terminal_size import read_terminal_size

Heading = tuple[tuple[str, str], ...]
LEAST_WIDTH = 40
# The columns that say what a row is, by how the heading words one that is the same in all rows.
_SHARED_WORDS = {
    **{knob.heading: f"{knob.heading} {{}}" for knob in KNOBS if knob.heading},
    **dict.fromkeys(("model", "prec", "attn"), "{}"),
    "len": "length {}",
    "new": "{} new tokens",
}
# A unit that all rows share names its column.
_UNITS = {"unit": ("rate", "{}"), "$ per": ("cost", "$/{}"), "J per": ("energy", "J/{}")}
# Times that an encoder does not have.
_OF_DECODERS = {"TTFT ms", "TPOT ms"}
_NAMES_OF_ROWS = {"arm", "server", "cell", *_SHARED_WORDS}


def get_width(stream: TextIO) -> int | None:
    """Return the columns of the terminal that `stream` writes to; `None` for a file or a pipe."""
    try:
        is_terminal = stream.isatty()
    except ValueError:
        return None
    return max(LEAST_WIDTH, read_terminal_size(stream.fileno())[0]) if is_terminal else None


def hoist_shared(heading: Heading, rows: list[list[str]]) -> tuple[str, Heading, list[list[str]]]:
    """Return the values of the columns that do not vary as a line, and the table without them.

    The measured columns stay, whatever their values are, but for times that no row has.
    """
    shared: list[str] = []
    renamed: dict[str, str] = {}
    kept: list[int] = []
    for place, (name, _) in enumerate(heading):
        values = {row[place] for row in rows}
        if name in _OF_DECODERS and values == {MISSING}:
            continue
        if (
            len(values) != 1
            or name not in {*_SHARED_WORDS, *_UNITS, "status"}
            or (name == "status" and values != {"ok"})
        ):
            kept.append(place)
            continue
        (value,) = values
        if name in _UNITS and value != MISSING:
            column, form = _UNITS[name]
            renamed[column] = form.format(value)
        elif name == "status":
            shared.append("all ok" if len(rows) > 1 else "ok")
        elif value != MISSING:
            shared.append(_word_shared(name, value))
    columns = tuple((renamed.get(heading[i][0], heading[i][0]), heading[i][1]) for i in kept)
    return " · ".join(shared), columns, [[row[i] for i in kept] for row in rows]


def _word_shared(name: str, value: str) -> str:
    # A load says itself what it is: `continuous 8 clients`.
    is_load = name == "batch" and not value.isdigit()
    return value if is_load else _SHARED_WORDS[name].format(value)


def format_table(heading: Heading, rows: list[list[str]], width: int | None) -> list[str]:
    """Return a table as lines of at most `width` columns, if its single columns allow that.

    Without a `width` it is one table, however wide.
    """
    if width is None or _measure(heading, rows, range(len(heading))) <= width:
        return _align(heading, rows, range(len(heading)))
    names = [i for i, (name, _) in enumerate(heading) if name in _NAMES_OF_ROWS]
    if _measure(heading, rows, names) > width // 2:
        heading = (("#", ">"), *heading)
        rows = [[str(number), *row] for number, row in enumerate(rows, start=1)]
        names = [0]
    lines: list[str] = []
    for block in _split(heading, rows, names, width):
        lines += [*([""] if lines else []), *_align(heading, rows, block)]
    return lines


def _split(
    heading: Heading, rows: list[list[str]], names: Collection[int], width: int
) -> list[list[int]]:
    """Return the columns of each table: the `names` in all, and as many others as fit."""
    blocks: list[list[int]] = []
    block = list(names)
    for place in range(len(heading)):
        if place in names:
            continue
        if len(block) > len(names) and _measure(heading, rows, [*block, place]) > width:
            blocks.append(block)
            block = list(names)
        block.append(place)
    return [*blocks, block]


def _align(heading: Heading, rows: list[list[str]], places: Sequence[int]) -> list[str]:
    chosen = tuple(heading[i] for i in places)
    return align_columns(
        chosen, [[n for n, _ in chosen], *([row[i] for i in places] for row in rows)]
    )


def _measure(heading: Heading, rows: list[list[str]], places: Sequence[int]) -> int:
    return max(map(measure_cells, _align(heading, rows, places)), default=0)


def wrap_line(line: str, width: int | None) -> list[str]:
    """Break a line between words and indent what follows; a longer word stays whole."""
    if width is None or measure_cells(line) <= width:
        return [line]
    return textwrap.wrap(
        line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
