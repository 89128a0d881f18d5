"""The choices of the matrix builder: a row for each knob, some of whose values are chosen."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

from txtop.errors import UsageError
from txtop.forecast.preview import MatrixPreview
from txtop.models import builtin
from txtop.options import limits
from txtop.options.feasibility import explain_lacking
from txtop.options.parsing import parse_numbers, parse_seconds
from txtop.options.presets import PRESETS, SMALL_BERT, Preset, find_preset
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import get_default_values
from txtop.plan import knobs
from txtop.plan.model_names import name_models
from txtop.plan.serving import SCENARIOS
from txtop.sanitise import sanitise
from txtop.system import cpu, gpus

ChoiceValue = str | int | float | None
InputKind = Literal["", "names", "numbers", "whole", "seconds"]
BUDGETS_S = (10.0, 30.0, 60.0, 120.0)
DEFAULT_BUDGET_S = 30.0
MAX_VALUE_CHARACTERS = 60
_OPTION = re.compile(r"--[a-z-]+")
_SIZES = ("model", "precision", "attention", "batch_size", "sequence_length", "new_tokens")
_WORK = tuple(knobs.BY_FIELD[name] for name in _SIZES)
_BESIDE = knobs.order_knobs(first=("threads", "device"), without=_SIZES)


@dataclass
class KnobChoice:
    """One row: a knob, its values, and those that are chosen.

    `name` is that of `RunOptions`. `typing` is the kind of input that may be typed beside the
    values. None among the values is displayed as `unsaid`. Unless `several`, choosing a value
    replaces the one before. `lacking` has the reason for each value that this machine cannot
    measure. `at` is the column of the cursor.
    """

    name: str
    label: str
    values: list[ChoiceValue]
    chosen: list[ChoiceValue]
    several: bool = True
    typing: InputKind = ""
    unsaid: str = ""
    unit: str = ""
    lacking: dict[ChoiceValue, str] = field(default_factory=dict)
    at: int = 0

    @property
    def option(self) -> str:
        """Return the option's name on a command line."""
        return f"--{self.name.removesuffix('_s').replace('_', '-')}"

    @property
    def reason(self) -> str:
        """Return why the value under the cursor cannot be measured here; empty if it can."""
        return self.lacking.get(self.values[self.at], "")

    def text(self, value: ChoiceValue) -> str:
        """Format a value for the screen, sanitised; a model by the name that tells it apart."""
        if value is None:
            return self.unsaid
        if self.typing == "names":
            value = _name_values(tuple(map(str, self.values)))[str(value)]
        text = (
            f"{value:g}" if isinstance(value, float) else sanitise(str(value), MAX_VALUE_CHARACTERS)
        )
        return f"{text} {self.unit}" if self.unit else text

    def add_value(self, value: ChoiceValue) -> None:
        """Add a value to the others: numbers in order, names at the end."""
        if value in self.values:
            return
        self.values.append(value)
        if self.typing in ("numbers", "whole", "seconds"):
            self.values.sort(key=lambda v: (v is not None, v))

    def choose(self, value: ChoiceValue) -> None:
        """Toggle a value, or replace the one chosen; None and a number exclude each other."""
        if not self.several or value is None:
            self.chosen = [value]
        elif value in self.chosen:
            self.chosen = [v for v in self.chosen if v != value]
        else:
            self.chosen = [*(v for v in self.chosen if v is not None), value]
        if not self.chosen and None in self.values:
            self.chosen = [None]

    def list_chosen(self) -> list[Any]:
        """Return the chosen values but None, in the order of the row."""
        return [value for value in self.values if value in self.chosen and value is not None]

    def read(self, typed: str) -> list[ChoiceValue]:
        """Parse the values that were typed.

        Raises `UsageError`, which names the row.
        """
        parts = typed.replace(",", " ").split()
        values: list[ChoiceValue] = []
        match self.typing:
            case "names":
                limits.check_model_name(typed.strip())
                return [typed.strip()]
            case "numbers":
                values = list(parse_numbers(self.label, parts) or ())
            case "whole":
                values = list(parse_numbers(self.label, parts[:1]) or ())
            case _:
                values = [_parse_seconds(self.label, typed)]
        if not values:
            raise UsageError(f"{self.label} needs a value")
        for value in values:
            if isinstance(value, int):
                limits.check_integer(self.label, value)
        return values


