"""What text generation and encoding share: the inputs of a cell, the result of one iteration."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec
import torch
from torch import nn

from txtop.plan.cell import Cell
from txtop.worker.tasks.token_timer import OnSteps, OnTokens


@dataclass(frozen=True)
class ModelInputs:
    """Token ids and mask of shape (batch, sequence) on the device, and their hash on the host."""

    cell: Cell
    ids: torch.Tensor
    mask: torch.Tensor
    sha256: str

    def shortened(self, new_tokens: int) -> ModelInputs:
        """The same prompt for at most `new_tokens` tokens."""
        fewer = min(self.cell.new_tokens, new_tokens)
        return replace(self, cell=msgspec.structs.replace(self.cell, new_tokens=fewer))


@dataclass(frozen=True)
class IterationResult:
    """One iteration, in the words of the `iteration` event."""

    start_ns: int
    e2e_ns: int
    ttft_ns: int | None = None
    tokens: int = 0
    encoder_ns: int | None = None
    device_prefill_ns: int | None = None
    device_decode_ns: int | None = None
    lag: bool = False
    invalid: int = 0


class Task(Protocol):
    """A loaded model and the way it is measured; `encodes` where it makes no tokens."""

    encodes: bool

    def warm(self) -> None:
        """One small pass right after loading."""

    def compile(self, cell: Cell) -> None:
        """Compiles the model as `cell` asks; its code is made when it is first called."""

    @property
    def lags(self) -> bool:
        """Whether the streamer was found to be a step late."""

    def iterate(
        self,
        inputs: ModelInputs,
        check: bool,
        on_steps: OnSteps | None,
        after_step: Callable[[], None],
        on_tokens: OnTokens | None = None,
    ) -> IterationResult:
        """One call. `check` also counts logits that are NaN or Inf, outside measured iterations."""


def make_inputs(cell: Cell, vocabulary: int, seed: int, device: torch.device) -> ModelInputs:
    """Seeded ids of shape (batch_size, sequence_length), unpadded, and sha256 of their int64s."""
    shape = (cell.batch_size, cell.sequence_length)
    ids = torch.randint(vocabulary, shape, generator=torch.Generator().manual_seed(seed))
    digest = hashlib.sha256(ids.numpy().tobytes()).hexdigest()
    return ModelInputs(cell, ids.to(device), torch.ones_like(ids).to(device), digest)


class LogitsCheck:
    """A hook that counts NaN and Inf in the last position of what a model returns."""

    def __init__(self) -> None:
        self.invalid = 0

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> None:
        values = output.logits[:, -1] if "logits" in output else output.last_hidden_state
        # The sum is 100 times cheaper than isfinite() and finite in all but pathological cases.
        if not math.isfinite(values.sum().item()):
            self.invalid += values.numel() - int(torch.isfinite(values).sum())
