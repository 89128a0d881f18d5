"""Textual's driver for Linux, with an output and an input that survive their terminal."""

from __future__ import annotations

import io
import os
import select
import signal
from codecs import getincrementaldecoder
from collections.abc import Callable
from io import TextIOWrapper
from typing import TYPE_CHECKING, cast

from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

from txtop.system.terminal_size import read_terminal_size
from txtop.ui.terminal.alternate_screen import ENTER_SEQUENCE, hand_over
from txtop.ui.terminal.paste import PasteFilter

if TYPE_CHECKING:
    from textual.app import App

# Textual's own interval for telling an escape key from the beginning of a sequence.
TICK_S = 0.1
READ_BYTES = 4096


class TerminalWriter(io.TextIOBase):
    """A text file over a descriptor. After a write that fails, everything is dropped silently."""

    def __init__(self, fd: int, on_lost: Callable[[], None]) -> None:
        self._fd = fd
        self._on_lost = on_lost
        self._pending: list[str] = []
        self.lost = False

    def write(self, text: str) -> int:
        self._pending.append(text)
        return len(text)

    def flush(self) -> None:
        rest = memoryview("".join(self._pending).encode("utf-8", "replace"))
        self._pending.clear()
        while rest and not self.lost:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                select.select([], [self._fd], [], 1.0)
            except OSError:
                self.lost = True
                self._on_lost()

    def fileno(self) -> int:
        return self._fd


class TerminalDriver(LinuxDriver):
    """The driver that draws on standard output; Textual's own draws on standard error."""

    on_lost: Callable[[], None] = staticmethod(lambda: None)

    def __init__(
        self,
        app: App[object],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._outlet = TerminalWriter(1, self._lose)
        self._file = cast(TextIOWrapper, self._outlet)

    def _get_terminal_size(self) -> tuple[int, int]:
        # Private to Textual, whose own lets COLUMNS and LINES win over the terminal for good.
        return read_terminal_size()

    @property
    def backlog(self) -> int:
        """The number of writes that the terminal has not taken yet."""
        # Private to Textual: no public name tells how far the writer is behind.
        return self._writer_thread._queue.qsize() if self._writer_thread else 0

    def write(self, data: str) -> None:
        # A terminal that clears its alternate screen whenever it is entered would lose the picture.
        if data != ENTER_SEQUENCE or not hand_over():
            super().write(data)

    def stop_reading(self) -> None:
        """End the thread that reads keys: at the end of its input it would spin."""
        self.exit_event.set()

    def _lose(self) -> None:
        self.stop_reading()
        type(self).on_lost()

    def run_input_thread(self) -> None:
        """Read keys and pastes, as Textual does, until the terminal is gone.

        Textual's own loop spins at the end of its input, ends in a traceback where a read fails or
        bytes are not UTF-8, and reads what follows an escape in pasted text as keys.
        """
        # Private to Textual; its public way in is the loop that is replaced here.
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        pastes = PasteFilter()
        try:
            while not self.exit_event.is_set():
                if select.select([self.fileno], [], [], TICK_S)[0]:
                    data = os.read(self.fileno, READ_BYTES)
                    if not data:
                        self._lose()
                        return
                    # An empty text would tell the parser that its input has ended.
                    if text := pastes.feed(decode(data)):
                        for event in parser.feed(text):
                            self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)
        except OSError:
            self._lose()

    def suspend_group(self) -> bool:
        """Stop this process and the others of its job in the shell (`make`, for one).

        Return False if no shell would ever continue it: the group leads its session.
        """
        if os.getsid(0) == os.getpgrp():
            return False
        os.killpg(os.getpgrp(), signal.SIGTSTP)
        return True