@lru_cache(maxsize=8)
def _name_values(models: tuple[str, ...]) -> dict[str, str]:
    return name_models(models)


def _parse_seconds(label: str, typed: str) -> float:
    seconds = parse_seconds(label, typed)
    limits.check_amount(label, seconds, limits.MAX_BUDGET_S, " seconds")
    return seconds


def _build_knob_choices() -> list[KnobChoice]:
    """Build the rows as on a command line without options; the model and its matrix first."""
    presets: list[ChoiceValue] = [None, *PRESETS]

    def one(
        name: str, label: str, values: list[Any], chosen: ChoiceValue, **more: Any
    ) -> KnobChoice:
        return KnobChoice(name, label, values, [chosen], several=False, **more)

    return [
        one("preset", "preset", presets, None, unsaid="none"),
        *(_row(knob) for knob in _WORK),
        KnobChoice("scenario", "scenario", list(SCENARIOS), ["static"]),
        KnobChoice("rate", "rate", [None, "sweep"], [None], unsaid="none"),
        *(_row(knob) for knob in _BESIDE if knob.offers != ()),
        one("budget_s", "budget", [*BUDGETS_S], DEFAULT_BUDGET_S, typing="seconds", unit="s"),
        one(
            "iterations",
            "iterations",
            [None, 3, 10, 30, 100],
            None,
            typing="whole",
            unsaid="until precise",
        ),
    ]


def _row(knob: knobs.Knob) -> KnobChoice:
    """Build the row of a knob of the table."""
    typing: InputKind = "names" if knob.field == "model" else ""
    if knob.is_number:
        typing = "numbers" if knob.several else "whole"
    values = _offers(knob)
    if knob.default is None:
        values = [None, *values]
    chosen = get_default_values(Preset(title=""), knob) or [None]
    unsaid = "auto" if None in values else ""
    return KnobChoice(knob.option, knob.title, values, chosen, knob.several, typing, unsaid)


def _offers(knob: knobs.Knob) -> list[Any]:
    """Return the values on offer; for threads and models those of this machine and this version."""
    if knob.field == "threads":
        cores = cpu.count_allowed_cores()
        return [n for n in (1, 2, 4, 8, 16, 32, 64) if n < cores] + [cores]
    if knob.field == "model":
        others = [m.name for m in builtin.BUILTIN_MODELS if m.hub_id != SMALL_BERT]
        return list(dict.fromkeys([*PRESETS["families"].models, *others]))
    offers = list(knob.values if knob.offers is None else knob.offers)
    if knob.field == "device" and (count := len(gpus.list_gpus())) > 1:
        offers += [f"cuda:{index}" for index in range(count)]
    return offers


