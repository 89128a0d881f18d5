"""Every command of the screen in one table: bindings, help and palette are read from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from textual.binding import Binding

ScreenKind = Literal["home", "matrix", "live", "replay"]
ALL_SCREENS: tuple[ScreenKind, ...] = ("home", "matrix", "live", "replay")
SESSION_SCREENS: tuple[ScreenKind, ...] = ("live", "replay")


@dataclass(frozen=True)
class KeyCommand:
    """`keys` as Textual names them, `shown` as a person reads them."""

    keys: str
    shown: str
    title: str
    action: str
    where: tuple[ScreenKind, ...] = ALL_SCREENS


COMMANDS: tuple[KeyCommand, ...] = (
    KeyCommand("space", "space", "pause or resume the run", "pause_run", ("live",)),
    KeyCommand("n", "n", "skip this cell; end an A/B now", "skip_cell", ("live",)),
    KeyCommand("m", "m", "set a marker in the recording", "marker", ("live",)),
    KeyCommand("space", "space", "play or pause", "play", ("replay",)),
    KeyCommand("left", "←", "one iteration back", "step(-1)", ("replay",)),
    KeyCommand("right", "→", "one iteration on", "step(1)", ("replay",)),
    KeyCommand("shift+left", "⇧←", "to the cell before", "step_cell(-1)", ("replay",)),
    KeyCommand("shift+right", "⇧→", "to the next cell", "step_cell(1)", ("replay",)),
    KeyCommand("left_square_bracket", "[", "half the speed", "speed(-1)", ("replay",)),
    KeyCommand("right_square_bracket", "]", "double the speed", "speed(1)", ("replay",)),
    KeyCommand("ctrl+left", "ctrl+←", "to the marker before", "step_marker(-1)", ("replay",)),
    KeyCommand("ctrl+right", "ctrl+→", "to the next marker", "step_marker(1)", ("replay",)),
    KeyCommand("r", "r", "play the other way", "reverse", ("replay",)),
    KeyCommand("i", "i", "cross idle stretches quickly, or in full", "idle", ("replay",)),
    KeyCommand("g", "g", "go to a time, a cell or a marker", "go_to", ("replay",)),
    KeyCommand("home", "home", "to the start", "go_start", ("replay",)),
    KeyCommand("end", "end", "to the end", "go_end", ("replay",)),
    KeyCommand("r", "r", "start the quick preset", "run_quick", ("home",)),
    KeyCommand("a", "a", "a live A/B of two precisions", "choose_ab", ("home",)),
    KeyCommand("b", "b", "a preset, or a matrix of one's own", "build_matrix", ("home",)),
    KeyCommand("enter", "enter", "open the selected session", "open", ("home",)),
    KeyCommand("R", "R", "finish the selected session", "finish", ("home",)),
    KeyCommand("enter", "enter", "open the cell under the cursor", "open_cell", SESSION_SCREENS),
    KeyCommand("tab", "tab", "in a cell: the next one", "next_cell(1)", SESSION_SCREENS),
    KeyCommand("shift+tab", "⇧tab", "in a cell: the one before", "next_cell(-1)", SESSION_SCREENS),
    KeyCommand("space", "space", "mark the selected session", "mark", ("home",)),
    KeyCommand("c", "c", "compare the two marked sessions", "compare", ("home",)),
    KeyCommand("slash", "/", "find sessions by their words", "filter_sessions", ("home",)),
    KeyCommand("space", "space", "choose the value, or no longer", "choose", ("matrix",)),
    KeyCommand("plus", "+", "type another value; digits do too", "type_value", ("matrix",)),
    KeyCommand("enter", "enter", "start the run", "start_matrix", ("matrix",)),
    KeyCommand("y", "y", "copy the command line", "copy_command", ("matrix",)),
    KeyCommand("1", "1", "cells", "panel(1)", SESSION_SCREENS),
    KeyCommand("2", "2", "back to the A/B", "panel(2)", SESSION_SCREENS),
    KeyCommand("3", "3", "trade-offs", "panel(3)", SESSION_SCREENS),
    KeyCommand("v", "v", "the next plot of the trade-offs", "next_plot", SESSION_SCREENS),
    KeyCommand("4", "4", "this machine", "panel(4)", SESSION_SCREENS),
    KeyCommand("5", "5", "log", "panel(5)", SESSION_SCREENS),
    KeyCommand("a", "a", "the next arm of an A/B", "next_arm", SESSION_SCREENS),
    KeyCommand("slash", "/", "look for words in the cells or the log", "filter", SESSION_SCREENS),
    KeyCommand("o", "o", "order the cells by the next column", "order", SESSION_SCREENS),
    KeyCommand("w", "w", "log: all, warnings and errors, errors", "severity", SESSION_SCREENS),
    KeyCommand("y", "y", "copy the row, the log in sight, or the summary", "copy", SESSION_SCREENS),
    KeyCommand("t", "t", "next theme", "next_theme"),
    KeyCommand("T", "T", "choose a theme", "choose_theme"),
    KeyCommand("s", "s", "picture of the screen (SVG)", "picture"),
    KeyCommand("ctrl+p", "ctrl+p", "every command", "commands"),
    KeyCommand("question_mark,f1", "?", "help", "help"),
    KeyCommand("escape", "esc", "back", "back"),
    KeyCommand("ctrl+z", "ctrl+z", "suspend", "suspend_process"),
    KeyCommand("q,ctrl+q", "q", "quit", "leave"),
    KeyCommand("ctrl+c", "ctrl+c", "stop an own run; twice: leave at once", "interrupt", ("live",)),
    KeyCommand("ctrl+c", "ctrl+c", "leave at once", "interrupt", ("home", "matrix", "replay")),
)


PANEL_KEYS: dict[str, tuple[tuple[str, str], ...]] = {
    "cells": (("↑ ↓", "move"), ("enter", "open"), ("/", "find"), ("o", "order"), ("y", "copy")),
    "log": (("↑ ↓", "scroll"), ("/", "find"), ("w", "severity"), ("y", "copy")),
    "tradeoffs": (("↑ ↓", "select"), ("enter", "open"), ("v", "next plot"), ("y", "copy")),
    "machine": (),
}


def build_footer_keys(
    where: ScreenKind,
    *,
    paused: bool = False,
    over: bool = False,
    back: bool = False,
    resumable: bool = False,
    marked: int = 0,
    typing: bool = False,
    arms: int = 0,
    cell: Literal["", "shut", "open"] = "",
    panel: str = "",
) -> tuple[tuple[str, str], ...]:
    """What the last row says: what is possible now, most needed first, help and quit last. `arms`
    is how many an A/B has, `cell` whether one could be opened or is, `marked` how many sessions
    are, `panel` the one that has the focus or all the room, `typing` that keys are text now."""
    if typing and panel:
        return ("enter", "keep these words"), ("esc", "show all again")
    if typing:
        return ("enter", "take it"), ("esc", "leave it")
    shown: list[tuple[str, str]] = list(PANEL_KEYS.get(panel, ()))
    if panel in PANEL_KEYS:
        shown.append(("esc", "back"))
    if where == "matrix":
        shown = [("space", "choose"), ("+", "type"), ("enter", "start"), ("y", "copy")]
        shown += [("esc", "home"), ("← → ↑ ↓", "move"), ("pgdn", "cells")]
    elif where == "home":
        shown = [("c", "compare")] if marked == 2 else []
        shown += [("r", "quick preset"), ("a", "A/B"), ("b", "matrix"), ("enter", "open")]
        shown += [("R", "finish")] if resumable else []
        shown += [("space", "mark"), ("/", "find"), ("↑ ↓", "select")]
    elif where == "replay":
        shown += [("space", "play" if paused else "pause"), ("← →", "step"), ("⇧← ⇧→", "cell")]
        shown += [("[ ]", "speed"), ("g", "go to"), ("home end", "")]
    elif not over:
        shown += [("space", "resume" if paused else "pause")]
        shown += [("m", "mark"), ("n", "end now")] if arms else [("n", "skip"), ("m", "mark")]
    if cell == "open":
        shown = [("esc", "back"), ("tab", "next cell"), ("↑ ↓", "scroll"), *shown]
    elif cell == "shut" and not panel:
        shown.insert(2, ("enter", "open cell"))
    if back and cell != "open" and not panel:
        shown.append(("esc", "home"))
    if arms > 2:
        shown.append(("a", "next arm"))
    if where in SESSION_SCREENS:
        shown.append(("1 2 3 4 5" if arms else "1 3 4 5", "panels"))
    return (*shown, ("t", "theme"), ("?", "help"), ("q", "quit"))


def resolve_key(sign: str) -> str:
    """The key that a sign of the footer stands for, as Textual names it; empty for what is none."""
    named = {command.shown: command.keys.split(",")[0] for command in COMMANDS}
    return {**named, "↑": "up", "↓": "down", "pgdn": "pagedown"}.get(sign, "")


def list_commands(where: ScreenKind) -> list[KeyCommand]:
    """What is possible on a screen of this kind, in the order of the help."""
    return [c for c in COMMANDS if where in c.where]


def build_bindings() -> list[Binding]:
    """All as key bindings; interrupting must work whatever has the focus."""
    return [
        Binding(key, f"app.{c.action}", c.title, show=False, priority=c.action == "interrupt")
        for c in COMMANDS
        for key in c.keys.split(",")
    ]


def is_allowed(action: str, where: ScreenKind) -> bool:
    """Whether the action of that name (without its arguments) is possible there."""
    places = [c.where for c in COMMANDS if c.action.partition("(")[0] == action]
    return not places or any(where in place for place in places)


def find_commands(where: ScreenKind, typed: str) -> list[KeyCommand]:
    """The commands whose title or key holds what was typed: first those that start so."""
    wanted = typed.strip().lower()
    found = [c for c in list_commands(where) if _rank(c, wanted) < 3]
    return sorted(found, key=lambda c: _rank(c, wanted))


def _rank(command: KeyCommand, wanted: str) -> int:
    title = command.title.lower()
    if not wanted or title.startswith(wanted):
        return 0
    if any(word.startswith(wanted) for word in title.split()):
        return 1
    letters = iter(title)
    return 2 if all(letter in letters for letter in wanted) else 3
