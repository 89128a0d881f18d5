"""The rules by which one model can be spread over several devices: readable without torch.

Command line and matrix builder read them before loading, the worker again before it starts a rank.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

from txtop.models.attention_kernels import Accelerator
from txtop.models.dimensions import read_dimensions
from txtop.models.local_accelerator import count_devices
from txtop.models.model_config import find_config, find_files
from txtop.models.purpose import detect_family
from txtop.models.quantised import find_quantisation
from txtop.plan import modes
from txtop.plan.cell import Cell
from txtop.system.device_names import get_cores

Refusal = tuple[str, str]
"""The reason, and the next step."""

# The first in which one argument of from_pretrained() cuts the tensors as they are read.
LEAST_TRANSFORMERS = (5, 17)
_DEVICES = ("cpu", "cuda", "rocm")
_ALONE = "--parallel none"


def explain_missing_parallel(cell: Cell, accelerator: Accelerator | None) -> Refusal | None:
    """Return reason and hint if the model of `cell` cannot be spread as it asks here.

    What is not known (`None`) decides nothing.
    """
    if cell.parallel == "none":
        return None
    return (
        _explain_work(cell)
        or _explain_device(cell, accelerator)
        or _explain_libraries(cell)
        or _explain_model(cell)
    )


def _explain_work(cell: Cell) -> Refusal | None:
    """Return what of the cell's work a model in parts does not do here."""
    how = cell.parallel
    if cell.serving is not None:
        return f"{how} is for full batches: its ranks share no queue of requests", _ALONE
    if cell.compile != "none":
        return f"{how} runs plain code: its parts are not compiled here", "--compile none"
    if cell.cache != "dynamic":
        return f"{how} has a dynamic KV cache alone", "--cache dynamic"
    if cell.speculative != "none":
        return f"{how} makes one token a step: nothing drafts them", "--speculative none"
    if cell.quantization or not modes.is_dense(cell.precision):
        return f"{how} takes plain weights, not {cell.precision}", "--precisions bf16"
    return None


def _explain_device(cell: Cell, accelerator: Accelerator | None) -> Refusal | None:
    kind, _, place = cell.device.partition(":")
    if (place and kind != "cpu") or cell.device.startswith(("GPU-", "MIG-")):
        reason = f"{cell.parallel} takes the GPUs from the first on, not {cell.device} alone"
        return reason, "--device cuda; CUDA_VISIBLE_DEVICES says which there are"
    if accelerator is None:
        return None
    if accelerator.kind not in _DEVICES:
        return f"{cell.parallel} is for NVIDIA GPUs, not for {accelerator.kind}", _ALONE
    if cell.ranks == 1:
        if accelerator.kind == "cpu":
            reason = f"{cell.parallel} deals layers to GPUs, and a CPU is one device"
            return reason, "--parallel tp=2, which a CPU can do"
        if cell.parallel == "pp" and count_devices(accelerator.kind) == 1:
            return "pp deals layers to several GPUs: this machine shows 1", "--parallel auto"
        return None
    on_cpu = accelerator.kind == "cpu"
    count = len(get_cores(cell.device)) if on_cpu else 0
    count = count or count_devices(accelerator.kind) or 0
    if count and cell.ranks > count:
        needed, has = f"{cell.ranks} GPUs", f"this machine shows {count}"
        if on_cpu:
            needed, has = f"{cell.ranks} cores", f"this process may use {count}"
        reason = f"{cell.parallel} needs {needed}: {has}"
        return reason, f"--parallel tp={count}" if count > 1 else _ALONE
    return None


def _explain_libraries(cell: Cell) -> Refusal | None:
    if cell.ranks == 1:
        return None
    try:
        installed = version("transformers")
    except PackageNotFoundError:
        return None
    numbers = re.findall(r"\d+", installed)
    if tuple(map(int, numbers[:2])) < LEAST_TRANSFORMERS:
        least = ".".join(map(str, LEAST_TRANSFORMERS))
        return (
            f"{cell.parallel} needs transformers {least} or newer, not {installed}",
            "pip install -U transformers",
        )
    return None


def _explain_model(cell: Cell) -> Refusal | None:
    config, path = find_config(cell.model), find_files(cell.model)
    if cell.model.endswith(".gguf"):
        return f"{cell.parallel} reads safetensors, not .gguf", "the model it was made from"
    if config is None:
        return None
    if find_quantisation(config) is not None and cell.weights != "random":
        return f"{cell.parallel} takes plain weights, and {cell.model} is stored quantised", _ALONE
    size = read_dimensions(config, detect_family(config, path))
    return None if size is None else explain_uneven_heads(cell, size.heads, size.kv_heads)


def explain_uneven_heads(cell: Cell, heads: int, kv_heads: int) -> Refusal | None:
    """Return reason and hint if the ranks of `cell` cannot have equal numbers of heads."""
    uneven = [
        f"{count} {noun}"
        for count, noun in ((heads, "attention heads"), (kv_heads, "key-value heads"))
        if count % cell.ranks
    ]
    if not uneven:
        return None
    fitting = [n for n in range(2, kv_heads + 1) if heads % n == 0 == kv_heads % n]
    hint = f"--parallel tp={fitting[0]}" if fitting else _ALONE
    return f"{cell.parallel} cannot deal {' and '.join(uneven)} evenly", hint
