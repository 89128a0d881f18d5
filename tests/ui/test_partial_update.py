"""The output for a change: its columns, at their place, whatever is beside them."""

from __future__ import annotations

import io

import pyte
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from textual._compositor import ChopsUpdate
from textual.strip import Strip

from txtop.ui.terminal.partial_update import PartialUpdate, narrow_update

CONSOLE = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor")


def strip(text: str) -> Strip:
    return Strip([Segment(text)], len(text))


def test_one_column_is_sent_and_not_what_stands_before_it() -> None:
    update = ChopsUpdate([{0: strip("abcdefgh")}], [(0, 5, 6)], [[8]])
    assert narrow_update(update).render_segments(CONSOLE) == "\x1b[1;6Hf"  # type: ignore[union-attr]
    assert "abcde" in update.render_segments(CONSOLE), "else Textual does it, and this can go"


def test_whatever_is_no_update_of_columns_is_left_alone() -> None:
    assert narrow_update(None) is None and narrow_update("text") == "text"


@given(st.data())
def test_the_picture_is_that_of_the_new_rows_where_they_changed(data: st.DataObject) -> None:
    width, height = 12, 4
    rows = st.lists(st.text("abc", min_size=width, max_size=width), min_size=4, max_size=4)
    old, new = data.draw(rows), data.draw(rows)
    cuts = sorted(data.draw(st.sets(st.integers(1, width - 1), max_size=3)) | {0})
    ends = [*cuts[1:], width]
    columns = st.tuples(st.integers(0, width - 1), st.integers(1, width)).filter(
        lambda span: span[0] < span[1]
    )
    spans = [(y, *data.draw(columns)) for y in range(height)]
    screen = pyte.Screen(width, height)
    stream = pyte.Stream(screen)
    stream.feed("\r\n".join(old))
    chops = [{x: strip(row[x:end]) for x, end in zip(cuts, ends, strict=True)} for row in new]
    stream.feed(PartialUpdate(chops, spans, [ends] * height).render_segments(CONSOLE))
    wanted = [
        before[:first] + after[first:last] + before[last:]
        for before, after, (_, first, last) in zip(old, new, spans, strict=True)
    ]
    assert screen.display == wanted
