"""Infeasible cells of a matrix: left out with a reason, not run.

The matrix builder shows the same reasons.
"""

from __future__ import annotations

import msgspec

from txtop.formatting import format_count
from txtop.models import (
    attention_kernels,
    builtin,
    decoding_rules,
    model_config,
    precision_rules,
)
from txtop.models.attention_kernels import Accelerator
from txtop.plan import labels
from txtop.plan.cell import GRAPH_COMPILES, Cell
from txtop.system import cpu, gpus, torch_build
from txtop.system.device_names import get_device_kind


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
            plain = msgspec.structs.replace(
                plain, new_tokens=first, cache="dynamic", speculative="none"
            )
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


def find_accelerator(device: str) -> Accelerator | None:
    """Return what is known before loading of the device that `--device` means here.

    Where it is not known which of several GPUs that is, they are judged only if they are of one
    capability. None if nothing is known, as of `auto` without an NVIDIA GPU.
    """
    kind = get_device_kind(device)
    if kind == "auto" and not torch_build.has_cuda():
        return Accelerator("cpu")
    if kind not in ("auto", "cuda"):
        return Accelerator(kind)
    present = gpus.list_gpus()
    if kind == "auto" and not present:
        return None
    gpu = gpus.select_gpu(device, present)
    names = [gpu.name] if gpu else [one.name for one in present]
    capabilities = {gpus.find_capability(name) for name in names}
    name, capability = (names[0], capabilities.pop()) if len(capabilities) == 1 else ("", None)
    return Accelerator("cuda", name, capability)


def find_fast_precision(device: str) -> precision_rules.FastPrecision:
    """Return the reduced precision that is fast on what `--device` means here."""
    return precision_rules.choose_fast_precision(find_accelerator(device), cpu.read_cpu_features())


def explain_infeasible(cell: Cell) -> str:
    """Return the reason why a cell cannot be measured; empty if none is known."""
    return _explain(cell, model_config.find_family(cell.model))


def _explain(cell: Cell, family: builtin.Family | None) -> str:
    if cell.attention.startswith("flash_attention"):
        # No device has them, so this holds where the device is not known, too.
        if cell.precision == "fp32":
            return f"{cell.attention} knows fp16 and bf16, not fp32"
        if family == "seq2seq":
            return f"{cell.attention} has no relative positions, which T5 needs"
    if cell.prompts is not None and (cell.compile != "none" or cell.cache == "static"):
        return "prompts have many lengths: --compile and --cache static are for one"
    if cell.prefix_cache == "on" and cell.scenario != "continuous":
        return "--prefix-cache is for --scenario continuous: the others keep no cache"
    if cell.prefix_cache == "on" and cell.prompts is None:
        return "random tokens begin with nothing alike: --prefix-cache needs --prompts"
    if cell.chat_template == "off" and cell.prompts is None:
        return "random tokens have no chat template: it is for --prompts"
    if cell.serving is not None:
        if cell.scenario == "continuous" and family in ("encoder", "seq2seq"):
            return "continuous batching is for decoders: --scenario dynamic serves the others"
        if cell.compile != "none" or cell.cache != "dynamic":
            return "requests have many shapes: --compile and --cache are for full batches"
        if cell.speculative != "none":
            return "--speculative is for full batches: a server has many requests at a time"
    device = find_accelerator(cell.device)
    missing = decoding_rules.explain_missing_cache(cell, family, device)
    missing = missing or decoding_rules.explain_missing_speculation(cell, family)
    if missing:
        return ": ".join(missing)
    if cell.compile == "decode" and family == "encoder":
        return "an encoder has no decode step: --compile default"
    if device is not None:
        config = model_config.find_config(cell.model)
        missing = attention_kernels.explain_missing_kernel(cell, device, config)
        missing = missing or precision_rules.explain_missing_precision(
            cell.precision, device, compiled=cell.compile != "none"
        )
        if missing:
            return missing[0]
    if (
        cell.compile in GRAPH_COMPILES
        and cell.cache == "dynamic"
        and family in ("causal", "seq2seq")
    ):
        return f"--compile {cell.compile} needs --cache static: its addresses must stay"
    return ""
