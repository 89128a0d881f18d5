"""What a cell is called by its knobs: among others, and alone in logs and notes."""

from __future__ import annotations

from collections.abc import Sequence

from txtop.plan.cell import Cell
from txtop.plan.knobs import BY_FIELD, find_varying, order_knobs

# The sizes of the work come last, before them what it runs on.
BESIDE_OTHERS = order_knobs(
    first=("model", "precision", "attention", "compile", "cache", "threads"),
    last=("batch_size", "sequence_length", "new_tokens"),
)
# After model, precision and load; that random weights and few tokens were asked for stands beside.
_OF_A_NOTE = order_knobs(
    first=("sequence_length", "attention", "compile", "cache", "threads"),
    without=("model", "precision", "batch_size", "new_tokens", "device", "weights"),
)


def label_arms(arms: Sequence[Cell]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(a name for each arm, what all of them share); identical arms go by their precision."""
    named = find_varying(arms, BESIDE_OTHERS) or [BY_FIELD["precision"]]
    first = arms[0]
    shared = [
        knob
        for knob in BESIDE_OTHERS
        if knob not in named
        and knob.field != "model"
        and not (knob.quiet and knob.of(first) == knob.default)
    ]
    each = tuple(" ".join(knob.call(arm) for knob in named) for arm in arms)
    return each, tuple(knob.call(first) for knob in shared)


def format_knob(cell: Cell, field: str) -> str:
    """Return what a field of a cell is called: `batch 8`, `512 tokens`, `bf16`."""
    knob = BY_FIELD.get(field)
    return knob.call(cell) if knob else str(getattr(cell, field))


def format_short_label(cell: Cell) -> str:
    """Return `gpt2 bf16 batch 8`, and what is not as by default: for logs and notes."""
    turned = [knob for knob in _OF_A_NOTE if knob.of(cell) != knob.default]
    notes = [knob.note(knob.of(cell)) for knob in turned]
    return " ".join([cell.model_name, cell.precision, cell.work, *notes])
