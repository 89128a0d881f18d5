"""The rules by which a KV cache, or drafting tokens, can be had: readable without torch.

The command line and the matrix builder read them before loading, the worker again with the device
that torch reports. `CACHES` is the one table of caches: a new one is an entry there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from txtop.models.attention_kernels import Accelerator
from txtop.models.builtin import Family
from txtop.models.model_config import find_family
from txtop.plan.cell import Cache, Cell

Refusal = tuple[str, str]
"""The reason, and the next step."""


@dataclass(frozen=True)
class CacheKind:
    """The way one KV cache is made, and its conditions.

    `implementation` is its name in transformers. A quantised one names the `backend` there, and
    the `bits` where the backend has several; it is for decoders. `package` is the library that it
    needs, `accelerator` the only kind of device that has it.
    """

    implementation: str | None = None
    backend: str = ""
    bits: int | None = None
    package: str = ""
    accelerator: str = ""
    compiles: bool = False
    """Compiled code takes it."""


CACHES: Mapping[Cache, CacheKind] = {
    "dynamic": CacheKind(compiles=True),
    "static": CacheKind("static", compiles=True),
    "quantized:fp8": CacheKind("quantized", backend="fp8"),
    "quantized:int8": CacheKind("quantized", backend="hqq", bits=8, package="hqq"),
    "quantized:int4": CacheKind("quantized", backend="hqq", bits=4, package="hqq"),
    "offloaded": CacheKind("offloaded", accelerator="cuda"),
}


def explain_missing_cache(
    cell: Cell, family: Family | None, accelerator: Accelerator | None
) -> Refusal | None:
    """Return reason and hint if the KV cache of `cell` cannot be had here.

    What is not known (`None`) decides nothing. An encoder ignores the cache.
    """
    kind = CACHES[cell.cache]
    if family == "encoder":
        return None
    if kind.accelerator and accelerator is not None and accelerator.kind != kind.accelerator:
        reason = "an offloaded cache waits in the host's memory for an NVIDIA GPU"
        return f"{reason}, not for {accelerator.kind}", "--cache dynamic"
    if kind.backend and family == "seq2seq":
        return "a quantised cache is for decoders, not for encoder-decoders", "--cache dynamic"
    if cell.compile != "none" and not kind.compiles:
        return f"--compile knows no {cell.cache} cache", "--cache dynamic or static"
    if kind.package and find_spec(kind.package) is None:
        install = f"pip install {kind.package}, or txtop[cache]"
        return f"a {cell.cache} cache needs the library {kind.package}", install
    return None


def explain_missing_speculation(cell: Cell, family: Family | None) -> Refusal | None:
    """Return reason and hint if tokens cannot be drafted in `cell`."""
    if cell.speculative == "none" or family == "encoder":
        return None
    if family == "seq2seq":
        return "speculative decoding is for decoders here", "--speculative none"
    if cell.assistant and find_family(cell.assistant) in ("encoder", "seq2seq"):
        return f"the assistant {cell.assistant} is no decoder", "a smaller decoder"
    if cell.batch_size > 1:
        return "speculative decoding takes one sequence at a time", "--batch-sizes 1"
    if cell.cache != "dynamic":
        reason = "speculative decoding takes tokens back, which only a dynamic cache can"
        return reason, "--cache dynamic"
    if cell.compile != "none":
        return "speculative decoding has steps of many lengths", "--compile none"
    return None
