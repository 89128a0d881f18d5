"""Labels of cells, made from their knobs: beside other cells, and alone in logs and notes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from typing import Any

from txtop.formatting import MISSING
from txtop.plan.cell import Cell
from txtop.plan.knobs import BY_FIELD, Knob, find_varying, order_knobs
from txtop.plan.model_names import CUT, shorten_alike
from txtop.plan.modes import names_scheme
from txtop.plan.quantization import label_settings

# The sizes of the work come last, after the model and the way it runs.
BESIDE_OTHERS = order_knobs(
    first=("model", "precision", "attention", "compile", "cache", "speculative", "threads"),
    last=("batch_size", "sequence_length", "new_tokens"),
)
# A name beside others of more knobs than these says of the rest only what is not at its default.
_MOST_NAMED = 3
_ALWAYS_NAMED = ("model", "precision", "batch_size", "sequence_length", "new_tokens")
# A note begins with model, precision and load. Weights, device and new tokens are shown beside it.
_OF_A_NOTE = order_knobs(
    first=("sequence_length", "attention", "compile", "cache", "speculative", "threads"),
    last=("prompts",),
    without=("model", "precision", "batch_size", "new_tokens", "device", "weights"),
)


def label_arms(arms: Sequence[Cell]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (a label for each arm, the labels that all share).

    Identical arms are labelled by their precision.
    """
    precision = BY_FIELD["precision"]
    named = varying = find_varying(arms, BESIDE_OTHERS) or [precision]
    if len({arm.precision for arm in arms}) == len(arms):
        # The precision of a checkpoint that is stored quantised names its configuration.
        named = [knob for knob in named if knob.field != "quantization"]
    first = arms[0]
    shared = [
        knob
        for knob in BESIDE_OTHERS
        if knob not in varying
        and knob.field != "model"
        and not (knob.quiet and knob.of(first) == knob.default)
    ]
    labels = tuple(
        _join(" ", (_call(arm, knob) for knob in named)) or arm.precision for arm in arms
    )
    return labels, tuple(filter(None, (_call(first, knob) for knob in shared)))


def shorten_arm_labels(arms: Sequence[str]) -> tuple[str, ...]:
    """Return the labels without the words or parts of names that all begin with, for a narrow
    place: what differs is not what is cut.
    """
    alike = takewhile(lambda signs: len(set(signs)) == 1, zip(*arms, strict=False))
    shared = sum(1 for _ in alike)
    start = max((arms[0].rfind(sign, 0, shared) for sign in " ·:-_/,="), default=-1) + 1
    if start <= len(CUT) or any(len(arm) == start for arm in arms):
        return tuple(arms)
    return tuple(CUT + arm[start:] for arm in arms)


def name_apart(cells: Sequence[Cell]) -> dict[str, str]:
    """Return by its id what tells each cell from the others: `…L-4_H-512 · int8 · b4`.

    Where much differs, a knob at its default is not named: `int8 · 2 threads · b4`. A cell without
    others, or like them, is named by its precision and its work.
    """
    if not cells:
        return {}
    models = shorten_alike(tuple(dict.fromkeys(cell.model_name for cell in cells)))
    varying = {knob.field for knob in find_varying(cells, BESIDE_OTHERS)} - {"batch_size"}
    varying |= {"batch_size"} if len({cell.work for cell in cells}) > 1 else set()
    varying = varying or {"precision", "batch_size"}
    named = [knob for knob in BESIDE_OTHERS if knob.field in varying]

    def name(cell: Cell, knob: Knob) -> str:
        if knob.field == "model":
            return models[cell.model_name]
        if knob.field == "batch_size" and cell.offered:
            return cell.offered
        return knob.brief(knob.of(cell)) if knob.brief else _call(cell, knob)

    return {
        cell.id: _join(" · ", (name(cell, knob) for knob in list_named(cell, named)))
        or cell.precision
        for cell in cells
    }


def list_named(cell: Cell, varying: Sequence[Knob]) -> list[Knob]:
    """List those of the knobs in which cells differ that are in the name of `cell`."""
    if len(varying) <= _MOST_NAMED:
        return list(varying)
    named = [k for k in varying if k.field in _ALWAYS_NAMED or k.of(cell) != k.default]
    return named or list(varying[:1])


def format_length(cell: Cell) -> str:
    """Return the prompt tokens of a cell: `128`, of prompts of a file the mean as `~41`.

    A dash stands for prompts that no tokenizer has read yet.
    """
    if cell.prompts is None:
        return str(cell.sequence_length)
    return str(cell.prompts.tokens or MISSING)


def format_new_tokens(cell: Cell) -> str:
    """Return the new tokens of a cell, of prompts that ask for different ones the mean as `~41`."""
    asked = cell.prompts.new_tokens if cell.prompts else None
    return str(asked or cell.new_tokens)


def format_knob(cell: Cell, field: str) -> str:
    """Return the label of one field of a cell: `batch 8`, `512 tokens`, `bf16`."""
    knob = BY_FIELD.get(field)
    return knob.call(cell) if knob else str(getattr(cell, field))


def format_short_label(cell: Cell) -> str:
    """Return `gpt2 bf16 batch 8` and the knobs not at their default, for logs and notes."""
    changed = [knob for knob in _OF_A_NOTE if knob.of(cell) != knob.default]
    notes = (_call(cell, knob, knob.note) for knob in changed)
    return _join(" ", (cell.model_name, cell.precision, cell.work, *notes))


def _call(cell: Cell, knob: Knob, form: Callable[[Any], str] | None = None) -> str:
    """Return the label of a knob in `cell`, in the form `form` if one is given.

    A precision that is a scheme names the quantisation: what else that sets is left, "" if nothing.
    """
    if knob.field == "quantization" and cell.quantization and names_scheme(cell.precision):
        return label_settings(cell.quantization)
    return form(knob.of(cell)) if form else knob.call(cell)


def _join(between: str, parts: Iterable[str]) -> str:
    return between.join(filter(None, parts))
