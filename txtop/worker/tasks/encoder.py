"""The task of a model that makes no tokens: one forward pass over a batch of sequences."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import torch

from txtop.plan.cell import Cell
from txtop.worker.loading import attention
from txtop.worker.tasks.task import IterationResult, LogitsCheck, ModelInputs, make_inputs
from txtop.worker.tasks.token_timer import OnSteps, OnTokens


class EncoderTask:
    """A model with the head or the pooler that it has. Its iterations have no tokens and no steps.

    Sequences end with the id `end`, unless it is `None`.
    """

    encodes = True

    def __init__(self, model: Any, device: torch.device, end: int | None = None) -> None:
        self._model = model
        self._end = end
        self._forward = model
        self._device = device

    def warm(self) -> None:
        """Run one sequence of eight tokens."""
        cell = Cell(id="", model="", sequence_length=8)
        vocabulary = self._model.config.get_text_config().vocab_size
        inputs = make_inputs(cell, vocabulary, 0, self._device, self._end)
        self.iterate(inputs, False, None, lambda: None)

    def compile(self, cell: Cell) -> None:
        """Compile the model for one shape, so that sizes become constants."""
        self._forward = torch.compile(self._model, mode=cell.compile, dynamic=False)

    def assist(self, assistant: Any) -> None:
        """Do nothing: a forward pass makes no tokens."""

    def begin_cell(self) -> None:
        """Do nothing: a forward pass leaves nothing behind."""

    @property
    def lags(self) -> bool:
        return False

    def iterate(
        self,
        inputs: ModelInputs,
        check: bool,
        _on_steps: OnSteps | None,
        after_step: Callable[[], None],
        _on_tokens: OnTokens | None = None,
    ) -> IterationResult:
        """Run one forward pass and wait for the device, with `after_step` before and after it."""
        after_step()
        hidden = LogitsCheck(encodes=True)
        handle = self._model.register_forward_hook(hidden) if check else None
        try:
            with torch.inference_mode(), attention.use_kernel(inputs.cell.attention):
                start_ns = perf_counter_ns()
                self._forward(input_ids=inputs.ids, attention_mask=inputs.mask)
                if self._device.type != "cpu":
                    torch.accelerator.synchronize()
                end_ns = perf_counter_ns()
        finally:
            if handle is not None:
                handle.remove()
        after_step()
        return IterationResult(start_ns=start_ns, e2e_ns=end_ns - start_ns, invalid=hidden.invalid)
