"""The capabilities of the terminal, and the guard that notices when it goes away."""

from __future__ import annotations

import os
import select
import signal
import termios
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from txtop.system.signals import handle_signals
from txtop.ui.drawing.glyphs import GlyphMode

if TYPE_CHECKING:
    from txtop.settings import AskedLook, Settings

FPS = 4.0
FPS_REMOTE = 2.0
HANGUP_GRACE_S = 1.0
HANGUP_STATUS = 128 + signal.SIGHUP
# As rich names the ways to send a colour.
ColourDepth = Literal["STANDARD", "EIGHT_BIT", "TRUECOLOR"]
_WIDE_LANGUAGES = ("zh", "ja", "ko")


@dataclass(frozen=True)
class Capabilities:
    """The drawing that a terminal supports. `why` is the reason if only plain lines can be."""

    screen: bool
    why: str
    colour: bool
    depth: ColourDepth
    glyphs: GlyphMode
    fps: float


def detect_capabilities(
    environ: Mapping[str, str] | None = None,
    *,
    stdin_tty: bool | None = None,
    stdout_tty: bool | None = None,
) -> Capabilities:
    """Detect capabilities from the environment and the two descriptors of the terminal."""
    environ = os.environ if environ is None else environ
    term = environ.get("TERM", "")
    if not (_is_tty(1) if stdout_tty is None else stdout_tty):
        why = "standard output is not a terminal"
    elif not (_is_tty(0) if stdin_tty is None else stdin_tty):
        why = "standard input is not a terminal"
    elif term in ("", "dumb"):
        why = f"TERM is {term or 'not set'}"
    else:
        why = ""
    return Capabilities(
        screen=not why,
        why=why,
        colour=not environ.get("NO_COLOR"),
        depth=_detect_depth(environ, term),
        glyphs=_detect_glyphs(environ, term),
        fps=FPS_REMOTE if environ.get("SSH_CONNECTION") else FPS,
    )


class ScreenLook(NamedTuple):
    """The theme of a screen, None for the first one, its glyphs, and its frames per second."""

    theme: str | None
    glyphs: GlyphMode
    fps: float


def choose_look(asked: AskedLook, own: Settings, can: Capabilities) -> ScreenLook:
    """Choose what was asked for, else the user's own, else what the terminal can."""
    return ScreenLook(
        asked.theme or own.theme,
        asked.glyphs or own.glyphs or can.glyphs,
        asked.fps or own.fps or can.fps,
    )


def _is_tty(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False


def _detect_depth(environ: Mapping[str, str], term: str) -> ColourDepth:
    """Detect what Textual would, so that a picture before it has the same colours."""
    if environ.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit"):
        return "TRUECOLOR"
    wide = term.strip().lower().rpartition("-")[2] in ("256color", "kitty")
    return "EIGHT_BIT" if wide else "STANDARD"


def _detect_glyphs(environ: Mapping[str, str], term: str) -> GlyphMode:
    language = environ.get("LANG", "")
    # Python turns LANG=C into LC_CTYPE=C.UTF-8 as it starts: that says nothing of the terminal.
    coerced = language in ("C", "POSIX") and environ.get("LC_CTYPE") == "C.UTF-8"
    chosen = environ.get("LC_ALL") or ("" if coerced else environ.get("LC_CTYPE")) or language
    if chosen and not chosen.lower().replace("-", "").endswith("utf8"):
        return "ascii"
    if chosen[:2] in _WIDE_LANGUAGES:
        return "ascii"
    return "blocks" if term == "linux" else "braille"


class TerminalGuard:
    """A thread that watches the terminal and the signals while a screen is up.

    `on_lost` is called once when the terminal is gone (hangup, error, or SIGHUP), `on_interrupt`
    at every SIGINT and SIGTERM; both in the guard's thread. A process that is still there
    `HANGUP_GRACE_S` after its terminal went is ended hard, since Textual may spin on a dead
    descriptor and a writer may be stuck on a terminal that reads no more.
    """

    def __init__(
        self,
        on_lost: Callable[[], None],
        on_interrupt: Callable[[], None],
        fd: int = 0,
    ) -> None:
        self.lost = False
        self._on_lost = on_lost
        self._on_interrupt = on_interrupt
        self._fd = fd
        self._attributes: list[Any] | None = None
        self._previous: dict[int, Any] = {}
        self._wake_read, self._wake_write = -1, -1
        self._deadline_s: float | None = None
        self._thread = threading.Thread(target=self._run, name="terminal guard", daemon=True)

    def __enter__(self) -> TerminalGuard:
        try:
            self._attributes = termios.tcgetattr(self._fd)
        except termios.error:
            self._attributes = None
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._previous = handle_signals(
            (signal.SIGHUP, signal.SIGTERM, signal.SIGINT), self._handle_signal
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._wake(b"q")
        self._thread.join(HANGUP_GRACE_S)
        os.close(self._wake_read)
        os.close(self._wake_write)

    def leave_within(self, seconds: float) -> None:
        """End the process hard if it is still here then. An earlier end that is set stays."""
        self._deadline_s = min(self._deadline_s or float("inf"), time.monotonic() + seconds)
        self._wake(b"d")

    def _wake(self, byte: bytes) -> None:
        with suppress(OSError):
            os.write(self._wake_write, byte)

    def _handle_signal(self, number: int, _frame: FrameType | None) -> None:
        self._wake(b"h" if number == signal.SIGHUP else b"i")

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        if self._attributes is not None:
            poll.register(self._fd, 0)
        while True:
            left_s = None if self._deadline_s is None else self._deadline_s - time.monotonic()
            if left_s is not None and left_s <= 0:
                self._end_hard()
            for fd, _what in poll.poll(None if left_s is None else left_s * 1000 + 1):
                if fd == self._fd:
                    poll.unregister(self._fd)
                    self._lose()
                    continue
                wakes = os.read(self._wake_read, 64)
                if b"h" in wakes:
                    self._lose()
                for _ in range(wakes.count(b"i")):
                    self._on_interrupt()
                if b"q" in wakes:
                    return

    def _lose(self) -> None:
        if self.lost:
            return
        self.lost = True
        self.leave_within(HANGUP_GRACE_S)
        self._on_lost()

    def _end_hard(self) -> None:
        restore_terminal(self._fd, self._attributes)
        os._exit(HANGUP_STATUS if self.lost else 130)


RESTORE_SEQUENCE = "\x1b[?2004l\x1b[?7h\x1b[?2048l\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l" + (
    "\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l"
)


def restore_terminal(fd: int, attributes: list[Any] | None) -> None:
    """Restore the terminal, as far as it still answers; never block and never raise."""
    with suppress(OSError):
        out = os.open(os.ttyname(fd), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        os.write(out, RESTORE_SEQUENCE.encode())
        os.close(out)
    if attributes is not None:
        with suppress(termios.error, OSError):
            termios.tcsetattr(fd, termios.TCSANOW, attributes)


def detach_stdio() -> None:
    """Point the standard descriptors at the null device: a dead terminal refuses every write."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)
    os.close(nowhere)
