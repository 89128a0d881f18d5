"""What formats of other benchmarks can hold: those know full batches and no requests."""

from __future__ import annotations

from txtop.state.cell import CellState
from txtop.state.session import SessionState

BATCH_FORMATS = ("llama-bench", "optimum-benchmark", "benchmark_v2")


def select_batch_cells(state: SessionState) -> list[CellState]:
    """The cells that measured full batches. A request's time is that of its queue too, and would be
    read as that of the model."""
    return [cell for cell in state.cells.values() if cell.cell.serving is None]


def describe_left_out(state: SessionState, format: str) -> str:
    """A line about the cells that this format cannot hold; empty where it holds them all."""
    count = len(state.cells) - len(select_batch_cells(state))
    if format not in BATCH_FORMATS or not count:
        return ""
    cells = f"{count} cell{'s' if count > 1 else ''} that served requests"
    return f"left out {cells}: {format} knows full batches alone, --format json has all"
