"""The capabilities of a terminal, decided from the environment."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from rich.color import ColorSystem
from rich.console import Console

from txtop.ui.terminal.capabilities import (
    HANGUP_STATUS,
    Capabilities,
    TerminalGuard,
    detect_capabilities,
)

UTF8 = {"TERM": "xterm-256color", "LANG": "C.UTF-8"}


def seen(environ: dict[str, str], stdin: bool = True, stdout: bool = True) -> Capabilities:
    return detect_capabilities(environ, stdin_tty=stdin, stdout_tty=stdout)


@pytest.mark.fault(34)
def test_plain_lines_without_a_terminal() -> None:
    assert seen(UTF8).screen
    assert not seen(UTF8, stdout=False).screen
    assert "input" in seen(UTF8, stdin=False).why
    assert not seen({**UTF8, "TERM": "dumb"}).screen
    assert seen({"LANG": "C.UTF-8"}).why == "TERM is not set"


@pytest.mark.fault(34)
@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"LANG": "C"}, "ascii"),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, "ascii"),
        ({"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"}, "ascii"),
        ({"LANG": "de_DE.ISO-8859-1"}, "ascii"),
        ({"LANG": "ja_JP.UTF-8"}, "ascii"),
        ({"LANG": "en_US.utf8"}, "braille"),
        ({"LANG": "C", "LC_ALL": "en_US.UTF-8"}, "braille"),
        ({}, "braille"),
        ({"LANG": "C.UTF-8", "TERM": "linux"}, "blocks"),
    ],
)
def test_glyphs_follow_the_locale(environ: dict[str, str], expected: str) -> None:
    assert seen({"TERM": "xterm", **environ}).glyphs == expected


@pytest.mark.fault(34)
def test_no_colour_and_remote() -> None:
    assert seen(UTF8).colour and not seen({**UTF8, "NO_COLOR": "1"}).colour
    assert seen(UTF8).fps == 4 and seen({**UTF8, "SSH_CONNECTION": "a 1 b 2"}).fps == 2


@pytest.mark.parametrize("term", ["xterm", "xterm-256color", "xterm-kitty", "linux", "screen"])
@pytest.mark.parametrize("colour_term", ["", "truecolor", "24bit", "yes"])
def test_colours_are_sent_as_rich_would(term: str, colour_term: str) -> None:
    environ = {"TERM": term, "COLORTERM": colour_term}
    console = Console(force_terminal=True, legacy_windows=False, _environ=environ)
    assert console._color_system is ColorSystem[seen(environ).depth]


def test_a_longer_end_does_not_put_off_the_one_of_a_lost_terminal() -> None:
    """The screen asks for its own time as it leaves, while a thread of it may spin."""
    ours, theirs = os.openpty()
    spinning = threading.Event()

    def leave() -> None:
        guard.leave_within(3600)
        spinning.set()

    pid = os.fork()
    if not pid:
        with TerminalGuard(leave, lambda: None, theirs) as guard:
            os.close(ours)
            while True:
                spinning.wait()
    os.close(theirs)
    os.close(ours)
    give_up = threading.Timer(30, os.kill, (pid, signal.SIGKILL))
    give_up.start()
    _, status = os.waitpid(pid, 0)
    give_up.cancel()
    assert os.waitstatus_to_exitcode(status) == HANGUP_STATUS
