"""Infeasible cells of a matrix: left out with a reason, not run.

The matrix builder shows the same reasons.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from txtop.formatting import format_count
from txtop.models import (
    attention_kernels,
    builtin,
    decoding_rules,
    model_config,
    parallel_rules,
    precision_rules,
)
from txtop.models.absent_models import explain_absent
from txtop.models.local_accelerator import find_accelerator, settle_place
from txtop.models.precision_needs import (
    explain_missing_needs,
    explain_unavailable,
    list_missing_libraries,
    settle_precision,
)
from txtop.plan import labels
from txtop.plan.cell import GRAPH_COMPILES, Cell
from txtop.plan.knobs import BY_FIELD
from txtop.plan.modes import BY_NAME
from txtop.system import cpu, gpus
from txtop.system.compiler import explain_missing_compiler


def classify(cells: tuple[Cell, ...]) -> list[tuple[Cell, str]]:
    """Return each cell with the reason not to measure it beside the others, or with "".

    Cells of an encoder that differ only in what it ignores are one cell: the first is kept. So are
    those of a checkpoint that is stored quantised, whatever precision was asked for, and those with
    threads or a device that are what the default means here.
    """
    judged: list[tuple[Cell, str]] = []
    seen: dict[Cell, Cell] = {}
    in_one_place = len({(cell.device, cell.threads) for cell in cells}) == 1
    families = {name: model_config.find_family(name) for name in {cell.model for cell in cells}}
    for asked in cells:
        cell = settle_precision(asked)
        reason = _explain(cell, families[cell.model])
        plain = msgspec.structs.replace(cell, id="")
        if families[cell.model] == "encoder":
            first = cells[0].new_tokens
            plain = msgspec.structs.replace(
                plain, new_tokens=first, cache="dynamic", speculative="none"
            )
        if not reason:
            twin = seen.setdefault(plain if in_one_place else settle_place(plain), plain)
            reason = _explain_twin(asked, plain, twin) if twin is not plain else ""
        judged.append((msgspec.structs.replace(plain, id=cell.id), reason))
    return judged


def _explain_twin(asked: Cell, plain: Cell, twin: Cell) -> str:
    """Return why `asked`, settled as `plain`, runs as `twin` does."""
    for field in ("threads", "device"):
        own, other = BY_FIELD[field].call(plain), BY_FIELD[field].call(twin)
        if own != other:
            return f"{own} and {other} are the same here: one cell is enough"
    if plain.precision != asked.precision:
        return f"{plain.model_name} is stored quantised: one cell, in {plain.precision}"
    return "an encoder has no KV cache and makes no new tokens: one cell is enough"


def drop_infeasible(
    cells: tuple[Cell, ...], explain_more: Callable[[Cell], str] = lambda _: ""
) -> tuple[tuple[Cell, ...], list[str]]:
    """Return the cells to measure, renumbered, and a line for each reason to leave others out.

    `explain_more` gives a reason to leave out a cell that is feasible, or "".
    """
    kept: list[Cell] = []
    dropped: dict[str, list[Cell]] = {}
    for cell, (plain, reason) in zip(cells, classify(cells), strict=True):
        if reason := reason or explain_more(plain):
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


def find_fast_precision(device: str) -> precision_rules.FastPrecision:
    """Return the reduced precision that is fast on what `--device` means here."""
    return precision_rules.choose_fast_precision(find_accelerator(device), cpu.read_cpu_features())


def explain_lacking(field: str, value: object, device: str) -> str:
    """Return why `device` lacks a value of the knob `field` in every cell; empty if it has it.

    Empty as well where it is not known. The device itself is judged as a value of `device`.
    """
    if field == "device":
        return gpus.explain_absent_device(str(value))
    accelerator = find_accelerator(device)
    if accelerator is None or field not in ("precision", "attention"):
        return ""
    plain = Cell(id="", model="")
    if field == "precision":
        missing = precision_rules.explain_missing_precision(
            str(value), accelerator, compiled=plain.compile != "none"
        )
        missing = missing or explain_missing_needs(
            msgspec.structs.replace(plain, precision=str(value)), accelerator
        )
        if missing and missing[1] == (needs := BY_NAME[str(value)].needs).install:
            # What can be installed is told with its command, in the one line that there is.
            return f"{value} needs {' and '.join(list_missing_libraries(needs))}: {missing[1]}"
        return missing[0] if missing else ""
    reasons = [
        attention_kernels.explain_missing_kernel(
            msgspec.structs.replace(plain, precision=precision, attention=value), accelerator, None
        )
        for precision in BY_FIELD["precision"].values
    ]
    return reasons[0][0] if all(reasons) and reasons[0] else ""


def explain_infeasible(cell: Cell) -> str:
    """Return the reason why a cell cannot be measured; empty if none is known."""
    return _explain(cell, model_config.find_family(cell.model))


def explain_not_here(cell: Cell) -> str:
    """Return the reason why this machine cannot measure a cell; empty if none is known.

    What can be installed counts as well: such a cell is not left out of a plan, but refused in it.
    """
    if reason := explain_infeasible(cell):
        return reason
    missing = explain_unavailable(cell)
    return missing[0] if missing else ""


def explain_refused(cell: Cell) -> tuple[str, str] | None:
    """Return reason and hint if a worker would refuse a feasible cell before it loads, else None.

    Its prompt exceeds the context, its model or assistant is nowhere, or its device, or a library
    that its precision needs, is not here.
    """
    return (
        model_config.explain_refusal(cell)
        or explain_absent(cell)
        or gpus.refuse_absent_device(cell.device)
        or explain_unavailable(cell)
    )


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
        return "a prefix cache is for `txtop run --scenario continuous`: nothing else keeps one"
    if cell.prefix_cache == "on" and cell.prompts is None:
        return "random tokens begin with nothing alike: --prefix-cache needs --prompts"
    if cell.chat_template == "off" and cell.prompts is None:
        return "random tokens have no chat template: it is for --prompts"
    if cell.serving is not None:
        if cell.scenario == "continuous" and family in ("encoder", "seq2seq"):
            return "continuous batching is for decoders: the scenario dynamic serves the others"
        if cell.compile != "none" or cell.cache != "dynamic":
            return "requests have many shapes: --compile and --cache are for full batches"
        if cell.speculative != "none":
            return "--speculative is for full batches: a server has many requests at a time"
    device = find_accelerator(cell.device)
    missing = parallel_rules.explain_missing_parallel(cell, device)
    missing = missing or decoding_rules.explain_missing_cache(cell, family, device)
    missing = missing or decoding_rules.explain_missing_speculation(cell, family)
    if missing:
        return ": ".join(missing)
    if cell.compile == "decode" and family == "encoder":
        return "an encoder has no decode step: --compile default"
    if device is not None:
        if cell.compile != "none" and (missing := explain_missing_compiler(device.kind)):
            return f"--compile {cell.compile}: {missing[0]} ({missing[1]})"
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
