"""A real process in a real terminal that goes away, interrupts it, or lacks features."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from random import Random

import pytest

from support.screen_program import HOME, live, sent_actions
from support.terminal_process import TerminalProcess
from support.ui_sessions import session, write
from support.waiting import wait_until


@pytest.mark.fault(1)
def test_sighup_ends_the_screen_and_gives_the_terminal_back(env: dict[str, str | None]) -> None:
    with TerminalProcess(HOME, env=env) as process:
        process.wait_for("quick preset")
        process.signal(signal.SIGHUP)
        process.wait_end()
        assert process.status == 129
        assert b"\x1b[?1049l" in process.raw and b"\x1b[?25h" in process.raw
        assert b"Traceback" not in process.raw


COUNTED = """
import os, select
file = os.open({path!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
read, choose, write, poll = os.read, select.select, os.write, select.poll

def count(call):
    return lambda *arguments: (write(file, b"."), call(*arguments))[1]

class Poll:
    def __init__(self):
        self.inner = poll()
        self.register, self.unregister = self.inner.register, self.inner.unregister
        self.poll = count(self.inner.poll)

os.read, select.select, select.poll = count(read), count(choose), Poll
"""


@pytest.mark.fault(1)
@pytest.mark.fault(2)
@pytest.mark.parametrize("ignore_hup", [False, True])
def test_a_terminal_that_goes_ends_the_screen_without_spinning(
    env: dict[str, str | None], ignore_hup: bool, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    code = COUNTED.format(path=str(calls)) + HOME
    with TerminalProcess(code, env=env, ignore_hup=ignore_hup) as process:
        process.wait_for("quick preset")
        process.read_for(0.5)
        before = calls.stat().st_size
        assert before > 0
        process.hang_up()
        process.wait_end()
        # A thread that spins asks a terminal that is gone many thousand times a second.
        assert calls.stat().st_size - before < 500


@pytest.fixture
def running(tmp_path: Path) -> Path:
    return write(tmp_path / "run", session(ended=False))


@pytest.mark.fault(36)
@pytest.mark.parametrize("number", [None, signal.SIGTERM, signal.SIGINT])
def test_an_interrupt_stops_the_run_and_leaves_as_it_ends(
    env: dict[str, str | None], running: Path, number: int | None
) -> None:
    with TerminalProcess(live(running), env=env) as process:
        process.wait_for("gpt2")
        process.interrupt(number)
        process.wait_end()
        assert sent_actions(running) == ["stop"]
        assert process.status == 0 and b"left" in process.raw


@pytest.mark.fault(36)
@pytest.mark.parametrize("number", [None, signal.SIGTERM])
def test_a_second_interrupt_leaves_at_once(
    env: dict[str, str | None], running: Path, number: int | None
) -> None:
    with TerminalProcess(live(running, obeys=False), env=env) as process:
        process.wait_for("gpt2")
        process.interrupt(number)
        process.wait_for("ctrl+c again")
        process.interrupt(number)
        process.wait_end()
        assert sent_actions(running) == ["stop", "stop"]
        assert b"\x1b[?1049l" in process.raw


@pytest.mark.fault(36)
def test_a_terminal_that_takes_nothing_can_still_be_left(
    env: dict[str, str | None], running: Path
) -> None:
    with TerminalProcess(live(running, obeys=False), env=env) as process:
        process.wait_for("gpt2")
        for _ in range(40):
            process.type("t")
        time.sleep(1.0)
        process.signal(signal.SIGTERM)
        # Two at once are one signal.
        wait_until(lambda: sent_actions(running) == ["stop"])
        process.signal(signal.SIGTERM)
        process.wait_end(reading=False)
        assert sent_actions(running) == ["stop", "stop"]


@pytest.mark.fault(1)
@pytest.mark.parametrize(("on_hangup", "expected"), [("continue", []), ("stop", ["stop"])])
def test_a_hangup_leaves_the_run_alone_unless_told_otherwise(
    env: dict[str, str | None], running: Path, on_hangup: str, expected: list[str]
) -> None:
    with TerminalProcess(live(running, on_hangup=on_hangup), env=env) as process:
        process.wait_for("gpt2")
        process.hang_up()
        process.wait_end()
        assert sent_actions(running) == expected


@pytest.mark.fault(36)
def test_suspended_and_back_the_picture_is_painted_again(
    env: dict[str, str | None], running: Path
) -> None:
    with TerminalProcess(live(running), env=env, job_control=True) as process:
        process.wait_for("gpt2")
        process.type("\x1a")
        process.wait_for(lambda: process.stopped())
        # What it wrote last may still be on its way.
        process.wait_for(lambda: process.raw.rstrip().endswith(b"\x1b[?1004l"))
        process.blank()
        process.signal(signal.SIGCONT)
        process.wait_for("gpt2")
        process.type("?")
        process.wait_for("keys close")


@pytest.mark.fault(33)
def test_any_size_and_a_storm_of_resizes(env: dict[str, str | None], running: Path) -> None:
    draw = Random(7)
    storm = [(draw.randint(1, 250), draw.randint(1, 80)) for _ in range(198)]
    with TerminalProcess(live(running), env=env) as process:
        process.wait_for("gpt2")
        before = process.still()
        for width, height in [(1, 1), *storm, (250, 80)]:
            process.resize(width, height)
            process.read_for(0.01)
        process.resize(80, 24)
        process.wait_for(lambda: process.text == before)
        for size in [(1, 1), (40, 10)]:
            process.resize(*size)
            process.type("?")
            process.read_for(0.2)
            process.type("x\x10")
            process.read_for(0.2)
            process.type("\x1b")
            process.read_for(0.3)
        process.resize(80, 24)
        process.wait_for(lambda: process.text == before)
        process.type("q")
        process.wait_for("keep running in the background")
        process.type("l")
        process.wait_end()
        assert process.status == 0 and b"Traceback" not in process.raw


@pytest.mark.fault(33)
def test_a_size_that_came_back_is_painted_anew(env: dict[str, str | None], running: Path) -> None:
    with TerminalProcess(live(running), env=env) as process:
        process.wait_for("gpt2")
        before = process.still()
        process.blank()
        process.signal(signal.SIGWINCH)
        process.wait_for(lambda: process.text == before)


@pytest.mark.fault(3)
def test_output_that_fails_ends_the_screen_without_a_storm(
    env: dict[str, str | None], running: Path, tmp_path: Path
) -> None:
    errors = tmp_path / "errors"
    code = f"import os; os.dup2(os.open({str(errors)!r}, os.O_CREAT | os.O_WRONLY), 2)\n"
    with TerminalProcess(code + live(running), env=env) as process:
        process.wait_for("gpt2")
        process.hang_up()
        process.wait_end()
        assert errors.read_bytes().count(b"\n") <= 1


@pytest.mark.fault(34)
def test_no_colour_means_none(env: dict[str, str | None], running: Path) -> None:
    with TerminalProcess(live(running), env={**env, "NO_COLOR": "1"}) as process:
        process.wait_for("gpt2")
        process.read_for(0.3)
        assert process.colours() == set()
        process.type("?")
        process.wait_for("keys close")
        assert process.colours() == set()
        process.type("x")
        process.wait_for(lambda: "keys close" not in process.text)
        process.read_for(0.5)
        process.type("m")
        process.wait_for("marker set")
        assert process.colours() == set()


@pytest.mark.fault(34)
def test_ascii_where_the_locale_is_c(env: dict[str, str | None], running: Path) -> None:
    with TerminalProcess(live(running), env={**env, "LANG": "C"}) as process:
        process.wait_for("gpt2")
        process.type("?")
        process.wait_for("keys close")
        assert process.text.isascii(), process.text


@pytest.mark.fault(18)
@pytest.mark.fault(19)
def test_hostile_names_are_shown_as_they_are(env: dict[str, str | None], tmp_path: Path) -> None:
    name = "m[/]\x1b]52;c;aGk=\x07[@click=app.bell]\x9b31m\u202e[b"
    folder = write(
        tmp_path / "bad",
        session(model=name, note="[/] [type=x, v={'a[0]'}]", error="\x1b]8;;x\x1b\\ [b"),
    )
    code = (
        "from pathlib import Path; from txtop.ui import launch;"
        f" launch.run_replay(Path({str(folder)!r}))"
    )
    with TerminalProcess(code, env=env, size=(120, 40)) as process:
        process.wait_for("]\\x1b]52;c")
        process.type("\x1b[F")
        process.read_for(0.8)
        process.type("t5sq")
        process.wait_end()
        for bad in (b"\x1b]52", b"\x1b]8;", b"\xc2\x9b", "\u202e".encode()):
            assert bad not in process.raw
        assert process.status == 0


def test_the_demo_plays_a_recording_and_knows_no_model(env: dict[str, str | None]) -> None:
    code = (
        "import sys; from txtop.cli.app import run_command_line as run;"
        " print('left', run(['--demo']),"
        " [name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    with TerminalProcess(code, env=env, size=(120, 40), cold=True) as process:
        process.wait_for("replay")
        process.wait_for("SmolLM2")
        process.wait_for("take turns")
        process.wait_for("space pause")
        process.type("q")
        process.wait_end()
        assert b"left 0 []" in process.raw
