"""The operators that multiplied quantised weights: of a cell, and of two arms side by side.

Two names of a kernel may end in one operator on a machine; a ratio between them is then noise.
"""

from __future__ import annotations

from txtop.state.ab import ABTest
from txtop.state.cell import CellState
from txtop.state.session import SessionState

SHOWN_PRODUCTS = 3
_DENSE = "dense products of dequantised weights"


def name_products(state: CellState) -> str:
    """Name the operators that ran in the profiled pass, "" if none was identified."""
    if state.kernels is None:
        return ""
    operators = dict.fromkeys(name.rpartition("::")[2] for name in state.kernels.products)
    return ", ".join(list(operators)[:SHOWN_PRODUCTS])


def compare_products(state: SessionState, ab_test: ABTest, name: str) -> str:
    """Say what the first arm and `name` ran, if they were asked for different kernels; else ""."""
    first, other = state.cells[ab_test.first.id], state.cells[name]
    if first.cell.quantization == other.cell.quantization:
        return ""
    ran = [describe_products(arm) for arm in (first, other)]
    if not all(ran):
        return ""
    if ran[0] == ran[1]:
        return f"both ran {ran[0]}"
    letters = [ab_test.letter(arm.cell.id) for arm in (first, other)]
    return ", ".join(f"{letter} ran {what}" for letter, what in zip(letters, ran, strict=True))


def describe_products(state: CellState) -> str:
    """Name the operators, or say that dense products ran; "" if nothing was identified."""
    dequantises = state.kernels is not None and state.kernels.dequantises
    return _DENSE if dequantises else name_products(state)
