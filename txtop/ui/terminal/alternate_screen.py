"""The alternate screen before Textual has the terminal: who entered it, and who leaves it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from txtop.system.signals import unwind_on_signals
from txtop.ui.terminal.capabilities import restore_terminal

ENTER_SEQUENCE = "\x1b[?1049h"
HIDE_CURSOR = "\x1b[?25l"

_is_held = False


def hand_over() -> bool:
    """Return True if the screen was held until now; from then on, leaving it is the caller's."""
    global _is_held
    was_held, _is_held = _is_held, False
    return was_held


@contextmanager
def hold_screen(picture: str) -> Iterator[None]:
    """Enter the alternate screen and write `picture` there; leave it unless it is handed over.

    A signal that ends the process unwinds the stack, so that it is left then, too.
    """
    global _is_held
    with unwind_on_signals():
        try:
            _is_held = True
            _write(ENTER_SEQUENCE + HIDE_CURSOR + picture)
            yield
        finally:
            if hand_over():
                restore_terminal(1, None)


def _write(text: str) -> None:
    """Write to the terminal, in one go if it takes that; the driver notices one that is gone."""
    rest = text.encode()
    with suppress(OSError):
        while rest:
            rest = rest[os.write(1, rest) :]
