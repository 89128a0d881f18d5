"""Text typed and pasted into every input of the screen, in a real terminal with bracketed paste."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.screen_program import HOME, live, sent_actions
from support.terminal_process import TerminalProcess
from support.ui_sessions import session, write

LEFT, BACKSPACE = "\x1b[D", "\x7f"
# Between the keys of a person.
PAUSE_S = 0.2
HOSTILE = "a\x1bq\x1b]52;c;aGk=\x07\u202e\x9bb\r\nq"


@dataclass(frozen=True)
class Place:
    """An input: the screen it is on, the keys that open it, and the label before its text."""

    screen: str
    keys: tuple[str, ...]
    before: str


INPUTS = {
    "home-filter": Place("home", ("/",), "/ "),
    "matrix-value": Place("home", ("b", "jjjj", "+"), "batch      > "),
    "matrix-name": Place("home", ("b", "j", "+"), "models     > "),
    "live-cells-filter": Place("live", ("/",), "cells  /"),
    "live-log-filter": Place("live", ("5", "/"), "log  /"),
    "replay-cells-filter": Place("replay", ("1", "/"), "cells  /"),
    "replay-log-filter": Place("replay", ("5", "/"), "log  /"),
    "go-to": Place("replay", ("g",), "> "),
    "commands": Place("live", ("\x10",), "> "),
    "theme": Place("live", ("T",), "> "),
}
COPIED = ("home-filter", "live-cells-filter", "matrix-name", "go-to")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def program(screen: str, folder: Path) -> str:
    if screen == "home":
        return HOME
    write(folder, session(cells=3, ended=screen == "replay"))
    if screen == "live":
        return live(folder)
    return (
        "from pathlib import Path; from txtop.ui import launch;"
        f"launch.run_replay(Path({str(folder)!r}))"
    )


def paste(process: TerminalProcess, text: str) -> None:
    process.type(f"\x1b[200~{text}\x1b[201~")


def opened(process: TerminalProcess, place: Place) -> None:
    """Press the keys of an input one by one, as a person does, until it is open."""
    process.wait_for("quick preset" if place.screen == "home" else "q quit")
    for key in place.keys:
        process.read_for(PAUSE_S)
        process.type(key)
        # What is typed before the builder has opened is for the screen below.
        if key == "b":
            process.wait_for("what to measure")
    process.wait_for(place.before)
    process.read_for(PAUSE_S)


def cleared(process: TerminalProcess, place: Place, text: str) -> None:
    """Delete the text of an input from its end."""
    process.type("\x1b[F" + BACKSPACE * len(text))
    process.wait_for(lambda: f"{place.before}{text}" not in process.text)


# One process for an input: the start of each costs more than what is typed there.
@pytest.mark.fault(18)
@pytest.mark.fault(19)
@pytest.mark.parametrize("name", INPUTS)
def test_pasted_text_arrives_and_what_is_hidden_in_it_is_shown_and_does_nothing(
    env: dict[str, str | None], folder: Path, name: str
) -> None:
    place = INPUTS[name]
    with TerminalProcess(program(place.screen, folder), env=env) as process:
        opened(process, place)
        paste(process, "1:2 pasted")
        process.wait_for(f"{place.before}1:2 pasted")
        # A letter that quits, before the last one.
        process.type(LEFT)
        process.type("q")
        process.wait_for(f"{place.before}1:2 pasteqd")
        paste(process, "A\nB")
        process.wait_for(f"{place.before}1:2 pasteqA Bd")
        # Cutting without a selection leaves the clipboard alone.
        process.type("\x18" + BACKSPACE)
        process.wait_for(f"{place.before}1:2 pasteqA d")
        assert not process.ended() and sent_actions(folder) == []
        assert b"\x1b]52" not in process.raw
        cleared(process, place, "1:2 pasteqA d")
        if name in COPIED:
            copied_in_another_window(process, place)
        process.resize(120, 40)
        process.read_for(0.5)
        start = len(process.raw)
        paste(process, HOSTILE)
        # As far as the narrowest of the inputs shows it: the end, with the cursor behind it.
        process.wait_for("\\x07\\u202e\\x9bb q")
        process.read_for(0.5)
        assert not process.ended() and sent_actions(folder) == []
        for bad in (b"\x1b]52", b"\x07", b"\xc2\x9b", "\u202e".encode()):
            assert bad not in process.raw[start:]
        process.type("\x1b[H")
        process.wait_for(f"{place.before}a\\x1bq\\x1b]52")


def copied_in_another_window(process: TerminalProcess, place: Place) -> None:
    """See that the line is still open after text was copied in another window."""
    paste(process, "one")
    process.wait_for(f"{place.before}one")
    process.type("\x1b[O")
    process.read_for(0.5)
    paste(process, " two")
    process.wait_for(f"{place.before}one two")
    process.type("\x1b[I")
    process.read_for(0.3)
    process.type("q")
    process.wait_for(f"{place.before}one twoq")
    cleared(process, place, "one twoq")


@pytest.mark.fault(19)
@pytest.mark.parametrize("screen", ["home", "live", "replay"])
def test_text_pasted_where_nothing_is_typed_is_no_key(
    env: dict[str, str | None], folder: Path, screen: str
) -> None:
    with TerminalProcess(program(screen, folder), env=env) as process:
        process.wait_for("quick preset" if screen == "home" else "q quit")
        process.read_for(0.5)
        paste(process, "b\x1bq\x1b\rq")
        paste(process, "?\x1b" + "n" * 100)
        process.read_for(1.0)
        assert not process.ended() and sent_actions(folder) == []
        process.type("?")
        process.wait_for("any key closes" if screen == "home" else "other keys close")
        assert b"Traceback" not in process.raw


def test_keys_take_effect_in_the_order_in_which_they_were_typed_ahead(
    env: dict[str, str | None], folder: Path
) -> None:
    with TerminalProcess(program("replay", folder), env=env) as process:
        process.wait_for("q quit")
        process.read_for(0.5)
        process.type(f"/bf{LEFT}q{BACKSPACE}x\x1b[F16{BACKSPACE}7\r")
        process.wait_for("cells  /bxf17 ")
        process.type("/bf16\rog")
        process.wait_for("cells  /bxf17bf16 ")
        process.wait_for("go to")
        # Escape and what follows at once are one key.
        process.type("\x1b")
        process.wait_for(lambda: "go to" not in process.text)
        process.type(f"gz{BACKSPACE}yq\r")
        process.wait_for("> yq")
        process.wait_for("no such time")


def test_a_paste_comes_in_pieces_and_is_cut_where_it_is_too_long(
    env: dict[str, str | None],
) -> None:
    with TerminalProcess(HOME, env=env) as process:
        opened(process, INPUTS["home-filter"])
        for part in ("\x1b[200~first", " \x1b[20", "x\x1b", "[20", "1", "~then"):
            process.type(part)
            process.read_for(0.2)
        process.wait_for("/ first \\x1b[20xthen")
        paste(process, "y" * 100_000)
        process.read_for(1.0)
        process.type("\x1b[H")
        process.wait_for("/ first \\x1b[20xthenyyy")
        process.type("\r")
        process.wait_for("no matching session")
        assert not process.ended()


@pytest.mark.parametrize("size", [(1, 1), (40, 10), (60, 16)])
def test_an_input_survives_any_size(env: dict[str, str | None], size: tuple[int, int]) -> None:
    with TerminalProcess(HOME, env=env) as process:
        opened(process, INPUTS["home-filter"])
        process.resize(*size)
        process.read_for(0.5)
        paste(process, "after all")
        process.read_for(0.5)
        process.resize(80, 24)
        process.wait_for("/ after all")


@pytest.mark.fault(34)
def test_an_input_has_no_colour_and_is_ascii_where_that_is_asked_for(
    env: dict[str, str | None], folder: Path
) -> None:
    plain = {**env, "NO_COLOR": "1", "LANG": "C"}
    with TerminalProcess(program("live", folder), env=plain) as process:
        for name in ("live-cells-filter", "commands", "theme"):
            opened(process, INPUTS[name])
            paste(process, "mänö")
            process.wait_for(f"{INPUTS[name].before}m?n?")
            assert process.colours() == set() and process.text.isascii()
            process.type("\x1b")
            process.wait_for(lambda: "m?n?" not in process.text)


@pytest.mark.fault(2)
def test_bytes_that_are_no_text_and_an_input_that_ends(
    env: dict[str, str | None], tmp_path: Path
) -> None:
    with TerminalProcess(HOME, env=env) as process:
        opened(process, INPUTS["home-filter"])
        paste(process, "x")
        process.wait_for("/ x")
        os.write(process.fd, b"\xff\xfe\xc3")
        process.read_for(0.5)
        process.type("y")
        process.read_for(0.5)
        assert not process.ended() and b"Traceback" not in process.raw
    end = tmp_path / "end"
    os.mkfifo(end)
    ended = (
        "import os, threading; read, write = os.pipe(); os.dup2(read, 0);"
        f"threading.Thread(target=lambda: (open({str(end)!r}).read(), os.close(write))).start()\n"
    )
    with TerminalProcess(ended + HOME, env=env) as process:
        process.wait_for("quick preset")
        end.write_text("")
        process.wait_end()
        assert b"left None" in process.raw and b"Traceback" not in process.raw
