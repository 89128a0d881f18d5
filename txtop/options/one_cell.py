"""A cell from knobs of one value each, as `ab`, `fit`, `tune` and `explain` take them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from txtop.errors import UsageError
from txtop.models.model_path import make_absolute, make_assistant_absolute
from txtop.models.precision_needs import settle_precision
from txtop.options import limits
from txtop.options.feasibility import explain_infeasible, explain_refused
from txtop.plan.cell import Cell
from txtop.plan.knobs import KNOBS

Values = Mapping[str, Any]


def check_knobs(model: str, knobs: Values) -> None:
    """Raise `UsageError` for a value out of bounds, and for knobs that contradict each other."""
    limits.check_model_name(model)
    for knob in KNOBS:
        if knob.is_number:
            limits.check_integer(f"--{knob.single}", knobs.get(knob.field))
    if "prompts" in knobs and "sequence_length" in knobs:
        raise UsageError(
            "--sequence-length and --prompts contradict each other", "a file has its own lengths"
        )


def build_cell(name: str, knobs: Values) -> Cell:
    """Build the cell `name` from the knobs that were given for it."""
    if "speculative" in knobs:
        knobs = {**knobs, "speculative": make_assistant_absolute(knobs["speculative"])}
    cell = settle_precision(Cell(id=name, **knobs))
    return cell.ask_attention() if "attention" in knobs else cell


def build_checked_cell(model: str, knobs: Values, grown: Iterable[str] = ()) -> Cell:
    """Build a cell that can be measured here, at least where the fields `grown` are 1.

    Raises `UsageError` for any other.
    """
    check_knobs(model, knobs)
    cell = build_cell("", {"model": make_absolute(model), **knobs})
    if why := explain_infeasible(cell):
        raise UsageError(why)
    if refusal := explain_refused(msgspec.structs.replace(cell, **dict.fromkeys(grown, 1))):
        raise UsageError(*refusal)
    return cell
