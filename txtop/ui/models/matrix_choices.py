"""The choices of the matrix builder: a row for each knob, some of whose values are chosen."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from txtop.errors import UsageError
from txtop.models import builtin
from txtop.options import limits
from txtop.options.feasibility import explain_not_here
from txtop.options.parsing import parse_numbers, parse_seconds
from txtop.options.presets import PRESETS, SMALL_BERT, Preset, find_preset
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import get_default_values
from txtop.plan import knobs
from txtop.plan.cell import Cell
from txtop.plan.serving import SCENARIOS
from txtop.sanitise import sanitise
from txtop.system import cpu, gpus
from txtop.system.device_names import get_device_kind

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
    replaces the one before. `at` is the column of the cursor.
    """

    name: str
    label: str
    values: list[ChoiceValue]
    chosen: list[ChoiceValue]
    several: bool = True
    typing: InputKind = ""
    unsaid: str = ""
    unit: str = ""
    at: int = 0

    @property
    def option(self) -> str:
        """Return the option's name on a command line."""
        return f"--{self.name.removesuffix('_s').replace('_', '-')}"

    def text(self, value: ChoiceValue) -> str:
        """Format a value for the screen, sanitised."""
        if value is None:
            return self.unsaid
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


def _parse_seconds(label: str, typed: str) -> float:
    seconds = parse_seconds(label, typed)
    limits.check_seconds(label, seconds, limits.MAX_BUDGET_S)
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


def explain_lacking(knob: KnobChoice, value: ChoiceValue) -> str:
    """Return the reason why this machine lacks a value, empty if nothing is known against it."""
    return _explain_lacking(knob.name, value) if isinstance(value, str) else ""


@cache
def _explain_lacking(name: str, value: str) -> str:
    if name == "device":
        return _explain_missing_device(value)
    if name == "precisions":
        return _explain_knobs(precision=value)
    if name == "attention":
        # Flash attention computes in no fp32, on any machine.
        return _explain_knobs(precision="bf16", attention=value)
    return ""


def _explain_knobs(**values: Any) -> str:
    return explain_not_here(Cell(id="", model="gpt2", **values))


def _explain_missing_device(device: str) -> str:
    kind = get_device_kind(device)
    if kind == "cuda" and not gpus.list_gpus():
        return "no NVIDIA GPU on this machine"
    if kind == "mps" and sys.platform != "darwin":
        return "mps is the GPU of a Mac"
    return ""


@dataclass
class MatrixChoices:
    """All knobs, and the position of the cursor among them."""

    knobs: list[KnobChoice] = field(default_factory=_build_knob_choices)
    at: int = 0

    @property
    def knob(self) -> KnobChoice:
        """Return the knob under the cursor."""
        return self.knobs[self.at]

    def named(self, name: str) -> KnobChoice:
        """Return the knob with that name."""
        return next(knob for knob in self.knobs if knob.name == name)

    def name_rows(self, error: str) -> str:
        """Replace the options in a message by the labels of their rows, or by plain words."""
        labels = {knob.option: knob.label for knob in self.knobs}
        labels |= {knob.flag: knob.title for knob in knobs.KNOBS}
        return _OPTION.sub(lambda o: labels.get(o[0], o[0].strip("-").replace("-", " ")), error)

    def move(self, down: int = 0, right: int = 0) -> None:
        """Move the cursor, not beyond the ends."""
        self.at = max(0, min(self.at + down, len(self.knobs) - 1))
        knob = self.knob
        knob.at = max(0, min(knob.at + right, len(knob.values) - 1))

    def go(self, row: int, column: int) -> None:
        """Place the cursor on a value."""
        self.at = max(0, min(row, len(self.knobs) - 1))
        self.move(right=column - self.knob.at)

    def toggle(self) -> None:
        """Toggle the value under the cursor."""
        knob = self.knob
        knob.choose(knob.values[knob.at])
        self._follow(knob)

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
