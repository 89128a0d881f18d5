"""Ranges around the modules of a model, so that a profile tells which of them an operator is in.

A module's `forward` is replaced by one that opens a range of torch's profiler, named
`module:PATH`. Without a profiler that is running a range costs less than a microsecond.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from torch import nn

# Private: the range of the public `record_function` takes ten times as long.
from torch._C._profiler import _RecordFunctionFast

Range = _RecordFunctionFast
PREFIX = "module:"
STEP = "txtop:step"
"""The mark at each border of a step."""
MODEL = ""
"""The path of the model itself."""
CACHE = "cache"
REST = "rest"
# The names of classes in transformers, innermost module first. What matches none belongs to the
# module around it.
_KINDS = (
    ("norm", re.compile(r"Norm")),
    ("attention", re.compile(r"Attention|Attn")),
    ("mlp", re.compile(r"MLP|FeedForward|FFN?$|DenseReluDense|Dense(Gated)?ActDense|Intermediate")),
    ("mlp", re.compile(r"Experts?$|MoE|SparseMoe|LayerFF$|(?<!Self)(?<!Model)Output$")),
)
_EMBEDDING = re.compile(r"Embedding")
_HEADS = frozenset(
    [
        "lm_head",
        "cls",
        "classifier",
        "score",
        "pooler",
        "qa_outputs",
        "pre_classifier",
        "vocab_projector",
        "generator",
    ]
)


def classify_module(module: nn.Module, name: str, around: str, *, is_head: bool = False) -> str:
    """Return the kind of `module`, called `name`, within a module of the kind `around`.

    A table of positions within attention belongs to the attention.
    """
    if around == "head" or is_head or (around == REST and name in _HEADS):
        return "head"
    label = type(module).__name__
    kind = next((kind for kind, pattern in _KINDS if pattern.search(label)), "")
    if kind:
        return kind
    if around == REST and _EMBEDDING.search(label):
        return "embedding"
    return around


def list_kinds(model: nn.Module) -> dict[str, str]:
    """Return the kind of each module that gets a range, by its path.

    They are all that hold others, and of those that do not all that have a kind of their own.
    """
    head = getattr(model, "get_output_embeddings", lambda: None)()
    kinds = {MODEL: REST}

    def descend(module: nn.Module, path: str, around: str) -> None:
        for name, child in module.named_children():
            place = f"{path}.{name}" if path else name
            kind = classify_module(child, name, around, is_head=child is head)
            if kind != around or next(child.children(), None) is not None:
                kinds[place] = kind
            descend(child, place, kind)

    descend(model, MODEL, REST)
    return kinds


Wrap = Callable[[Callable[..., Any], str], Callable[..., Any]]


def wrap_in_range(call: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return `call` within a range."""

    @wraps(call)
    def ranged(*args: Any, **named: Any) -> Any:
        with Range(name):
            return call(*args, **named)

    return ranged


@contextmanager
def wrapped_calls(
    model: nn.Module, kinds: dict[str, str], wrap: Wrap = wrap_in_range
) -> Iterator[None]:
    """Replace the call of each module in `kinds`, and each update of a KV cache, by what `wrap`
    makes of it and its name."""
    from transformers.cache_utils import Cache

    update = Cache.update
    wrapped: list[tuple[nn.Module, Any]] = []
    try:
        for path in kinds:
            module = model.get_submodule(path)
            wrapped.append((module, vars(module).get("forward")))
            module.forward = wrap(module.forward, PREFIX + path)
        Cache.update = wrap(update, PREFIX + CACHE)  # type: ignore[method-assign]
        yield
    finally:
        Cache.update = update  # type: ignore[method-assign]
        for module, own in wrapped:
            if own is None:
                del module.forward
            else:
                module.forward = own
