"""The operators that prove a precision, and what to try where they did not run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from txtop.models import quantised
from txtop.models.precision_needs import parse_quantization
from txtop.plan.cell import Cell
from txtop.plan.modes import BY_NAME

_COMPILED = "--compile default, which fuses them into the products"


def find_kernels(cell: Cell, stored: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return parts of the names of operators that multiply in the precision of `cell`.

    `stored` is the quantiser's configuration in the model's files, None for plain weights. () for
    dtypes, and for schemes that are not in the tables.
    """
    if mode := BY_NAME.get(cell.precision):
        return mode.kernels
    method = quantised.find_method(quantised.merge(stored, parse_quantization(cell.quantization)))
    return method.kernels if method else ()


def suggest_instead(precision: str) -> str:
    """Return what to try where weights in `precision` are dequantised in every call."""
    prefix = precision.partition(":")[0]
    entry = next((m for m in quantised.METHODS.values() if m.prefix == prefix and m.instead), None)
    return entry.instead if entry else _COMPILED