@dataclass
class MatrixChoices:
    """All knobs, and the position of the cursor among them."""

    knobs: list[KnobChoice] = field(default_factory=_build_knob_choices)
    at: int = 0

    def __post_init__(self) -> None:
        self._find_lacking()

    @property
    def knob(self) -> KnobChoice:
        """Return the knob under the cursor."""
        return self.knobs[self.at]

    def named(self, name: str) -> KnobChoice:
        """Return the knob with that name."""
        return next(knob for knob in self.knobs if knob.name == name)

    def name_rows(self, message: str) -> str:
        """Replace the options in a message by the labels of their rows, or by plain words."""
        labels = {knob.option: knob.label for knob in self.knobs}
        return _OPTION.sub(
            lambda option: labels.get(option[0]) or option[0].strip("-").replace("-", " "), message
        )

    def name_rows_of(self, preview: MatrixPreview) -> MatrixPreview:
        """Return a preview whose messages name rows: `choose length of at most 992`."""
        remedy = self.name_rows(preview.remedy)
        return replace(
            preview,
            cells=tuple(replace(cell, why=self.name_rows(cell.why)) for cell in preview.cells),
            error=self.name_rows(preview.error),
            remedy=f"choose {remedy}" if preview.remedy.startswith("--") else remedy,
        )

    def move(self, down: int = 0, right: int = 0) -> None:
        """Move the cursor, not beyond the ends."""
        self.at = max(0, min(self.at + down, len(self.knobs) - 1))
        knob = self.knob
        knob.at = max(0, min(knob.at + right, len(knob.values) - 1))

    def go(self, row: int, column: int) -> None:
        """Place the cursor on a value."""
        self.at = max(0, min(row, len(self.knobs) - 1))
        self.move(right=column - self.knob.at)

    def toggle(self) -> bool:
        """Toggle the value under the cursor; False for one that this machine lacks."""
        knob = self.knob
        value = knob.values[knob.at]
        if knob.reason and value not in knob.chosen:
            return False
        knob.choose(value)
        self._follow(knob)
        return True

    def take(self, typed: str) -> None:
        """Choose the typed values for the knob under the cursor, beside those already chosen.

        Raises `UsageError`.
        """
        knob = self.knob
        for value in knob.read(typed):
            knob.add_value(value)
            if value not in knob.chosen:
                knob.choose(value)
            knob.at = knob.values.index(value)
        self._follow(knob)

    def _follow(self, knob: KnobChoice) -> None:
        """Apply what choosing a value does to other knobs."""
        if knob.name == "preset":
            self._fill(knob.chosen[0])
        elif knob.name == "budget_s":
            self.named("iterations").chosen = [None]
        elif knob.name == "iterations":
            self._count(knob.chosen[0])
        if knob.name in ("preset", "device"):
            self._find_lacking()

    def _find_lacking(self) -> None:
        """Find the values that the chosen device lacks, of the rows of knobs."""
        device = str(self.named("device").chosen[0])
        for knob in (*_WORK, *_BESIDE):
            if knob.offers != ():
                row = self.named(knob.option)
                reasons = {v: explain_lacking(knob.field, v, device) for v in row.values}
                row.lacking = {value: reason for value, reason in reasons.items() if reason}

    def _count(self, iterations: ChoiceValue) -> None:
        """Clear the budget for a fixed count of iterations; without one restore it."""
        budget = self.named("budget_s")
        budget.chosen = [] if iterations is not None else budget.chosen or [DEFAULT_BUDGET_S]

    def _fill(self, name: ChoiceValue) -> None:
        """Choose the values that a preset sets; without a preset everything stays."""
        if not isinstance(name, str):
            return
        preset = find_preset(name)
        for knob in (*_WORK, *_BESIDE):
            if knob.offers != ():
                row = self.named(knob.option)
                row.chosen = get_default_values(preset, knob) or [None]
                for value in row.chosen:
                    row.add_value(value)
        self.named("iterations").add_value(preset.iterations)
        self.named("iterations").chosen = [preset.iterations]
        if preset.budget_s is None:
            self._count(preset.iterations)
        else:
            self.named("budget_s").add_value(preset.budget_s)
            self.named("budget_s").chosen = [preset.budget_s]

    def to_run_options(self) -> RunOptions:
        """Return the choices as options of a run."""
        given: dict[str, Any] = {}
        for knob in self.knobs:
            values = knob.list_chosen()
            if not knob.several:
                given[knob.name] = values[0] if values else None
            elif None not in knob.chosen and not (knob.name == "attention" and values == ["sdpa"]):
                # The default is chosen already when the builder opens: nobody asked for it.
                given[knob.name] = values
        return RunOptions(**given)
