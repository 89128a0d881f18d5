"""What opens over a screen and goes again: help, the question at quitting, a time, a choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen

from txtop.formatting import parse_time
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame
from txtop.ui.drawing.glyphs import adapt_text, get_glyphs
from txtop.ui.drawing.line_widget import LineWidget
from txtop.ui.drawing.spans import Row, fit
from txtop.ui.keymap import ScreenKind, list_commands
from txtop.ui.typed import LineInput

T = TypeVar("T")
MAX_LISTED = 14
KEYS_WIDTH = 10
KEY_ROLE, TEXT_ROLE, BOLD_ROLE, MUTED_ROLE = "accent-a", "text", "bold", "muted"


class DialogPanel(LineWidget):
    """The frame of a dialog; the dialog says what stands in it."""

    ground = "panel"
    DEFAULT_CSS = "DialogPanel { background: $panel; }"

    def build(self, width: int, height: int) -> list[Row]:
        dialog = self.screen
        assert isinstance(dialog, Dialog)
        body = dialog.rows(width - 4)
        said: Row = [(dialog.hint, MUTED_ROLE)] if dialog.hint else []
        return draw_frame(dialog.heading, said, body, Area(width, height, get_glyphs(), boxed=True))


class Dialog(ModalScreen[T]):
    """A small framed panel in the middle; the screen behind it waits. `esc` closes it."""

    DEFAULT_CSS = """
    Dialog { align: center middle; background: transparent; }
    Dialog > DialogPanel { width: 40; height: 10; }
    """
    heading = ""
    hint = ""
    _answered = False

    def compose(self) -> ComposeResult:
        yield DialogPanel()

    def on_mount(self) -> None:
        self.fit()

    def on_resize(self) -> None:
        self.fit()

    def rows(self, width: int) -> list[Row]:
        """What stands inside the frame, `width` columns wide."""
        raise NotImplementedError

    def wanted(self) -> tuple[int, int]:
        """Columns and rows that the inside would like."""
        raise NotImplementedError

    def fit(self) -> None:
        """Takes the size it wants, or what the terminal has."""
        panel = self.query_one(DialogPanel)
        width, height = self.wanted()
        panel.styles.width = max(1, min(width + 4, self.app.size.width))
        panel.styles.height = max(1, min(height + 2, self.app.size.height))
        panel.tick()

    def show(self) -> None:
        self.query_one(DialogPanel).tick()

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        self.pressed(event)

    def answer(self, value: T | None) -> None:
        """Closes with this; keys that were typed ahead do not close the screen behind it too."""
        if not self._answered:
            self._answered = True
            self.dismiss(value)

    def pressed(self, event: events.Key) -> None:
        """A key; whatever is not known closes nothing."""
        if event.key in ("escape", "q"):
            self.answer(None)


class HelpDialog(Dialog[None]):
    """Every key of the screen behind it; what does not fit is scrolled to."""

    heading = "help"

    def __init__(self, where: ScreenKind) -> None:
        super().__init__()
        self._commands = list_commands(where)
        self._first = 0

    @property
    def _room(self) -> int:
        return max(1, self.query_one(DialogPanel).size.height - 2)

    def wanted(self) -> tuple[int, int]:
        return KEYS_WIDTH + max(len(item.title) for item in self._commands), len(self._commands)

    def rows(self, width: int) -> list[Row]:
        more = self._room < len(self._commands)
        self.hint = adapt_text("↑ ↓ more, other keys close" if more else "any key closes")
        shown = self._commands[self._first : self._first + self._room]
        return [
            [(f"{adapt_text(item.sign):<{KEYS_WIDTH}}", KEY_ROLE), (item.title, TEXT_ROLE)]
            for item in shown
        ]

    def _move(self, by: int) -> None:
        most = max(0, len(self._commands) - self._room)
        self._first = max(0, min(self._first + by, most))
        self.show()

    def pressed(self, event: events.Key) -> None:
        page = self._room
        moves = {"up": -1, "down": 1, "pageup": -page, "pagedown": page}
        if event.key in moves and page < len(self._commands):
            self._move(moves[event.key])
        else:
            self.answer(None)

    def on_mouse_scroll_up(self) -> None:
        self._move(-1)

    def on_mouse_scroll_down(self) -> None:
        self._move(1)

    def on_click(self) -> None:
        self.answer(None)


class QuitDialog(Dialog[str]):
    """`stop`, `leave`, or nothing: go on as before."""

    heading = "stop the run, or leave it running?"
    _answers: ClassVar[dict[str, str]] = {"s": "stop", "l": "leave"}

    def wanted(self) -> tuple[int, int]:
        return 44, 3

    def rows(self, width: int) -> list[Row]:
        return [
            [("s    ", KEY_ROLE), ("stop after the current iteration", TEXT_ROLE)],
            [
                ("l    ", KEY_ROLE),
                ("leave it running; ", TEXT_ROLE),
                ("txtop", BOLD_ROLE),
                (" finds it", TEXT_ROLE),
            ],
            [("esc  ", KEY_ROLE), ("go back", MUTED_ROLE)],
        ]

    def pressed(self, event: events.Key) -> None:
        if event.key in self._answers:
            self.answer(self._answers[event.key])
        else:
            super().pressed(event)


class GoToDialog(Dialog[int]):
    """Asks for a place in the recording; answers in ns. `find` knows cells and markers."""

    heading = "go to"

    def __init__(self, duration: str, find: Callable[[str], int | None]) -> None:
        super().__init__()
        self._duration = duration
        self._find = find
        self._typed = LineInput()
        self._wrong = False

    def wanted(self) -> tuple[int, int]:
        return 46, 3

    def rows(self, width: int) -> list[Row]:
        said = "no such time, cell or marker" if self._wrong else ""
        return [
            [],
            self._typed.row("> ", "1:23, bf16 batch 8, a marker"),
            [(f"  {said or f'of {self._duration}'}", "warn" if self._wrong else MUTED_ROLE)],
        ]

    def pressed(self, event: events.Key) -> None:
        if event.key == "escape":
            self.answer(None)
        elif event.key == "enter":
            at_ns = parse_time(self._typed.text)
            at_ns = self._find(self._typed.text) if at_ns is None else at_ns
            self._wrong = at_ns is None
            if at_ns is not None:
                self.answer(at_ns)
                return
        elif self._typed.take(event):
            self._wrong = False
        self.show()


@dataclass(frozen=True)
class Choice:
    """One line of a choice: what is answered, what is read, and a hint at the right."""

    answer: str
    text: str
    hint: str = ""


class ChoiceDialog(Dialog[str]):
    """A list to choose from, narrowed by typing. `find` answers what matches the typed text."""

    def __init__(
        self,
        heading: str,
        find: Callable[[str], Sequence[Choice]],
        *,
        selected: str = "",
        on_move: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        self.heading = heading
        self._find = find
        self._on_move = on_move
        self._typed = LineInput()
        self._all = list(find(""))
        self._shown = self._all
        answers = [c.answer for c in self._all]
        self._at = answers.index(selected) if selected in answers else 0

    def wanted(self) -> tuple[int, int]:
        return 48, min(len(self._all), MAX_LISTED) + 2

    def _first(self, room: int) -> int:
        """The first line on show, so that the selected one is always there."""
        return max(0, min(self._at - room // 2, len(self._shown) - room))

    def rows(self, width: int) -> list[Row]:
        room = max(1, self.query_one(DialogPanel).size.height - 4)
        first = self._first(room)
        found: list[Row] = [self._typed.row("> ", "type to find"), []]
        for i, choice in enumerate(self._shown[first : first + room], start=first):
            mark = adapt_text("▸") if i == self._at else " "
            hint = adapt_text(choice.hint)
            role = BOLD_ROLE if i == self._at else TEXT_ROLE
            text = fit(choice.text, width - 3 - len(hint))
            found.append([(f"{mark} ", KEY_ROLE), (text, role), (f" {hint}", MUTED_ROLE)])
        if not self._shown:
            found.append([("  nothing matches", MUTED_ROLE)])
        return found

    def _move(self, by: int) -> None:
        self._at = min(max(0, self._at + by), max(0, len(self._shown) - 1))
        if self._on_move and self._shown:
            self._on_move(self._shown[self._at].answer)
        self.show()

    def pressed(self, event: events.Key) -> None:
        match event.key:
            case "escape":
                self.answer(None)
            case "enter":
                self.answer(self._shown[self._at].answer if self._shown else None)
            case "up" | "shift+tab" | "ctrl+p":
                self._move(-1)
            case "down" | "tab" | "ctrl+n":
                self._move(1)
            case "pageup":
                self._move(-10)
            case "pagedown":
                self._move(10)
            case _:
                if self._typed.take(event):
                    self._shown = list(self._find(self._typed.text))
                    self._at = 0
                    self._move(0)

    def on_mouse_scroll_up(self) -> None:
        self._move(-1)

    def on_mouse_scroll_down(self) -> None:
        self._move(1)

    def on_click(self, event: events.Click) -> None:
        panel = self.query_one(DialogPanel)
        if not panel.region.contains(event.screen_x, event.screen_y):
            self.answer(None)
            return
        line = event.screen_y - panel.region.y - 3
        at = self._first(max(1, panel.size.height - 4)) + line
        if line >= 0 and at < len(self._shown):
            self.answer(self._shown[at].answer)
