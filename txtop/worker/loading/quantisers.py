"""The recipes of `plan.modes`, carried out on a plain model, and configurations of a library.

Libraries are imported here, when a cell needs them, and never before.
"""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from txtop.plan.modes import BY_NAME, EVERY_DEVICE, Recipe
from txtop.worker.failures import RejectedError


def find_recipe(precision: str, device: str) -> Recipe | None:
    """Return the recipe by which `precision` is made on `device`, None if it needs none.

    Raises `RejectedError` if there is none for this kind of device.
    """
    mode = BY_NAME.get(precision)
    if mode is None or not mode.recipes:
        return None
    recipe = mode.recipes.get(device) or mode.recipes.get(EVERY_DEVICE)
    if recipe is None:
        raise RejectedError(f"{precision} has no recipe for {device}", "--device cpu or cuda")
    return recipe


def convert(model: nn.Module, recipe: Recipe, device: torch.device) -> str:
    """Convert the matrix products of `model` in place and return a description of the recipe."""
    names = {
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not (recipe.skips_head and _is_head(model, module))
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _MAKERS[recipe.maker](model, recipe, names, device)
    return f"{recipe.maker} {recipe.config.rpartition(':')[2]}"


def build_library_config(values: Mapping[str, Any]) -> Any:
    """Build the configuration class of Transformers that `values` describe.

    Raises `RejectedError` for values that it does not take.
    """
    silence_libraries()
    from transformers.quantizers.auto import AutoQuantizationConfig

    try:
        return AutoQuantizationConfig.from_dict(dict(values))
    except (ValueError, TypeError, KeyError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise RejectedError(f"--quantization: {reason}", "the library's class in JSON") from None


def silence_libraries() -> None:
    """Let bitsandbytes not write a line in every product of every step: it would be measured."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message="MatMul8bitLt")


def _is_head(model: nn.Module, module: nn.Module) -> bool:
    find = getattr(model, "get_output_embeddings", None)
    return find is not None and module is find()


def _resolve(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _build(recipe: Recipe) -> Any:
    arguments = {
        name: _resolve(value)() if isinstance(value, str) and ":" in value else value
        for name, value in recipe.arguments.items()
    }
    return _resolve(recipe.config)(**arguments)


def _convert_torchao(
    model: nn.Module, recipe: Recipe, names: set[str], device: torch.device
) -> None:
    from torchao.quantization import quantize_

    # Its packed layouts are those of one device, and are made on it.
    if device.type != "cpu":
        model.to(device)
    quantize_(model, _build(recipe), filter_fn=lambda _module, name: name in names)


def _convert_bitsandbytes(
    model: nn.Module, recipe: Recipe, names: set[str], device: torch.device
) -> None:
    import bitsandbytes

    silence_libraries()
    kind = _resolve(recipe.config)
    for name in names:
        old = model.get_submodule(name)
        assert isinstance(old, nn.Linear)
        sizes = old.in_features, old.out_features
        options = dict(recipe.arguments)
        if kind is bitsandbytes.nn.Linear4bit:
            options["compute_dtype"] = old.weight.dtype
            made = kind(*sizes, bias=old.bias is not None, **options)
            values = {"quant_type": options["quant_type"], "requires_grad": False}
            weight = bitsandbytes.nn.Params4bit(old.weight.data, **values)
        else:
            made = kind(*sizes, bias=old.bias is not None, **options)
            weight = bitsandbytes.nn.Int8Params(
                old.weight.data, requires_grad=False, has_fp16_weights=False
            )
        made.weight, made.bias = weight, old.bias
        model.set_submodule(name, made.to(device).eval())


_MAKERS: dict[str, Callable[[nn.Module, Recipe, set[str], torch.device], None]] = {
    "torchao": _convert_torchao,
    "bitsandbytes": _convert_bitsandbytes,
}
