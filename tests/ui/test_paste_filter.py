"""Bracketed paste in terminal input that comes in pieces of any size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from txtop.ui.terminal.paste import PasteFilter

START, END = "\x1b[200~", "\x1b[201~"
INPUT = st.lists(st.sampled_from([START, END, "\x1b", "\x1b[20", "[", "q", "é"])).map("".join)


def test_escapes_are_text_inside_a_paste_alone() -> None:
    passed = PasteFilter().feed(f"\x1b[A{START}a\x1bq{START}\x1b\x1b{END}\x1b[B")
    assert passed == f"\x1b[A{START}a\\x1bq\\x1b[200~\\x1b\\x1b{END}\x1b[B"


@given(INPUT, st.data())
def test_pieces_pass_as_the_whole_does(text: str, data: st.DataObject) -> None:
    whole, pieces = PasteFilter(), PasteFilter()
    passed = ""
    rest = text
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        passed, rest = passed + pieces.feed(rest[:size]), rest[size:]
    # The end mark closes whatever is held.
    assert passed + pieces.feed(END) == whole.feed(text) + whole.feed(END)


@given(INPUT)
def test_a_paste_holds_no_escape(text: str) -> None:
    pasted = text.replace(END, "")
    passed = PasteFilter().feed(START + pasted + END)
    assert passed.startswith(START) and passed.endswith(END)
    assert "\x1b" not in passed[len(START) : -len(END)]
