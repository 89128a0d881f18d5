"""The table of every command: bindings, help and palette are read from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from textual.binding import BindingType

ScreenKind = Literal["home", "matrix", "live", "replay", "fleet"]
ALL_SCREENS: tuple[ScreenKind, ...] = ("home", "matrix", "live", "replay", "fleet")
SESSION_SCREENS: tuple[ScreenKind, ...] = ("live", "replay")
KeyHints = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class KeyCommand:
    """One command: `keys` as Textual names them, `sign` as a person reads them.

    `action` is a method of the screens of `where`; with the prefix `app.`, of the application. One
    that `changes` a run, files or the machine is refused on a screen that is for viewing alone.
    """

    keys: str
    sign: str
    title: str
    action: str
    where: tuple[ScreenKind, ...] = ALL_SCREENS
    changes: bool = False


COMMAND_GROUPS: tuple[tuple[str, tuple[KeyCommand, ...]], ...] = (
    (
        "this run",
        (
            KeyCommand(
                "space", "space", "pause or resume the run", "pause_run", ("live",), changes=True
            ),
            KeyCommand(
                "n", "n", "skip this cell; end an A/B now", "skip_cell", ("live",), changes=True
            ),
            KeyCommand(
                "m", "m", "set a marker in the recording", "marker", ("live",), changes=True
            ),
        ),
    ),
    (
        "playback",
        (
            KeyCommand("space", "space", "play or pause", "play", ("replay",)),
            KeyCommand("left", "←", "previous iteration", "step(-1)", ("replay",)),
            KeyCommand("right", "→", "next iteration", "step(1)", ("replay",)),
            KeyCommand("shift+left", "⇧←", "previous cell", "step_cell(-1)", ("replay",)),
            KeyCommand("shift+right", "⇧→", "next cell", "step_cell(1)", ("replay",)),
            KeyCommand("left_square_bracket", "[", "half speed", "speed(-1)", ("replay",)),
            KeyCommand("right_square_bracket", "]", "double speed", "speed(1)", ("replay",)),
            KeyCommand("ctrl+left", "ctrl+←", "previous marker", "step_marker(-1)", ("replay",)),
            KeyCommand("ctrl+right", "ctrl+→", "next marker", "step_marker(1)", ("replay",)),
            KeyCommand("minus", "-", "play backwards", "reverse", ("replay",)),
            KeyCommand("i", "i", "skip or show idle time", "idle", ("replay",)),
            KeyCommand("g", "g", "go to a time, a cell or a marker", "go_to", ("replay",)),
            KeyCommand("home", "home", "to the start", "go_start", ("replay",)),
            KeyCommand("end", "end", "to the end", "go_end", ("replay",)),
        ),
    ),
    (
        "sessions",
        (
            KeyCommand("r", "r", "start the quick preset", "run_quick", ("home",), changes=True),
            KeyCommand(
                "a", "a", "a live A/B of two precisions", "choose_ab", ("home",), changes=True
            ),
            KeyCommand(
                "d", "d", "race the configurations to deploy", "tune", ("home",), changes=True
            ),
            KeyCommand(
                "b", "b", "presets and custom runs", "build_matrix", ("home",), changes=True
            ),
            KeyCommand("enter", "enter", "open the selected session", "open", ("home",)),
            KeyCommand("R", "R", "finish the selected session", "finish", ("home",), changes=True),
            KeyCommand("space", "space", "mark the selected session", "mark", ("home",)),
            KeyCommand("c", "c", "compare the two marked sessions", "compare", ("home",)),
            KeyCommand("slash", "/", "search sessions", "filter_sessions", ("home",)),
        ),
    ),
    (
        "fleet",
        (
            KeyCommand(
                "enter", "enter", "open the place under the cursor", "open_place", ("fleet",)
            ),
        ),
    ),
    (
        "choices",
        (
            KeyCommand("space", "space", "select or deselect", "choose", ("matrix",)),
            KeyCommand("plus", "+", "type another value; digits do too", "type_value", ("matrix",)),
            KeyCommand(
                "enter", "enter", "start the run", "start_matrix", ("matrix",), changes=True
            ),
            KeyCommand("y", "y", "copy the command line", "copy_command", ("matrix",)),
        ),
    ),
    (
        "panels",
        (
            KeyCommand("1", "1", "cells", "panel(1)", SESSION_SCREENS),
            KeyCommand("2", "2", "back to the A/B", "panel(2)", SESSION_SCREENS),
            KeyCommand("3", "3", "trade-offs", "panel(3)", SESSION_SCREENS),
            KeyCommand("v", "v", "the next plot of the trade-offs", "next_plot", SESSION_SCREENS),
            KeyCommand("4", "4", "this machine", "panel(4)", SESSION_SCREENS),
            KeyCommand("5", "5", "log", "panel(5)", SESSION_SCREENS),
            KeyCommand("p", "p", "the next pair of an A/B", "next_pair", SESSION_SCREENS),
            KeyCommand("6", "6", "why: where the time goes", "panel(6)", SESSION_SCREENS),
        ),
    ),
    (
        "lists",
        (
            KeyCommand(
                "enter", "enter", "open the cell under the cursor", "open_cell", SESSION_SCREENS
            ),
            KeyCommand(
                "x",
                "x",
                "explain the cell: why it is slow",
                "explain",
                SESSION_SCREENS,
                changes=True,
            ),
            KeyCommand(
                "d",
                "d",
                "save the trace of an explanation",
                "save_trace",
                SESSION_SCREENS,
                changes=True,
            ),
            KeyCommand("tab", "tab", "in a cell: the next one", "next_cell(1)", SESSION_SCREENS),
            KeyCommand(
                "shift+tab", "⇧tab", "in a cell: the one before", "next_cell(-1)", SESSION_SCREENS
            ),
            KeyCommand("slash", "/", "search cells or log", "filter", SESSION_SCREENS),
            KeyCommand("o", "o", "sort by the next column", "order", SESSION_SCREENS),
            KeyCommand(
                "w", "w", "log: all, warnings and errors, errors", "severity", SESSION_SCREENS
            ),
            KeyCommand("y", "y", "copy row, visible log, or summary", "copy", SESSION_SCREENS),
            KeyCommand(
                "e", "e", "write the report (HTML)", "write_report", SESSION_SCREENS, changes=True
            ),
        ),
    ),
    (
        "txtop",
        (
            KeyCommand("t", "t", "next theme", "app.next_theme"),
            KeyCommand("T", "T", "choose a theme", "app.choose_theme"),
            KeyCommand("s", "s", "save a screenshot (SVG)", "app.save_screenshot", changes=True),
            KeyCommand("ctrl+p", "ctrl+p", "command palette", "app.commands"),
            KeyCommand("question_mark", "?", "help: every key", "app.help"),
            KeyCommand("f1", "F1", "glossary: what the words mean", "app.glossary"),
            KeyCommand("escape", "esc", "back", "back"),
            KeyCommand("ctrl+z", "ctrl+z", "suspend", "app.suspend_process", changes=True),
            KeyCommand("q,ctrl+q", "q", "quit", "app.leave"),
            KeyCommand(
                "ctrl+c",
                "ctrl+c",
                "stop this run; again: quit now",
                "app.interrupt",
                ("live", "fleet"),
            ),
            KeyCommand(
                "ctrl+c", "ctrl+c", "quit now", "app.interrupt", ("home", "matrix", "replay")
            ),
        ),
    ),
)
COMMANDS = tuple(command for _, group in COMMAND_GROUPS for command in group)
CHANGING_ACTIONS = frozenset(c.action.removeprefix("app.") for c in COMMANDS if c.changes)

# The word of the footer behind the keys of the panels, and the word of each.
PANELS = "panels"
PANEL_WORDS = {"1": "cells", "2": "A/B", "3": "trade-offs", "4": "machine", "5": "log", "6": "why"}
PANEL_KEYS: dict[str, tuple[tuple[str, str], ...]] = {
    "cells": (("↑ ↓", "move"), ("enter", "open"), ("/", "find"), ("o", "order"), ("y", "copy")),
    "log": (("↑ ↓", "scroll"), ("/", "find"), ("w", "severity"), ("y", "copy")),
    "tradeoffs": (("↑ ↓", "select"), ("enter", "open"), ("v", "next plot"), ("y", "copy")),
    "machine": (),
    "why": (("↑ ↓", "move"), ("enter", "open or close"), ("d", "save trace")),
}


def build_footer_keys(
    where: ScreenKind,
    *,
    paused: bool = False,
    over: bool = False,
    ended: bool = False,
    back: str = "",
    resumable: bool = False,
    marked: int = 0,
    typing: bool = False,
    arms: int = 0,
    side_by_side: bool = False,
    cell: Literal["", "shut", "open"] = "",
    panel: str = "",
) -> tuple[tuple[str, str], ...]:
    """Build the last row: keys that work now, most needed first, panels, help and quit last.

    `ended` tells that the end of the recording is on the screen, `arms` the number of arms of an
    A/B, `back` names the screen that lies under this one, `cell` tells if the detail of one could
    be opened or is open, `marked` is the number of marked sessions, `panel` the one that has the
    focus or all the room; `typing` means that keys are text now. Two sessions `side_by_side` have
    tables of cells and no other panels.
    """
    if typing and panel:
        return ("enter", "keep filter"), ("esc", "clear filter")
    if typing:
        return ("enter", "apply"), ("esc", "cancel")
    hints: list[tuple[str, str]] = [] if side_by_side else list(PANEL_KEYS.get(panel, ()))
    if panel in PANEL_KEYS:
        hints.append(("esc", "back"))
    results = [("y", "copy"), ("e", "report")] if (ended or over) and not panel else []
    if where == "matrix":
        hints = [("space", "choose"), ("+", "type"), ("enter", "start"), ("y", "copy")]
        hints += [("esc", "home"), ("← → ↑ ↓", "move"), ("pgdn", "cells")]
    elif where == "home":
        hints = [("c", "compare")] if marked == 2 else []
        hints += [("r", "quick preset"), ("a", "A/B"), ("b", "matrix"), ("d", "tune")]
        hints += [("enter", "open")]
        hints += [("R", "finish")] if resumable else []
        hints += [("space", "mark"), ("/", "find"), ("↑ ↓", "select")]
    elif where == "fleet":
        hints = [("enter", "open"), ("↑ ↓", "select"), ("tab", "cells or places")]
    elif where == "replay":
        hints += [("space", "play" if paused else "pause"), *results]
        hints += [("← →", "step"), ("⇧← ⇧→", "cell")]
        hints += [("[ ]", "speed"), ("g", "go to"), ("home end", "")]
    elif not over:
        hints += [("space", "resume" if paused else "pause")]
        hints += [("m", "mark"), ("n", "end now")] if arms else [("n", "skip"), ("m", "mark")]
    else:
        hints += results
    if cell == "open":
        hints = [("esc", "back"), ("tab", "next cell"), ("↑ ↓", "scroll"), *hints]
    elif cell == "shut" and not panel:
        hints.insert(2, ("enter", "open cell"))
    if back and cell != "open" and not panel:
        hints.append(("esc", back))
    if arms > 2:
        hints.append(("p", "next pair"))
    if side_by_side:
        hints += [("t", "theme"), ("1", "cells")]
    elif where in SESSION_SCREENS:
        hints += [("t", "theme"), ("1 2 3 4 5 6" if arms else "1 3 4 5 6", PANELS)]
    else:
        hints.append(("t", "theme"))
    return (*hints, ("?", "help"), ("q", "quit"))


def resolve_key(sign: str) -> str:
    """Return the key that a sign of the footer stands for, as Textual names it; empty for none."""
    named = {command.sign: command.keys.split(",")[0] for command in COMMANDS}
    return {**named, "↑": "up", "↓": "down", "pgdn": "pagedown"}.get(sign, "")


def list_commands(where: ScreenKind) -> list[KeyCommand]:
    """Return the commands of a screen of this kind, in the order of the help."""
    return [c for c in COMMANDS if where in c.where]


def list_groups(where: ScreenKind) -> list[tuple[str, list[KeyCommand]]]:
    """Return the commands of a screen of this kind by groups, without groups that it has not."""
    groups = [(name, [c for c in group if where in c.where]) for name, group in COMMAND_GROUPS]
    return [(name, commands) for name, commands in groups if commands]


def build_bindings(where: ScreenKind | None) -> list[BindingType]:
    """Build the bindings of a screen of this kind, or without one those of the application.

    Interrupting has priority: it must work whatever has the focus, and over a dialog. The keys of
    `next_cell` are left to the detail of a cell, which has the focus while it is open: elsewhere
    `tab` moves the focus.
    """
    # Imported late: the first picture needs the keys, and is there before Textual is loaded.
    from textual.binding import Binding

    commands = {
        (key, c.action): c
        for c in COMMANDS
        for key in c.keys.split(",")
        if _is_of_app(c) == (where is None) and (where is None or where in c.where)
        if not c.action.startswith("next_cell(")
    }
    return [
        Binding(key, action, c.title, show=False, priority=action == "app.interrupt")
        for (key, action), c in commands.items()
    ]


# Nobody looks for a command by them.
FILLERS = frozenset(("a", "an", "in", "of", "the", "to"))


def _is_of_app(command: KeyCommand) -> bool:
    return command.action.startswith("app.")


def find_commands(where: ScreenKind, typed: str) -> list[KeyCommand]:
    """Return the commands whose title has the typed letters in that order, best match first."""
    query = typed.strip().lower()
    matches = [c for c in list_commands(where) if _rank(c, query) < 3]
    return sorted(matches, key=lambda c: _rank(c, query))


def _rank(command: KeyCommand, query: str) -> int:
    title = command.title.lower()
    parts = [part for part in title.split() if part not in FILLERS]
    if not query or " ".join(parts).startswith(query):
        return 0
    if any(part.startswith(query) for part in parts) or (" " in query and query in title):
        return 1
    letters = iter(title)
    return 2 if all(letter in letters for letter in query) else 3
