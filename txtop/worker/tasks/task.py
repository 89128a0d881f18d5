"""The interface of text generation and encoding: inputs, result of an iteration, and `Task`."""

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
    """Token ids and mask of shape (batch, sequence) on the device, and the sha256 of the ids.

    `prompt_tokens` counts those of a padded batch without its padding, `None` for random ids.
    """

    cell: Cell
    ids: torch.Tensor
    mask: torch.Tensor
    sha256: str
    prompt_tokens: int | None = None

    def shortened(self, new_tokens: int) -> ModelInputs:
        """Return the same prompt with at most `new_tokens` tokens to make."""
        fewer = min(self.cell.new_tokens, new_tokens)
        return replace(self, cell=msgspec.structs.replace(self.cell, new_tokens=fewer))


@dataclass(frozen=True)
class IterationResult:
    """The fields of one `iteration` event; `None` for a time that the task does not have."""

    start_ns: int
    e2e_ns: int
    ttft_ns: int | None = None
    tokens: int = 0
    encoder_ns: int | None = None
    lag: bool = False
    invalid: int = 0
    cache_bytes: int | None = None
    steps: int | None = None
    drafted: int | None = None


class Task(Protocol):
    """A loaded model and the way to run it once. `encodes` is True if it makes no tokens."""

    encodes: bool

    def warm(self) -> None:
        """Run one small pass right after loading."""

    def compile(self, cell: Cell) -> None:
        """Compile the model as `cell` asks. The compiler runs on the first call."""

    def assist(self, assistant: Any) -> None:
        """Let the model `assistant` draft tokens in the cells that ask for one."""

    def begin_cell(self) -> None:
        """Forget what earlier cells of this worker left in the model."""

    @property
    def lags(self) -> bool:
        """Return True if the streamer was found to be a step late."""

    def iterate(
        self,
        inputs: ModelInputs,
        check: bool,
        on_steps: OnSteps | None,
        after_step: Callable[[], None],
        on_tokens: OnTokens | None = None,
    ) -> IterationResult:
        """Run one call. `check` also counts NaN and Inf; it is not for measured iterations.

        `on_steps` gets gaps between tokens, `on_tokens` the ids of each step. `after_step` may
        raise to end the call.
        """


def make_inputs(
    cell: Cell, vocabulary: int, seed: int, device: torch.device, end: int | None = None
) -> ModelInputs:
    """Draw seeded ids of shape (batch_size, sequence_length), unpadded, hashed as int64.

    With an `end` that id is the last of each sequence and occurs nowhere else.
    """
    shape = (cell.batch_size, cell.sequence_length)
    ids = torch.randint(vocabulary, shape, generator=torch.Generator().manual_seed(seed))
    if end is not None:
        ids = end_with(ids, end)
    digest = hashlib.sha256(ids.numpy().tobytes()).hexdigest()
    return ModelInputs(cell, ids.to(device), torch.ones_like(ids).to(device), digest)


def end_with(ids: torch.Tensor, end: int) -> torch.Tensor:
    """Return `ids` with `end` in the last position of each sequence and nowhere else."""
    ids = ids.masked_fill(ids == end, end - 1 if end else 1)
    ids[..., -1] = end
    return ids


class LogitsCheck:
    """A forward hook that counts NaN and Inf: in the logits of the last position of text, or in the
    output of one forward pass, be it hidden states or that of a head.
    """

    def __init__(self, *, encodes: bool = False) -> None:
        self.invalid = 0
        self._encodes = encodes

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> None:
        values = output[0] if self._encodes else output.logits[:, -1]
        # The sum is 100 times cheaper than isfinite() and finite in all but pathological cases.
        if not math.isfinite(values.sum().item()):
            self.invalid += values.numel() - int(torch.isfinite(values).sum())
