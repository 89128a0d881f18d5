"""Infeasible cells of a matrix: left out with a reason, not run.

The matrix builder shows the same reasons.
"""

from __future__ import annotations

import msgspec

from txtop.formatting import format_count
from txtop.models import builtin, model_config
from txtop.plan import labels
from txtop.plan.cell import Cell

# These modes of torch.compile capture CUDA graphs, which need fixed addresses.
_GRAPHS = ("reduce-overhead", "max-autotune")
_GPU_ATTENTIONS = ("sdpa:efficient", "sdpa:cudnn", "flash_attention_2", "flash_attention_3")


def classify(cells: tuple[Cell, ...]) -> list[tuple[Cell, str]]:
    """Return each cell with the reason not to measure it beside the others, or with "".

    Cells of an encoder that differ only in what it ignores are one cell: the first is kept.
    """
    judged: list[tuple[Cell, str]] = []
    seen: set[Cell] = set()
    families = {name: model_config.find_family(name) for name in {cell.model for cell in cells}}
    for cell in cells:
        reason = _explain(cell, families[cell.model])
        plain = msgspec.structs.replace(cell, id="")
        if families[cell.model] == "encoder":
            first = cells[0].new_tokens
            plain = msgspec.structs.replace(plain, new_tokens=first, cache="dynamic")
            if not reason and plain in seen:
                reason = "an encoder has no KV cache and makes no new tokens: one cell is enough"
        if not reason:
            seen.add(plain)
        judged.append((msgspec.structs.replace(plain, id=cell.id), reason))
    return judged


def drop_infeasible(cells: tuple[Cell, ...]) -> tuple[tuple[Cell, ...], list[str]]:
    """Return the cells to measure, renumbered, and a line for each reason to leave others out."""
    kept: list[Cell] = []
    dropped: dict[str, list[Cell]] = {}
    for cell, (plain, reason) in zip(cells, classify(cells), strict=True):
        if reason:
            dropped.setdefault(reason, []).append(cell)
        else:
            kept.append(plain)
    numbered = tuple(
        msgspec.structs.replace(cell, id=f"c{n:03d}") for n, cell in enumerate(kept, start=1)
    )
    lines = [
        f"left out {format_count(len(out), 'cell')}"
        f" ({labels.format_short_label(out[0])}" + (", …" if len(out) > 1 else "") + f"): {reason}"
        for reason, out in dropped.items()
    ]
    return numbered, lines


def explain_infeasible(cell: Cell) -> str:
    """Return the reason why a cell cannot be measured; empty if none is known."""
    return _explain(cell, model_config.find_family(cell.model))


def _explain(cell: Cell, family: builtin.Family | None) -> str:
    if cell.attention.startswith("flash_attention"):
        if cell.precision == "fp32":
            return f"{cell.attention} knows fp16 and bf16, not fp32"
        if family == "seq2seq":
            return f"{cell.attention} has no relative positions, which T5 needs"
    if cell.serving is not None:
        if cell.scenario == "continuous" and family in ("encoder", "seq2seq"):
            return "continuous batching is for decoders: --scenario dynamic serves the others"
        if cell.compile != "none" or cell.cache != "dynamic":
            return "requests have many shapes: --compile and --cache static are for full batches"
    if cell.device == "cpu" and cell.attention in _GPU_ATTENTIONS:
        return f"{cell.attention} has no kernels for a CPU"
    if cell.device not in ("auto", "cpu") and cell.precision == "int8:torch-dynamic":
        return "int8:torch-dynamic has kernels for a CPU alone"
    if cell.precision == "tf32" and cell.device not in ("auto", "cuda"):
        return "tf32 is for NVIDIA GPUs from sm80 (Ampere) on"
    on_gpu = cell.device not in ("auto", "cpu")
    if on_gpu and cell.precision == "int8:dynamic" and cell.compile == "none":
        return "int8:dynamic on a GPU needs --compile: without it the GPU waits in every layer"
    if cell.compile in _GRAPHS and cell.cache == "dynamic" and family in ("causal", "seq2seq"):
        return f"--compile {cell.compile} needs --cache static: its addresses must stay"
    return ""
