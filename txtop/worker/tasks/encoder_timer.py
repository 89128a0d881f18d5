"""The time that an encoder-decoder spends in its encoder, which generate() calls once.

See docs/method.md, "Clock and boundaries".
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import Any

import torch
from torch import nn


class EncoderTimer:
    """Two hooks that mark the start and the end of the latest pass of an encoder.

    On a GPU the host is past the encoder before the device has begun it, so there the marks are
    events of the device. Recording one does not wait.
    """

    def __init__(self, encoder: nn.Module, device: torch.device) -> None:
        self._span_ns = [0, 0]
        self._events: list[Any] = []
        if device.type != "cpu":
            module = getattr(torch, device.type)
            self._events = [module.Event(enable_timing=True) for _ in self._span_ns]
        encoder.register_forward_pre_hook(lambda *_: self._mark(0))
        encoder.register_forward_hook(lambda *_: self._mark(1))

    def read_ns(self) -> int:
        """Return the duration of the latest pass. Call it once a later result is on the host."""
        if self._events:
            return int(self._events[0].elapsed_time(self._events[1]) * 1e6)
        return self._span_ns[1] - self._span_ns[0]

    def _mark(self, edge: int) -> None:
        if self._events:
            self._events[edge].record()
        else:
            self._span_ns[edge] = perf_counter_ns()
