"""Which attention kernel really ran: read from one untimed pass under torch's profiler."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from txtop.errors import TxtopError
from txtop.worker.tasks.task import ModelInputs, Task

# Longer names first: the flash kernel of a CPU is called `..._flash_attention_for_cpu`.
_SIGNS = (
    ("_scaled_dot_product_flash_attention", "flash"),
    ("_scaled_dot_product_efficient_attention", "efficient"),
    ("_scaled_dot_product_cudnn_attention", "cudnn"),
    ("_scaled_dot_product_attention_math", "math"),
    ("flash_attn_3", "flash_attention_3"),
    ("flash_attn", "flash_attention_2"),
    ("flex_attention", "flex"),
)
_SDPA = "scaled_dot_product_attention"


def identify_kernel(operators: Iterable[str], *, compiled: bool = False) -> str:
    """`flash`, `math`, …, several joined by `+`; `eager` where no fused attention was called.

    Flex attention shows as compiled code in a model that is not `compiled` itself.
    """
    found = set()
    for operator in operators:
        sign = next((name for part, name in _SIGNS if part in operator), None)
        if sign is None and operator.endswith(_SDPA):
            sign = ""
        if sign is not None:
            found.add(sign)
        elif "CompiledFxGraph" in operator and not compiled:
            found.add("flex")
    if found == {""}:
        return "sdpa"
    return "+".join(sorted(found - {""})) or "eager"


def is_unexpected_kernel(asked: str, ran: str | None) -> bool:
    """Whether `ran` is another kernel than `asked` promises; plain sdpa promises none of them."""
    if ran is None:
        return False
    if asked == "sdpa":
        return ran == "eager"
    return ran != asked.removeprefix("sdpa:")


class _Profiles:
    """Operators of the first two phases: a token on the host ends one and begins the next."""

    def __init__(self, device: torch.device) -> None:
        kinds = [torch.profiler.ProfilerActivity.CPU]
        if device.type == "cuda":
            kinds.append(torch.profiler.ProfilerActivity.CUDA)
        self._kinds = kinds
        self.phases: list[list[str]] = []
        self._open: torch.profiler.profile | None = self._start()

    def _start(self) -> torch.profiler.profile:
        profile = torch.profiler.profile(activities=self._kinds)
        profile.start()
        return profile

    def step(self) -> None:
        self.stop()
        if len(self.phases) < 2:
            self._open = self._start()

    def stop(self) -> None:
        if self._open is not None:
            self._open.stop()
            self.phases.append([event.name for event in self._open.events() or ()])
        self._open = None


def inspect_kernels(
    task: Task, inputs: ModelInputs, device: torch.device
) -> tuple[str, str | None]:
    """Kernels of prefill (or of an encoder's forward) and of the first decode step, if there is
    one. Raises `TxtopError` where one is not what the cell asks for.
    """
    encodes, compiled = task.encodes, inputs.cell.compile != "none"
    # Another length would be another shape of the static cache, and compiled anew.
    short = inputs if compiled else inputs.shortened(2)
    profiles = _Profiles(device)
    try:
        task.iterate(short, False, None, (lambda: None) if encodes else profiles.step)
    finally:
        profiles.stop()
    prefill = identify_kernel(profiles.phases[0], compiled=compiled)
    decode = None
    if not encodes and short.cell.new_tokens > 1:
        decode = identify_kernel(profiles.phases[1], compiled=compiled)
    for phase, ran in (("the forward pass" if encodes else "prefill", prefill), ("decode", decode)):
        if is_unexpected_kernel(inputs.cell.attention, ran):
            cause = f"{inputs.cell.attention} attention was asked for and {ran} ran in {phase}"
            raise TxtopError(cause, "another --attention, or sdpa, which takes what fits")
    return prefill, decode
