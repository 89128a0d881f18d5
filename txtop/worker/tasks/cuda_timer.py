"""Device times on CUDA: events around every forward pass, read once they have passed.

See docs/method.md, "Clock and boundaries".
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import torch
from torch import nn

from txtop.units import NS_PER_MS

_POLL_S = 0.0002


class CudaTimes(NamedTuple):
    """Times on the device in ns: the encoder, the encoder and the first pass, the later passes."""

    encoder_ns: int | None
    prefill_ns: int | None
    decode_ns: int | None


class CudaTimer:
    """Hooks that record events around the passes of a model and of its encoder, if it has one.

    Recording an event does not wait for the device.
    """

    def __init__(self, model: nn.Module, encoder: nn.Module | None) -> None:
        self._pool: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []
        self._used = 0
        self._encoder = -1
        self._watch(model, is_encoder=False)
        if encoder is not None:
            self._watch(encoder, is_encoder=True)

    def start(self) -> None:
        """Forget the previous call."""
        self._used = 0
        self._encoder = -1

    def read(self) -> CudaTimes:
        """Poll until the last event has passed, then return the times since `start`."""
        if not self._used:
            return CudaTimes(None, None, None)
        while not self._pool[self._used - 1][1].query():
            time.sleep(_POLL_S)
        used = self._pool[: self._used]
        spans = [int(begin.elapsed_time(end) * NS_PER_MS) for begin, end in used]
        encoder = spans.pop(self._encoder) if self._encoder >= 0 else None
        prefill = (encoder or 0) + spans[0] if spans else encoder
        return CudaTimes(encoder, prefill, sum(spans[1:]))

    def _watch(self, module: nn.Module, *, is_encoder: bool) -> None:
        open_span: list[int] = []

        def before(*_: Any) -> None:
            if self._used == len(self._pool):
                self._pool.append((_event(), _event()))
            if is_encoder:
                self._encoder = self._used
            self._pool[self._used][0].record()
            open_span.append(self._used)
            self._used += 1

        def after(*_: Any) -> None:
            self._pool[open_span.pop()][1].record()

        module.register_forward_pre_hook(before)
        module.register_forward_hook(after)


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)
