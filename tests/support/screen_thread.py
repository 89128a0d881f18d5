"""The bare loop with a Textual screen as another thread of its process, which txtop avoids.

Six sparklines and a table redrawn at 10 Hz on a terminal of 120x40, in the main thread; the loop of
`txtop.worker.baseline` in the other.
"""

from __future__ import annotations

import fcntl
import os
import pty
import random
import struct
import sys
import termios
import threading
from typing import Any

from textual.app import App, ComposeResult
from textual.widgets import DataTable, Sparkline

from txtop.worker import baseline


class Screen(App[None]):
    """A screen busy with made-up figures."""

    def compose(self) -> ComposeResult:
        for _ in range(6):
            yield Sparkline([0.0] * 100)
        yield DataTable()

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        table.add_columns(*(f"column {i}" for i in range(8)))
        for _ in range(15):
            table.add_row(*("0.000" for _ in range(8)))
        self.set_interval(0.1, self.redraw)

    def redraw(self) -> None:
        for line in self.query(Sparkline):
            line.data = [random.random() for _ in range(100)]
        table: DataTable[Any] = self.query_one(DataTable)
        for row in range(table.row_count):
            for column in range(8):
                table.update_cell_at((row, column), f"{random.random():.3f}")


def main() -> None:
    """Give the screen a terminal of its own, read by a child; standard output stays the loop's."""
    output_fd = os.dup(1)
    terminal, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    if os.fork() == 0:
        os.close(slave)
        try:
            while os.read(terminal, 65536):
                pass
        except OSError:
            os._exit(0)
    os.close(terminal)
    os.dup2(slave, 0)
    os.dup2(slave, 2)
    sys.__stderr__ = os.fdopen(slave, "w", closefd=False)
    sys.__stdin__ = os.fdopen(0, closefd=False)
    os.environ["TERM"] = "xterm-256color"
    threading.Thread(target=baseline.main, args=(os.fdopen(output_fd, "w"),), daemon=True).start()
    Screen().run()


if __name__ == "__main__":
    main()
