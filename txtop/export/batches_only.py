"""Select the cells that formats of other benchmarks can hold: those that measured full batches.

Those formats have no place for requests, and one of them none for encoders. Apart, because three
writers and the command share it.
"""

from __future__ import annotations

from txtop.formatting import format_count
from txtop.state.cell import CellState
from txtop.state.session import SessionState

BATCH_FORMATS = ("llama-bench", "optimum-benchmark", "benchmark_v2")
DECODER_FORMATS = ("llama-bench",)


def select_batch_cells(state: SessionState) -> list[CellState]:
    """Return the cells that measured full batches of one length.

    The time of a request includes its queue, and would be read as that of the model; prompts of a
    file have no one length that these formats could name.
    """
    cells = state.cells.values()
    return [cell for cell in cells if cell.cell.serving is None and cell.cell.prompts is None]


def describe_left_out(state: SessionState, format: str) -> str:
    """Return a line about the cells that this format cannot hold; empty if it holds them all."""
    if format not in BATCH_FORMATS:
        return ""
    kept = select_batch_cells(state)
    encoders = [c for c in kept if format in DECODER_FORMATS and c.family == "encoder"]
    parts, only = [], []
    if count := len(state.cells) - len(kept):
        parts.append(
            f"{format_count(count, 'cell')} that served requests or took prompts of a file"
        )
        only.append("full batches alone, of one length")
    if encoders:
        parts.append(f"{format_count(len(encoders), 'cell')} of encoders")
        only.append("tokens that are generated")
    if not parts:
        return ""
    return (
        f"left out {', '.join(parts)}: {format} knows {', and '.join(only)}; --format json has all"
    )
