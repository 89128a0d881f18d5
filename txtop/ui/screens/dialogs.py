"""Dialogs that open over a screen: the question at quitting, a time, a choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.visual import VisualType
from textual.widgets import OptionList, Static

from txtop.quantities import parse_position
from txtop.ui.drawing.glyphs import adapt_text, get_glyphs
from txtop.ui.drawing.line_widget import build_text
from txtop.ui.drawing.spans import Row, fit
from txtop.ui.text_input import TextInput

T = TypeVar("T")
# The entries of a list that a small terminal has, and what a large one leaves around a longer one.
MIN_LISTED, ROWS_AROUND_LIST = 14, 16
KEY_ROLE, TEXT_ROLE, BOLD_ROLE, MUTED_ROLE = "accent-a", "text", "bold", "muted"


class Dialog(ModalScreen[T]):
    """A small framed panel in the middle; the screen behind it waits. `esc` closes it."""

    DEFAULT_CSS = """
    Dialog {
        align: center middle; background: transparent;
        & > #frame {
            border: round $role-border; background: $panel; padding: 0 1; overflow: hidden;
            border-title-color: $foreground; border-title-style: bold;
            border-subtitle-color: $role-muted;
        }
        &.-ascii > #frame { border: ascii $role-border; }
        & Static { height: auto; width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
        & VerticalScroll { height: 1fr; scrollbar-size: 0 0; }
        & #line { height: 1; & TextInput { background: $panel; } }
        & #prompt { width: 2; color: $role-accent-a; }
    }
    """
    heading = ""
    hint = ""
    text_input: TextInput | None = None
    _answered = False

    def compose(self) -> ComposeResult:
        self.set_class(get_glyphs().mode == "ascii", "-ascii")
        with Vertical(id="frame"):
            yield from self.compose_body()

    def compose_body(self) -> ComposeResult:
        """Yield the widgets inside the frame."""
        yield Static(id="rows")

    def rows(self, width: int) -> list[Row]:
        """Return the lines inside the frame, `width` columns wide."""
        raise NotImplementedError

    @property
    def preferred_size(self) -> tuple[int, int]:
        """The columns and rows inside the frame that hold everything."""
        raise NotImplementedError

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self.show())
        self.fit()
        if self.text_input is not None:
            self.set_focus(self.text_input)

    def on_resize(self) -> None:
        self.fit()

    @property
    def inner_size(self) -> tuple[int, int]:
        """The columns and rows inside the frame: the preferred, or what the terminal has."""
        (width, height), terminal = self.preferred_size, self.app.size
        return max(1, min(width, terminal.width - 4)), max(1, min(height, terminal.height - 2))

    def fit(self) -> None:
        """Take the preferred size, or that of the terminal."""
        frame = self.query_one("#frame")
        width, height = self.inner_size
        frame.styles.width, frame.styles.height = width + 4, height + 2
        frame.border_title = self.heading
        self.show()

    def show(self) -> None:
        """Draw the hint and the lines."""
        self.query_one("#frame").border_subtitle = self.hint
        rows = build_text(self.rows(self.inner_size[0]), self.app.theme)
        self.query_one("#rows", Static).update(rows)

    async def on_key(self, event: events.Key) -> None:
        if self.text_input is not None and await self.text_input.take(event):
            return
        event.stop()
        event.prevent_default()
        self.press(event)

    def on_paste(self, event: events.Paste) -> None:
        """Hand on text that was pasted before the line had the focus."""
        if self.text_input is not None:
            self.text_input.on_paste(event)

    def answer(self, value: T | None) -> None:
        """Close with an answer, once: keys typed ahead do not close the screen behind it too."""
        if not self._answered:
            self._answered = True
            self.dismiss(value)

    def press(self, event: events.Key) -> None:
        """Take a key that is not text; one without a meaning closes nothing."""
        if event.key in ("escape", "q"):
            self.answer(None)


class QuitDialog(Dialog[str]):
    """The question at quitting: `stop`, `leave`, or `None` to go on as before.

    `enter` takes the line under the cursor: at first the one that ends nothing.
    """

    heading = "stop the run, or keep it running?"
    hint = "enter or the letter"
    preferred_size = (52, 3)
    _choices: ClassVar[tuple[tuple[str, str | None, str], ...]] = (
        ("l", "leave", "keep running in the background (txtop attach)"),
        ("s", "stop", "stop after the current iteration"),
        ("esc", None, "go back"),
    )
    _at = 0

    def rows(self, width: int) -> list[Row]:
        return [
            [
                (f"{adapt_text('▸')} " if y == self._at else "  ", KEY_ROLE),
                (f"{key:<5}", KEY_ROLE),
                (text, BOLD_ROLE if y == self._at else TEXT_ROLE),
            ]
            for y, (key, _, text) in enumerate(self._choices)
        ]

    def press(self, event: events.Key) -> None:
        answers = {key: answer for key, answer, _ in self._choices}
        if event.key in answers:
            self.answer(answers[event.key])
        elif event.key == "enter":
            self.answer(self._choices[self._at][1])
        elif event.key in ("up", "down"):
            step = 1 if event.key == "down" else -1
            self._at = max(0, min(self._at + step, len(self._choices) - 1))
            self.show()
        else:
            super().press(event)

    def on_click(self, event: events.Click) -> None:
        """Take the line that was clicked; beside the dialog, go back."""
        y = event.screen_y - self.query_one("#rows").region.y
        inside = self.query_one("#frame").region.contains(event.screen_x, event.screen_y)
        if not inside:
            self.answer(None)
        elif 0 <= y < len(self._choices):
            self.answer(self._choices[y][1])


class InputDialog(Dialog[T]):
    """A dialog with a line to type into above the rest."""

    def __init__(self, hint: str) -> None:
        super().__init__()
        self.text_input: TextInput = TextInput(
            hint=hint, on_change=self.change_text, on_done=self.end_typing
        )

    def change_text(self, text: str) -> None:
        """Take the new text of the line."""
        raise NotImplementedError

    def end_typing(self, keep: bool) -> None:
        """Take `enter`, or `esc` for False."""
        raise NotImplementedError

    def compose_body(self) -> ComposeResult:
        with Horizontal(id="line"):
            yield Static("> ", id="prompt")
            yield self.text_input
        yield from super().compose_body()


class GoToDialog(InputDialog[int]):
    """The question for a place in the recording, answered in ns. `find` knows cells and markers."""

    heading = "go to"
    preferred_size = (46, 3)

    def __init__(self, duration: str, find: Callable[[str], int | None]) -> None:
        super().__init__("1:23, bf16 batch 8, a marker")
        self._duration = duration
        self._find = find
        self._wrong = False

    def rows(self, width: int) -> list[Row]:
        below = "no such time, cell or marker" if self._wrong else f"of {self._duration}"
        return [[], [(f"  {below}", "warn" if self._wrong else MUTED_ROLE)]]

    def change_text(self, text: str) -> None:
        self._wrong = False
        self.show()

    def end_typing(self, keep: bool) -> None:
        if not keep:
            self.answer(None)
            return
        at_ns = parse_position(self.text_input.value)
        at_ns = self._find(self.text_input.value) if at_ns is None else at_ns
        self._wrong = at_ns is None
        self.show() if at_ns is None else self.answer(at_ns)


@dataclass(frozen=True)
class Choice:
    """One line of a choice: its answer, its text, and a hint at the right."""

    answer: str
    text: str
    hint: str = ""


class ChoiceList(OptionList, can_focus=False):
    """The choices, one of them selected; keys go to the line above them."""

    DEFAULT_CSS = """
    ChoiceList {
        height: 1fr; scrollbar-size: 0 0; background: $panel;
        & > .option-list--option-highlighted {
            color: $foreground; background: $panel; text-style: none;
        }
        & > .option-list--option-hover { background: $panel; text-style: bold; }
    }
    """


class ChoiceDialog(InputDialog[str]):
    """A list to choose from, narrowed by typing. `find` returns the matches of a typed text."""

    def __init__(
        self,
        heading: str,
        find: Callable[[str], Sequence[Choice]],
        *,
        selected: str = "",
        on_move: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__("type to find")
        self.heading = heading
        self._find = find
        self._on_move = on_move
        self._choices = list(find(""))
        self._count = len(self._choices)
        answers = [c.answer for c in self._choices]
        self._at = answers.index(selected) if selected in answers else 0

    def compose_body(self) -> ComposeResult:
        yield from super().compose_body()
        yield ChoiceList(compact=True)

    @property
    def preferred_size(self) -> tuple[int, int]:
        most = max(MIN_LISTED, self.app.size.height - ROWS_AROUND_LIST)
        return 48, min(self._count, most) + 2

    def rows(self, width: int) -> list[Row]:
        return [[] if self._choices else [("  nothing matches", MUTED_ROLE)]]

    @property
    def hidden(self) -> int:
        """The number of choices that do not fit into the list."""
        return max(0, len(self._choices) - (self.inner_size[1] - 2))

    def _build_option(self, at: int) -> VisualType:
        choice, selected = self._choices[at], at == self._at
        hint = adapt_text(choice.hint)
        text = fit(choice.text, self.inner_size[0] - 3 - len(hint))
        row: Row = [
            (f"{adapt_text('▸')} " if selected else "  ", KEY_ROLE),
            (text, BOLD_ROLE if selected else TEXT_ROLE),
            (f" {hint}", MUTED_ROLE),
        ]
        return build_text([row], self.app.theme)

    def show(self) -> None:
        self.hint = adapt_text(f"↓ {self.hidden} more") if self.hidden else ""
        super().show()
        options = self.query_one(ChoiceList)
        options.set_options(map(self._build_option, range(len(self._choices))))
        options.highlighted = self._at

    def _move(self, by: int) -> None:
        before = self._at
        self._at = min(max(0, before + by), max(0, len(self._choices) - 1))
        options = self.query_one(ChoiceList)
        for at in {before, self._at} if self._choices else ():
            options.replace_option_prompt_at_index(at, self._build_option(at))
        options.highlighted = self._at
        if self._on_move and self._choices:
            self._on_move(self._choices[self._at].answer)

    def change_text(self, text: str) -> None:
        self._choices = list(self._find(text))
        self._at = 0
        self.show()
        self._move(0)

    def end_typing(self, keep: bool) -> None:
        self.answer(self._choices[self._at].answer if keep and self._choices else None)

    def press(self, event: events.Key) -> None:
        moves = {
            "up": -1, "shift+tab": -1, "ctrl+p": -1, "pageup": -10,
            "down": 1, "tab": 1, "ctrl+n": 1, "pagedown": 10,
        }  # fmt: skip
        if event.key in moves:
            self._move(moves[event.key])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.answer(self._choices[event.option_index].answer)

    def on_click(self, event: events.Click) -> None:
        if not self.query_one("#frame").region.contains(event.screen_x, event.screen_y):
            self.answer(None)
