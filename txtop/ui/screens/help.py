"""The dialogs that explain the screen: every key of it, and the words on it."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import VerticalScroll

from txtop.ui.drawing.glyphs import adapt_text
from txtop.ui.drawing.spans import Row, clean, crop, fit, measure_row, measure_text, wrap
from txtop.ui.keymap import KeyCommand, ScreenKind, list_groups
from txtop.ui.models.glossary import GLOSSARY
from txtop.ui.screens.dialogs import BOLD_ROLE, KEY_ROLE, TEXT_ROLE, Dialog

KEYS_WIDTH = 8
GAP = 3
TERM_WIDTH = 24
GLOSSARY_WIDTH = 108
MAX_LINES = 3


class ScrolledDialog(Dialog[str]):
    """Lines that are scrolled through where they do not fit; any other key closes.

    `other` is the key that opens the other of the two dialogs, the answer then.
    """

    other = ""
    other_hint = ""

    def compose_body(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            yield from super().compose_body()

    def list_rows(self, width: int) -> list[Row]:
        """Return the lines for that width."""
        raise NotImplementedError

    @property
    def preferred_width(self) -> int:
        """The columns that the lines would like to have."""
        raise NotImplementedError

    @property
    def preferred_size(self) -> tuple[int, int]:
        width = max(1, min(self.preferred_width, self.app.size.width - 4))
        return width, len(self.list_rows(width))

    @property
    def _scrolls(self) -> bool:
        return self.inner_size[1] < self.preferred_size[1]

    def rows(self, width: int) -> list[Row]:
        return self.list_rows(width)

    def show(self) -> None:
        closes = "↑ ↓ more, other keys close" if self._scrolls else "any key closes"
        self.hint = adapt_text(f"{self.other_hint} · {closes}")
        super().show()

    def press(self, event: events.Key) -> None:
        page = self.inner_size[1]
        moves = {"up": -1, "down": 1, "pageup": -page, "pagedown": page}
        if event.key in moves and self._scrolls:
            self.query_one(VerticalScroll).scroll_relative(y=moves[event.key], animate=False)
        else:
            self.answer(event.key if event.key == self.other else None)

    def on_click(self) -> None:
        self.answer(None)


class HelpDialog(ScrolledDialog):
    """Every key of the screen behind it, by groups, in two columns where there is room."""

    heading = "help"
    other, other_hint = "f1", "F1 glossary"

    def __init__(self, where: ScreenKind) -> None:
        super().__init__()
        self._blocks = [_build_key_block(*group) for group in list_groups(where)]
        self._column = max(measure_row(row) for block in self._blocks for row in block)

    @property
    def preferred_width(self) -> int:
        two = 2 * self._column + GAP
        return two if two <= self.app.size.width - 4 else self._column

    def list_rows(self, width: int) -> list[Row]:
        if width < 2 * self._column + GAP:
            return _stack(self._blocks)
        splits = range(1, len(self._blocks) + 1)
        sides = [(_stack(self._blocks[:i]), _stack(self._blocks[i:])) for i in splits]
        left, right = min(sides, key=lambda pair: max(map(len, pair)))
        height = max(len(left), len(right))
        left, right = (side + [[]] * (height - len(side)) for side in (left, right))
        return [
            [*crop(a, self._column), (" " * GAP, TEXT_ROLE), *b]
            for a, b in zip(left, right, strict=True)
        ]


class GlossaryDialog(ScrolledDialog):
    """The words on the screens, by groups."""

    heading = "glossary"
    other, other_hint = "question_mark", "? keys"
    preferred_width = GLOSSARY_WIDTH

    def list_rows(self, width: int) -> list[Row]:
        return _stack(
            [
                [[(name, BOLD_ROLE)], *(row for entry in entries for row in _wrap(entry, width))]
                for name, entries in GLOSSARY
            ]
        )


def _build_key_block(name: str, commands: list[KeyCommand]) -> list[Row]:
    return [
        [(name, BOLD_ROLE)],
        *(
            [(fit(adapt_text(c.sign), KEYS_WIDTH), KEY_ROLE), (c.title, TEXT_ROLE)]
            for c in commands
        ),
    ]


def _wrap(entry: tuple[str, str], width: int) -> list[Row]:
    """Wrap an explanation beside its term, or under it where there is little room."""
    term, text = map(adapt_text, entry)
    indent = TERM_WIDTH if width >= 2 * TERM_WIDTH else 2
    lines = wrap(text, max(1, width - indent), MAX_LINES)
    rows: list[Row] = [[(" " * indent, TEXT_ROLE), (line, TEXT_ROLE)] for line in lines]
    if indent < TERM_WIDTH or measure_text(clean(term)) >= indent:
        return [[(term, KEY_ROLE)], *rows]
    return [[(fit(term, indent), KEY_ROLE), (lines[0], TEXT_ROLE)], *rows[1:]]


def _stack(blocks: list[list[Row]]) -> list[Row]:
    """Put blocks below each other with a blank line between them."""
    rows: list[Row] = []
    for block in blocks:
        rows += [*([[]] if rows else []), *block]
    return rows
