"""The bytes that a model's weights take: the sum over its storages, each once.

A quantised weight says it has the shape of what it stands for, and its scales hang beside it in
attributes: shapes and parameters alone would count a dense model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

_DEPTH = 8
# Objects of these libraries hold tensors: the state of a quantised weight.
_LIBRARIES = ("bitsandbytes.", "gptqmodel.", "torchao.", "compressed_tensors.")
_EMBEDDED = (nn.Embedding,)
# The tensors that each kernel of gptqmodel reads once it has packed the weights anew: what it
# packed them from stays in memory. By class of module, from the source of gptqmodel 7.7.
_INT4PACK = ("qweight", "scales_and_zeros", "ret_idx", "bias")
_AVX512 = ("qweight", "qzeros", "scales", "ret_idx", "bias")
_READ = {
    "TorchFusedLinear": _INT4PACK,
    "TorchFusedAwqLinear": _INT4PACK,
    "TorchAtenLinear": _INT4PACK,
    "TorchAtenAwqLinear": _INT4PACK,
    "TorchCpuAvx512Linear": _AVX512,
    "TorchCpuAvx512AwqLinear": _AVX512,
}


Storages = Iterator[tuple[int, int]]
"""Key and size of each."""


@dataclass(frozen=True)
class Product:
    """The weights of one module that multiplies: what they stand for, and what they take."""

    kind: str
    elements: int
    stored_bytes: int

    @property
    def bits(self) -> float:
        """Return the stored bits of one weight, scales included."""
        return 8 * self.stored_bytes / self.elements


def count_stored_bytes(model: nn.Module) -> int:
    """Return the bytes of all storages of `model`, each once: weights, scales and buffers."""
    return _count_bytes(model, _iterate_module_storages)


def count_read_bytes(model: nn.Module) -> int:
    """Return the bytes of the storages that a pass through all of `model` reads, each once.

    They are fewer than it holds where a kernel keeps what it packed its weights from.
    """
    return _count_bytes(model, _iterate_read_storages)


def _count_bytes(model: nn.Module, iterate: Callable[[nn.Module], Storages]) -> int:
    storages: dict[int, int] = {}
    packed = 0
    for module in model.modules():
        storages.update(iterate(module))
        packed += _count_packed_bytes(module)
    return sum(storages.values()) + packed


def list_products(model: nn.Module) -> list[Product]:
    """List the modules that multiply, weights that several share once."""
    products: list[Product] = []
    counted: set[frozenset[int]] = set()
    for module in model.modules():
        if isinstance(module, _EMBEDDED) or not (elements := _count_elements(module)):
            continue
        # A kernel may keep its packed weights in a part of its own.
        storages = dict(
            pair for part in module.modules() for pair in _iterate_module_storages(part)
        )
        bias = getattr(module, "bias", None)
        if isinstance(bias, torch.Tensor):
            storages.pop(bias.untyped_storage()._cdata, None)
        key = frozenset(storages)
        if key and key in counted:
            continue
        counted.add(key)
        stored = sum(storages.values()) + _count_packed_bytes(module, with_bias=False)
        if stored:
            products.append(Product(_name_kind(module), elements, stored))
    return products


def sum_by_kind(products: list[Product]) -> dict[str, int]:
    """Return the stored bytes of products by their kind, the largest first."""
    sums: dict[str, int] = {}
    for product in products:
        sums[product.kind] = sums.get(product.kind, 0) + product.stored_bytes
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


def compute_share(products: list[Product], bits: float) -> float:
    """Return the share of matrix weights that are stored in about `bits` or fewer, 0 to 1.

    Each counts with the bytes that it would have dense. Scales and zeros may take three quarters of
    the weights themselves; the next wider type begins at twice the bits.
    """
    total = sum(product.elements for product in products)
    reached = sum(product.elements for product in products if product.bits < 1.8 * bits)
    return reached / total if total else 0.0


def has_torch_int8() -> bool:
    """Return whether this torch still has dynamic int8 layers of its own."""
    return hasattr(getattr(torch.ao, "quantization", None), "quantize_dynamic")


def is_torch_packed(module: nn.Module | None) -> bool:
    """Return whether `module` is a dynamic int8 layer of torch, whose weights are no parameters."""
    if not has_torch_int8():
        return False
    from torch.ao.nn.quantized.dynamic import Linear

    return isinstance(module, Linear)


def _count_elements(module: nn.Module) -> int:
    """Return the number of matrix weights that `module` itself multiplies with; 0 for none."""
    inputs, outputs = (getattr(module, name, None) for name in ("in_features", "out_features"))
    if isinstance(inputs, int) and isinstance(outputs, int):
        parts = (part for part in module.modules() if part is not module)
        if not any(isinstance(getattr(part, "in_features", None), int) for part in parts):
            return inputs * outputs
    own = (p for p in module.parameters(recurse=False) if p.dim() > 1)
    return sum(p.numel() for p in own)


def _name_kind(module: nn.Module) -> str:
    weight = module._parameters.get("weight")
    if weight is None:
        return type(module).__name__
    name = type(weight).__name__
    if name in ("Parameter", "DTensor"):
        name = str(weight.dtype).removeprefix("torch.")
    return f"{type(module).__name__}[{name}]"


def _iterate_module_storages(module: nn.Module) -> Iterator[tuple[int, int]]:
    """Yield key and size of the storages that `module` holds itself.

    What a dense layer recomputes, as the angles of rotary positions, is no weight.
    """
    yield from _iterate_storages(list(module._parameters.values()), _DEPTH)
    multiplies = isinstance(getattr(module, "in_features", None), int)
    kept = [
        buffer
        for name, buffer in module._buffers.items()
        if multiplies or name not in module._non_persistent_buffers_set
    ]
    yield from _iterate_storages(kept, _DEPTH)
    if not multiplies:
        return
    for name, value in vars(module).items():
        if name not in ("_parameters", "_buffers", "_modules"):
            yield from _iterate_storages(value, _DEPTH)


def _iterate_read_storages(module: Any) -> Storages:
    """Yield key and size of the storages of `module` that a step reads."""
    names = _READ.get(type(module).__name__)
    # Until its first pass, and on devices without the kernel, it multiplies what it dequantises.
    if names is None or not _is_packed(module):
        yield from _iterate_module_storages(module)
        return
    for name in names:
        # The order of the inputs is read where it is not the one that they have.
        if name != "ret_idx" or not getattr(module, "_ret_idx_identity", False):
            yield from _iterate_storages(getattr(module, name, None), _DEPTH)


def _is_packed(module: Any) -> bool:
    mode = getattr(module, "linear_mode", None)
    return str(getattr(mode, "name", mode)).lower() == "inference"


def _iterate_storages(value: Any, depth: int) -> Iterator[tuple[int, int]]:
    if depth == 0 or value is None or isinstance(value, nn.Module):
        return
    if isinstance(value, torch.Tensor):
        if (flatten := getattr(value, "__tensor_flatten__", None)) is not None:
            for name in flatten()[0]:
                yield from _iterate_storages(getattr(value, name), depth)
            return
        storage = value.untyped_storage()
        if size := storage.nbytes():
            # On the meta device every address is 0.
            yield storage._cdata, size
        yield from _iterate_storages(getattr(value, "quant_state", None), depth - 1)
        for name in ("SCB", "CB"):
            yield from _iterate_storages(getattr(value, name, None), depth - 1)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _iterate_storages(part, depth - 1)
    elif isinstance(value, dict):
        yield from _iterate_storages(list(value.values()), depth - 1)
    elif type(value).__module__.startswith(_LIBRARIES) and hasattr(value, "__dict__"):
        yield from _iterate_storages(list(vars(value).values()), depth - 1)


def _count_packed_bytes(module: Any, *, with_bias: bool = True) -> int:
    """Return the bytes of weights, scales and bias of a dynamic int8 layer of torch; else 0."""
    if not is_torch_packed(module):
        return 0
    weight, bias = module.weight(), module.bias()
    per_row = weight.qscheme() != torch.per_tensor_affine
    scales = weight.q_per_channel_scales().nbytes if per_row else 8
    stored: int = weight.numel() * weight.element_size() + scales
    return stored + (bias.nbytes if with_bias and bias is not None else 0)
