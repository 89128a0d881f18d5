"""The time between the first picture and Textual, in a real terminal."""

from __future__ import annotations

import signal

import pytest

from support.terminal_process import TerminalProcess

# The import that comes after the first picture takes long, or fails.
DELAYED = """
import sys, time

class Delay:
    def find_spec(self, name, path, target=None):
        if name == "txtop.ui.launch":
            {action}

sys.meta_path.insert(0, Delay())
sys.argv[1:] = []
from txtop.__main__ import main
sys.exit(main())
"""
# One long sleep would miss a signal that comes just before it begins.
LONG = "[time.sleep(0.05) for _ in range(1200)]"
START = "import sys; sys.argv[1:] = []; from txtop.__main__ import main; sys.exit(main())"


@pytest.mark.fault(36)
@pytest.mark.parametrize(
    ("number", "status"), [(None, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_before_textual_gives_the_terminal_back(
    env: dict[str, str | None], number: int | None, status: int
) -> None:
    code = DELAYED.format(action=LONG)
    with TerminalProcess(code, env=env, cold=True) as process:
        process.wait_for("scanning sessions")
        process.interrupt(number)
        process.wait_end()
        assert process.status == status
        assert process.raw.count(b"\x1b[?1049h") == process.raw.count(b"\x1b[?1049l") == 1
        assert process.raw.rindex(b"\x1b[?25h") > process.raw.rindex(b"\x1b[?25l")
        assert b"Traceback" not in process.raw


def test_an_error_before_textual_is_read_on_the_terminal_of_before(
    env: dict[str, str | None],
) -> None:
    code = DELAYED.format(action="raise ImportError('no such part')")
    with TerminalProcess(code, env=env, cold=True) as process:
        process.wait_end()
        assert process.status == 1
        assert process.raw.index(b"scanning sessions") < process.raw.index(b"\x1b[?1049l")
        assert process.raw.index(b"\x1b[?1049l") < process.raw.index(b"no such part")


def test_textual_takes_the_screen_as_it_is_and_leaves_it_once(env: dict[str, str | None]) -> None:
    with TerminalProcess(START, env=env) as process:
        process.wait_for("doctor")
        process.wait_for("1 min")
        process.type("q")
        process.wait_end()
        assert process.status == 0
        assert process.raw.count(b"\x1b[?1049h") == process.raw.count(b"\x1b[?1049l") == 1
        assert b"\x1b[2J" not in process.raw


def test_without_colours_no_code_of_a_colour_is_sent(env: dict[str, str | None]) -> None:
    code = DELAYED.format(action=LONG)
    with TerminalProcess(code, env={**env, "NO_COLOR": "1"}, cold=True) as process:
        process.wait_for("scanning sessions")
        assert process.colours() == set()
