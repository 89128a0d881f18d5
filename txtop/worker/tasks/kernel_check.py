"""The attention kernel that ran, read from one untimed pass under the profiler of torch.

The library itself only reports `sdpa`. The profiler records the host alone: CUPTI, once started,
stays attached and slows all that follows (pytorch/pytorch#144455). See docs/method.md, "Attention
kernels".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from txtop.errors import TxtopError
from txtop.plan.cell import GRAPH_COMPILES
from txtop.plan.modes import DENSE, Proof
from txtop.worker.tasks.device_profile import measure_union
from txtop.worker.tasks.task import ModelInputs, Task

# Parts of the names of operators, and of the device's kernels where a profile has them: under a
# CUDA graph no operator is called. Names that contain another come first: the flash kernel of a
# CPU is called `..._flash_attention_for_cpu`.
_SIGNS = (
    ("_scaled_dot_product_flash_attention", "flash"),
    ("_scaled_dot_product_efficient_attention", "efficient"),
    ("_scaled_dot_product_cudnn_attention", "cudnn"),
    ("_scaled_dot_product_attention_math", "math"),
    ("pytorch_flash::", "flash"),
    ("fmha_cutlass", "efficient"),
    ("cudnn_generated_fort_native_sdpa", "cudnn"),
    ("FlashAttnFwdSm90", "flash_attention_3"),
    ("flash::flash_fwd", "flash_attention_2"),
    ("flash_attn_3", "flash_attention_3"),
    ("flash_attn", "flash_attention_2"),
    ("flex_attention", "flex"),
)
_COLLECTIVES = "gloo:"
_SDPA = "scaled_dot_product_attention"


def identify_kernel(
    operators: Iterable[str], *, compiled: bool = False, replayed: bool = False
) -> str | None:
    """Return `flash`, `math` or the like, several joined by `+`; `eager` without fused attention.

    Flex attention appears as compiled code in a model that is not itself `compiled`. Return None
    if nothing is recognised in a CUDA graph that is `replayed`, whose operators are not called.
    """
    kernels = set()
    for operator in operators:
        sign = next((name for part, name in _SIGNS if part in operator), None)
        if sign is None and operator.endswith(_SDPA):
            sign = ""
        if sign is not None:
            kernels.add(sign)
        elif "CompiledFxGraph" in operator and not compiled:
            kernels.add("flex")
    if kernels == {""}:
        return "sdpa"
    return "+".join(sorted(kernels - {""})) or (None if replayed else "eager")


def is_unexpected_kernel(requested: str, actual: str | None) -> bool:
    """Return True if `actual` is not what `requested` promises; `sdpa` allows any fused kernel."""
    if actual is None:
        return False
    if requested == "sdpa":
        return actual == "eager"
    return actual != requested.removeprefix("sdpa:")


class _Profiles:
    """The operators of the first two phases; each token on the host ends a phase."""

    def __init__(self) -> None:
        self.phases: list[list[str]] = []
        self.communication: list[float] = []
        """The share of each phase in which ranks exchanged data, or waited for one another."""
        self._open: torch.profiler.profile | None = self._start()

    def _start(self) -> torch.profiler.profile:
        profile = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU])
        profile.start()
        return profile

    def step(self) -> None:
        self.stop()
        if len(self.phases) < 2:
            self._open = self._start()

    def stop(self) -> None:
        if self._open is not None:
            self._open.stop()
            profiled = list(self._open.events() or ())
            self.phases.append([event.name for event in profiled])
            self.communication.append(measure_communication(profiled))
        self._open = None


@dataclass(frozen=True)
class RanKernels:
    """The kernels that were seen to run.

    Attention is that of prefill (or of an encoder's pass) and of the first decode step, if any;
    None for what a CUDA graph replays: its kernel cannot be seen from the host. `products` are the
    operators that multiplied quantised weights; it `dequantises` if there were dense ones alone.
    """

    prefill: str | None
    decode: str | None
    products: tuple[str, ...] = ()
    dequantises: bool = False
    communication: tuple[float, ...] = ()
    """Of the same phases: their share in which ranks exchanged data. Empty on a GPU, whose
    collectives the host does not see."""


def measure_communication(profiled: Sequence[Any]) -> float:
    """Return the share of a profiled phase in which a collective of gloo was under way, 0 to 1."""
    spans = [(e.time_range.start, e.time_range.end) for e in profiled]
    if not spans:
        return 0.0
    whole = max(end for _, end in spans) - min(start for start, _ in spans)
    exchanged = [
        span
        for event, span in zip(profiled, spans, strict=True)
        if event.name.startswith(_COLLECTIVES)
    ]
    return min(1.0, measure_union(exchanged) / whole) if whole else 0.0


def find_products(operators: Iterable[str], signs: Sequence[str]) -> tuple[str, ...]:
    """Return the operators whose names contain one of `signs`, each once, without `aten::`."""
    names = dict.fromkeys(name.removeprefix("aten::") for name in operators)
    return tuple(name[:200] for name in names if any(sign in name for sign in signs))


def inspect_kernels(
    task: Task, inputs: ModelInputs, device: torch.device, proof: Proof = DENSE
) -> RanKernels:
    """Return the kernels of one short pass.

    The operators of `proof` are looked for in the last phase, which for text is the decode step.
    Compiled code has kernels of its own, of which nothing is said.

    Raises `TxtopError` if one is not what the cell asks for.
    """
    encodes, compiled = task.encodes, inputs.cell.compile != "none"
    # Another length would be another shape of the static cache and would be compiled again; and two
    # tokens may come in one step.
    drafts = inputs.cell.speculative != "none"
    short = inputs if compiled or drafts else inputs.shortened(2)
    graphs = device.type == "cuda" and inputs.cell.compile in GRAPH_COMPILES
    profiles = _Profiles()
    try:
        result = task.iterate(short, False, None, (lambda: None) if encodes else profiles.step)
    finally:
        profiles.stop()
    # generate() compiles the decode steps alone; prefill is eager.
    replayed = graphs and encodes
    prefill = identify_kernel(profiles.phases[0], compiled=compiled, replayed=replayed)
    decode = None
    if not encodes and (result.steps or short.cell.new_tokens) > 1:
        decode = identify_kernel(profiles.phases[1], compiled=compiled, replayed=graphs)
    for phase, kernel in (
        ("the forward pass" if encodes else "prefill", prefill),
        ("decode", decode),
    ):
        if is_unexpected_kernel(inputs.cell.attention, kernel):
            cause = f"{inputs.cell.attention} attention was asked for and {kernel} ran in {phase}"
            raise TxtopError(cause, "another --attention, or sdpa, which takes what fits")
    signs = proof.select(device.type)
    products = find_products(profiles.phases[-1], signs)
    if find_products(profiles.phases[-1], proof.widen):
        products = ()
    dequantises = bool(signs) and not products and not compiled
    shares = () if device.type == "cuda" else tuple(profiles.communication)
    return RanKernels(prefill, decode, products, dequantises, shares)
