"""The operators that prove a precision, and what to try where they did not run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from txtop.models import quantised
from txtop.models.precision_needs import parse_quantization
from txtop.plan.cell import Cell
from txtop.plan.modes import BY_NAME, COMPILED, DENSE, Proof


def find_proof(cell: Cell, stored: Mapping[str, Any] | None) -> Proof:
    """Return the operators that prove the precision of `cell`.

    `stored` is the quantiser's configuration in the model's files, None for plain weights. It is
    empty for dtypes, and for schemes that are not in the tables.
    """
    if mode := BY_NAME.get(cell.precision):
        return mode.proof
    method = quantised.find_method(quantised.merge(stored, parse_quantization(cell.quantization)))
    return method.proof if method else DENSE


def suggest_instead(precision: str) -> str:
    """Return what to try where weights in `precision` are dequantised in every call."""
    if mode := BY_NAME.get(precision):
        return mode.instead
    prefix = precision.partition(":")[0]
    entry = next((m for m in quantised.METHODS.values() if m.prefix == prefix and m.instead), None)
    return entry.instead if entry else COMPILED
