"""int8: the recipe of a cell, the conversion, and the share of the model that it reached.

See docs/method.md, "Precision recipes".
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from txtop.models.attention_kernels import Accelerator, get_compute_dtype
from txtop.models.precision_rules import explain_missing_precision
from txtop.worker.device import describe_accelerator
from txtop.worker.failures import RejectedError
from txtop.worker.loading.precision import DTYPES
from txtop.worker.loading.storages import has_torch_int8, is_torch_packed

# docs/method.md, "Precision recipes": torch-dynamic is the fastest on a CPU and breaks decoders
# (SmolLM2-135M: KLD 1.09); weight-only keeps them (0.0061).
DEFAULT_RECIPES = {"causal": "weight-only", "seq2seq": "weight-only", "encoder": "dynamic"}
PREFIX = "int8"


def choose_recipe(precision: str, kind: str, device: str, *, compiled: bool = False) -> str:
    """Return weight-only, dynamic or torch-dynamic; "" for a precision other than int8.

    A precision that names its recipe has passed `precision.require_precision`.

    Raises `RejectedError` if the library of the recipe is missing.
    """
    if not precision.startswith(PREFIX):
        return ""
    eager_gpu = device != "cpu" and not compiled
    name = precision.partition(":")[2] or ("weight-only" if eager_gpu else DEFAULT_RECIPES[kind])
    if precision == PREFIX and kind == "encoder" and device == "cpu" and has_torch_int8():
        name = "torch-dynamic"
    if name == "torch-dynamic":
        if not has_torch_int8():
            raise RejectedError("this torch has no torch.ao.quantization any more", "int8:dynamic")
        return name
    try:
        import torchao  # noqa: F401
    except (ImportError, OSError) as error:
        raise RejectedError(f"{precision} needs torchao ({error})", "pip install torchao") from None
    return name


def list_recipes(device: str) -> list[str]:
    """Return the recipes that are available on `device`."""
    recipes = []
    accelerator = Accelerator(device)
    for name in ("weight-only", "dynamic", "torch-dynamic"):
        precision = f"{PREFIX}:{name}"
        try:
            choose_recipe(precision, "encoder", device, compiled=True)
        except RejectedError:
            continue
        if not explain_missing_precision(precision, accelerator, compiled=False):
            recipes.append(precision)
        elif not explain_missing_precision(precision, accelerator, compiled=True):
            recipes.append(f"{precision} (with --compile)")
    return recipes


def choose_base_dtype(device: torch.device) -> torch.dtype:
    """Return the dtype of the layers that are not converted, and of the sums of products."""
    return DTYPES[get_compute_dtype(PREFIX, describe_accelerator(device))]


def convert(model: nn.Module, name: str) -> tuple[str, float]:
    """Convert the matrix products of `model` in place by the recipe `name`.

    Return a description of the recipe and the share converted: bytes of the matrix-product weights
    that became int8 over the bytes of all, each weight once, as they were before, whatever module
    holds it. A tied embedding counts as the head.
    """
    before = _find_products(model)
    replace_conv1d(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        description = _RECIPES[name](model)
    modules = dict(model.named_modules())
    total = sum(size for size, _ in before.values())
    reached = sum(
        size for size, names in before.values() if any(_is_int8(modules.get(n)) for n in names)
    )
    return description, reached / total if total else 0.0


def _find_products(model: nn.Module) -> dict[int, tuple[int, list[str]]]:
    """Return, by address, the bytes of each matrix-product weight and the modules that use it.

    These are all parameters of two or more dimensions, experts that a layer keeps in one tensor
    included, but for tables that are only looked up.
    """
    products: dict[int, tuple[int, list[str]]] = {}
    for path, module in model.named_modules():
        if isinstance(module, nn.Embedding):
            continue
        for weight in module.parameters(recurse=False):
            if weight.dim() > 1:
                products.setdefault(weight.data_ptr(), (weight.nbytes, []))[1].append(path)
    return products


def replace_conv1d(model: nn.Module) -> None:
    """Replace every `Conv1D` of `model` with a Linear.

    The projections of GPT-2 are `Conv1D`, with the transposed weight of a Linear. Quantisers look
    for Linear and would leave them out.
    """
    from transformers.pytorch_utils import Conv1D

    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Conv1D):
                setattr(parent, name, _build_linear(child))


def _build_linear(conv: Any) -> nn.Linear:
    inputs, outputs = conv.weight.shape
    # On the meta device the weight that is replaced next is neither allocated nor initialised.
    linear = nn.Linear(inputs, outputs, device="meta")
    linear.weight = nn.Parameter(conv.weight.detach().t().contiguous(), requires_grad=False)
    linear.bias = nn.Parameter(conv.bias.detach(), requires_grad=False)
    return linear.eval()


def _convert_torch_dynamic(model: nn.Module) -> str:
    quantize: Callable[..., Any] = torch.ao.quantization.quantize_dynamic
    quantize(model, {nn.Linear}, dtype=torch.qint8, inplace=True)
    return f"torch-dynamic ({torch.backends.quantized.engine})"


# torchao would set options of Inductor for the whole process, so that int8 were tuned longer than
# what it is compared with; before 0.18 also the precision of every fp32 product.
def _convert_weight_only(model: nn.Module) -> str:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(model, Int8WeightOnlyConfig(set_inductor_config=False))
    return "torchao weight-only"


def _convert_dynamic(model: nn.Module) -> str:
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

    quantize_(model, Int8DynamicActivationInt8WeightConfig(set_inductor_config=False))
    return "torchao dynamic"


_RECIPES: dict[str, Callable[[nn.Module], str]] = {
    "torch-dynamic": _convert_torch_dynamic,
    "weight-only": _convert_weight_only,
    "dynamic": _convert_dynamic,
}


def _is_int8(module: nn.Module | None) -> bool:
    weight = getattr(module, "weight", None)
    return is_torch_packed(module) or type(weight).__module__.startswith("torchao.")
