"""The dialog before a live A/B: one key chooses the model, two more its precisions."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events

from txtop.ui.drawing.glyphs import get_glyphs
from txtop.ui.drawing.spans import Row, clean, cut, fit, measure_text
from txtop.ui.models.ab_choices import (
    CHOICE_KEYS,
    ABModel,
    ABPrecision,
    choose_default_pair,
    list_ab_precisions,
)
from txtop.ui.panels.base import ARM_ROLES
from txtop.ui.screens.dialogs import BOLD_ROLE, KEY_ROLE, MUTED_ROLE, TEXT_ROLE, Dialog

PAGE_ROWS, WIDTH = len(CHOICE_KEYS), 70
ABAnswer = tuple[str, str, str]


class ABDialog(Dialog[ABAnswer]):
    """The questions for a model and for two precisions, answered with all three."""

    question = "A/B: of which model?"

    def __init__(self, models: Sequence[ABModel]) -> None:
        super().__init__()
        self._models = models
        self._at = 0
        self._model: ABModel | None = None
        self._precisions: list[ABPrecision] = []
        self._default: tuple[str, str] | None = None
        self._first = ""

    @property
    def preferred_size(self) -> tuple[int, int]:
        count = len(self._precisions) if self._model else len(self._models)
        return WIDTH, min(count, PAGE_ROWS) + 2

    @property
    def _page_rows(self) -> int:
        return max(1, min(self.inner_size[1] - 2, PAGE_ROWS))

    @property
    def _page(self) -> Sequence[ABModel]:
        """The models on the screen, those around the cursor."""
        first = self._at // self._page_rows * self._page_rows
        return self._models[first : first + self._page_rows]

    def _turn_page(self, by: int) -> None:
        """Turn pages; the first follows the last, which halves the way to any model."""
        pages = -(-len(self._models) // self._page_rows)
        self._at = (self._at // self._page_rows + by) % pages * self._page_rows

    def rows(self, width: int) -> list[Row]:
        if self._model is None:
            return self._render_models(width)
        return self._render_precisions(width)

    def _render_models(self, width: int) -> list[Row]:
        self.query_one("#frame").border_title = self.question
        g, page = get_glyphs(), self._page
        rows: list[Row] = []
        for key, model in zip(CHOICE_KEYS, page, strict=False):
            selected = model is self._models[self._at]
            name = fit(model.name, width - 5 - len(model.source), mark=g("…"))
            rows.append(
                [
                    (g("▸ ") if selected else "  ", KEY_ROLE),
                    (f"{key}  ", KEY_ROLE),
                    (name, BOLD_ROLE if selected else TEXT_ROLE),
                    (model.source, MUTED_ROLE),
                ]
            )
        more = len(self._models) > len(page)
        keys = "1-9, a-z choose   enter takes the marked one   esc back"
        pages = f"pgdn, pgup: {len(self._models)} models   " if more else ""
        return [*rows, [], [(cut(g(pages + keys), width, g("…")), MUTED_ROLE)]]

    def _render_precisions(self, width: int) -> list[Row]:
        assert self._model is not None
        self.query_one("#frame").border_title = f"A/B of {self._model.name}: two precisions"
        g = get_glyphs()
        longest = max(measure_text(one.precision) for one in self._precisions)
        rows: list[Row] = []
        for key, one in zip(CHOICE_KEYS, self._precisions, strict=False):
            name = fit(one.precision, longest)
            if one.lacking:
                why = cut(clean(g(one.lacking)), width - longest - 7, g("…"))
                rows.append([("     ", MUTED_ROLE), (f"{name}  {why}", MUTED_ROLE)])
                continue
            letter = "A" if one.precision == self._first else " "
            rows.append(
                [
                    (f"{letter} ", f"{ARM_ROLES[0]}.bold"),
                    (f"{key}  ", KEY_ROLE),
                    (name, BOLD_ROLE if letter == "A" else TEXT_ROLE),
                ]
            )
        then = "the key of B starts it" if self._first else "the key of A, then that of B"
        pair = f"   enter {' against '.join(self._default)}" if self._default else ""
        ends = f"{then}{pair}   esc back"
        return [*rows, [], [(cut(g(ends), width, g("…")), MUTED_ROLE)]]

    def press(self, event: events.Key) -> None:
        if event.key in ("escape", "q"):
            self._go_back()
        elif self._model is None:
            self._press_for_model(event.key)
        else:
            self._press_for_precision(event.key)

    def _go_back(self) -> None:
        if self._model is None:
            self.answer(None)
            return
        self._model, self._first = None, ""
        self.fit()

    def _press_for_model(self, key: str) -> None:
        page = len(self._page)
        moves = {
            "up": -1, "k": -1, "down": 1, "j": 1,
            "home": -len(self._models), "end": len(self._models),
        }  # fmt: skip
        if key in moves:
            self._at = min(max(0, self._at + moves[key]), len(self._models) - 1)
            self.show()
            return
        if key in ("pageup", "pagedown"):
            self._turn_page(1 if key == "pagedown" else -1)
            self.show()
        elif key == "enter":
            self._choose(self._models[self._at])
        elif key in CHOICE_KEYS[:page] and len(key) == 1:
            self._choose(self._page[CHOICE_KEYS.index(key)])

    def _choose(self, model: ABModel) -> None:
        self._model, self._at = model, list(self._models).index(model)
        self._precisions = list_ab_precisions(model.model)
        self._default = choose_default_pair(self._precisions)
        self.fit()

    def _press_for_precision(self, key: str) -> None:
        assert self._model is not None
        if key == "enter" and self._default is not None and not self._first:
            self.answer((self._model.model, *self._default))
            return
        place = CHOICE_KEYS.find(key) if len(key) == 1 else -1
        if not 0 <= place < len(self._precisions) or self._precisions[place].lacking:
            return
        chosen = self._precisions[place].precision
        if chosen == self._first:
            self._first = ""
        elif self._first:
            self.answer((self._model.model, self._first, chosen))
            return
        else:
            self._first = chosen
        self.show()


class TuneDialog(ABDialog):
    """The question for the model whose configurations are raced, answered with it alone."""

    question = "race configurations: of which model?"

    def _choose(self, model: ABModel) -> None:
        self.answer((model.model, "", ""))
