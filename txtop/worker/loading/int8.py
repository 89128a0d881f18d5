"""int8: which recipe a cell gets, the conversion itself, and how much of the model it reached."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from txtop.worker.failures import RejectedError

# METHOD, "Precision must be what it says": torch-dynamic is the fastest on a CPU and breaks
# decoders (SmolLM2-135M: KLD 1.09); weight-only keeps them (0.0061).
DEFAULT_RECIPES = {"causal": "weight-only", "seq2seq": "weight-only", "encoder": "dynamic"}
PREFIX = "int8"


def choose_recipe(precision: str, kind: str, device: str) -> str:
    """weight-only, dynamic or torch-dynamic; empty for a precision that is no int8.

    Raises `RejectedError` where the recipe has no kernels for `device`, or its library is missing.
    """
    if not precision.startswith(PREFIX):
        return ""
    name = precision.partition(":")[2] or DEFAULT_RECIPES[kind]
    if precision == PREFIX and kind == "encoder" and device == "cpu" and _has_torch_int8():
        name = "torch-dynamic"
    if name == "torch-dynamic":
        if device != "cpu":
            raise RejectedError("int8:torch-dynamic has kernels for a CPU alone", "int8:dynamic")
        if not _has_torch_int8():
            raise RejectedError("this torch has no torch.ao.quantization any more", "int8:dynamic")
        return name
    try:
        import torchao  # noqa: F401
    except (ImportError, OSError) as error:
        raise RejectedError(f"{precision} needs torchao ({error})", "pip install torchao") from None
    return name


def list_recipes(device: str) -> list[str]:
    """The recipes that can be asked for on `device`."""
    found = []
    for name in ("weight-only", "dynamic", "torch-dynamic"):
        try:
            found.append(f"{PREFIX}:{choose_recipe(f'{PREFIX}:{name}', 'encoder', device)}")
        except RejectedError:
            continue
    return found


def choose_base_dtype(device: str) -> torch.dtype:
    """What the layers that are not converted keep, and what the products are summed up in."""
    return torch.float32 if device == "cpu" else torch.bfloat16


def convert(model: nn.Module, name: str) -> tuple[str, float]:
    """Converts the matrix products of `model` in place by the recipe `name`.

    Returns the recipe in words and the share converted: bytes of the matrix-product weights that
    became int8 over the bytes of all, each weight once, as they were before. A tied embedding
    counts as the head.
    """
    before = _products(model)
    _conv1d_to_linear(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        words = _RECIPES[name](model)
    modules = dict(model.named_modules())
    total = sum(size for size, _ in before.values())
    reached = sum(
        size for size, names in before.values() if any(_is_int8(modules.get(n)) for n in names)
    )
    return words, reached / total if total else 0.0


def count_stored_bytes(model: nn.Module) -> int:
    """Bytes of all weights as they are stored now, scales included."""
    total = sum(_tensor_bytes(p) for p in model.parameters())
    return total + sum(_packed_bytes(m) for m in model.modules() if _is_packed(m))


def _has_torch_int8() -> bool:
    return hasattr(getattr(torch.ao, "quantization", None), "quantize_dynamic")


def _products(model: nn.Module) -> dict[int, tuple[int, list[str]]]:
    """By address: bytes of a weight that is multiplied with, and the modules that use it."""
    from transformers.pytorch_utils import Conv1D

    found: dict[int, tuple[int, list[str]]] = {}
    for path, module in model.named_modules():
        if isinstance(module, nn.Linear | Conv1D):
            weight = module.weight
            found.setdefault(weight.data_ptr(), (weight.nbytes, []))[1].append(path)
    return found


def _conv1d_to_linear(model: nn.Module) -> None:
    """GPT-2's projections are `Conv1D`, whose weight is that of a Linear, transposed. Quantisers
    look for Linear and would leave them out."""
    from transformers.pytorch_utils import Conv1D

    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Conv1D):
                setattr(parent, name, _linear(child))


def _linear(conv: Any) -> nn.Linear:
    inputs, outputs = conv.weight.shape
    # On the meta device nothing is allocated and initialised only to be replaced.
    linear = nn.Linear(inputs, outputs, device="meta")
    linear.weight = nn.Parameter(conv.weight.detach().t().contiguous(), requires_grad=False)
    linear.bias = nn.Parameter(conv.bias.detach(), requires_grad=False)
    return linear.eval()


def _torch_dynamic(model: nn.Module) -> str:
    quantize: Callable[..., Any] = torch.ao.quantization.quantize_dynamic
    quantize(model, {nn.Linear}, dtype=torch.qint8, inplace=True)
    return f"torch-dynamic ({torch.backends.quantized.engine})"


def _weight_only(model: nn.Module) -> str:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(model, Int8WeightOnlyConfig())
    return "torchao weight-only"


def _dynamic(model: nn.Module) -> str:
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

    quantize_(model, Int8DynamicActivationInt8WeightConfig())
    return "torchao dynamic"


_RECIPES: dict[str, Callable[[nn.Module], str]] = {
    "torch-dynamic": _torch_dynamic,
    "weight-only": _weight_only,
    "dynamic": _dynamic,
}


def _is_packed(module: nn.Module | None) -> bool:
    if not _has_torch_int8():
        return False
    from torch.ao.nn.quantized.dynamic import Linear

    return isinstance(module, Linear)


def _is_int8(module: nn.Module | None) -> bool:
    weight = getattr(module, "weight", None)
    return _is_packed(module) or type(weight).__module__.startswith("torchao.")


def _tensor_bytes(tensor: torch.Tensor) -> int:
    """A torchao tensor says the size of what it stands for; its parts say what is stored."""
    flatten = getattr(tensor, "__tensor_flatten__", None)
    if flatten is None:
        return tensor.nbytes
    parts = [getattr(tensor, name) for name in flatten()[0]]
    return sum(_tensor_bytes(part) for part in parts if isinstance(part, torch.Tensor))


def _packed_bytes(module: Any) -> int:
    """Weights, scales and bias of a layer of torch's own, which are no parameters."""
    weight, bias = module.weight(), module.bias()
    per_row = weight.qscheme() != torch.per_tensor_affine
    scales = weight.q_per_channel_scales().nbytes if per_row else 8
    stored: int = weight.numel() * weight.element_size() + scales
    return stored + (0 if bias is None else bias.nbytes)
