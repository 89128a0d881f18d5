"""The work of a step, counted from its tensors: bytes, FLOPs, and weights that are converted.

A pass of its own under a dispatch mode of torch, which no clock sees.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from txtop.worker.explain.ranges import CACHE

_NARROW = (torch.int8, torch.uint8, torch.float8_e4m3fn, torch.float8_e5m2)
_PLAIN = (torch.Tensor, nn.Parameter)
_LOOKUPS = ("embedding", "index_select", "gather")
LEAST_CONVERTED = 1 << 14
"""Values in a tensor of weights; smaller conversions are masks and ids."""


@dataclass
class Work:
    """The bytes that operators read and write, and their FLOPs."""

    read_bytes: int = 0
    written_bytes: int = 0
    flops: int = 0


class WorkCounter(TorchDispatchMode):
    """Count the work of each kind of module while it is started.

    A view moves no bytes. A lookup reads the rows that it returns. `kinds` tells the kind of the
    module that runs.
    """

    def __init__(self, kinds: KindTracker) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._kinds = kinds
        self.by_kind: dict[str, Work] = defaultdict(Work)
        self.converted_bytes = 0

    def start(self) -> None:
        """Count from here on."""
        self.__enter__()  # type: ignore[no-untyped-call]

    def stop(self) -> None:
        """Stop counting."""
        self.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run an operator and count it, one that is made of others as these.

        A tensor of a quantiser is taken apart by its own class first.
        """
        if any(kind not in _PLAIN for kind in types):
            return NotImplemented
        named = kwargs or {}
        packet = function._overloadpacket
        if packet not in flop_registry:
            with self:
                inner = function.decompose(*args, **named)
            if inner is not NotImplemented:
                return inner
        result = function(*args, **named)
        work = self.by_kind[self._kinds.current]
        if (formula := flop_registry.get(packet)) is not None:
            work.flops += int(formula(*args, **named, out_val=result))
        if function.is_view:
            return result
        inputs = {id(tensor): tensor for tensor in _find_tensors((args, named))}
        outputs = {id(tensor): tensor for tensor in _find_tensors(result)}
        written = sum(count_bytes(tensor) for tensor in outputs.values())
        is_lookup = packet.__name__ in _LOOKUPS
        work.written_bytes += written
        work.read_bytes += (
            written if is_lookup else sum(count_bytes(tensor) for tensor in inputs.values())
        )
        if self._converts(inputs.values(), outputs.values()):
            self.converted_bytes += written
        return result

    def _converts(self, inputs: Any, outputs: Any) -> bool:
        """Check if weights of 8 bits or fewer become floats of the same shape."""
        return any(
            source.dtype in _NARROW
            and source.numel() >= LEAST_CONVERTED
            and any(o.is_floating_point() and o.numel() == source.numel() for o in outputs)
            for source in inputs
        )


class KindTracker:
    """The kind of the module that runs at the moment, by hooks of its own."""

    def __init__(self, model: nn.Module, kinds: Mapping[str, str]) -> None:
        self._model = model
        self._kinds = kinds
        self._open: list[str] = []
        self._handles: list[Any] = []

    @property
    def current(self) -> str:
        """Return the kind of the innermost module, `sampling` outside of the model."""
        return self._open[-1] if self._open else "sampling"

    def __enter__(self) -> KindTracker:
        from transformers.cache_utils import Cache

        for path, kind in self._kinds.items():
            module = self._model.get_submodule(path)
            self._handles.append(
                module.register_forward_pre_hook(lambda *_, kind=kind: self._open.append(kind))
            )
            self._handles.append(module.register_forward_hook(lambda *_: self._leave()))
        self._update = update = Cache.update

        def tracked(*args: Any, **named: Any) -> Any:
            self._open.append(CACHE)
            try:
                return update(*args, **named)
            finally:
                self._open.pop()

        Cache.update = tracked  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        from transformers.cache_utils import Cache

        Cache.update = self._update  # type: ignore[method-assign]
        for handle in self._handles:
            handle.remove()

    def _leave(self) -> None:
        if self._open:
            self._open.pop()


def count_bytes(tensor: torch.Tensor) -> int:
    """Return the bytes that reading `tensor` once moves; an expanded one holds fewer than it has.

    A tensor of a quantiser reports the size of what it represents; its parts are stored.
    """
    flatten = getattr(tensor, "__tensor_flatten__", None)
    if flatten is not None:
        parts = (getattr(tensor, name) for name in flatten()[0])
        return sum(count_bytes(part) for part in parts if isinstance(part, torch.Tensor))
    values = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        values *= size if stride else 1
    return values * tensor.element_size()


def _find_tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _find_tensors(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _find_tensors(part)
