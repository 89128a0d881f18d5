"""The precisions that cannot be had here: refused before loading, by library or device.

The rules are in the tables of `plan.modes` and `models.quantised`. Runner and worker read them: the
worker with the device that torch has.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from txtop.models import quantised, quantised_files
from txtop.models.attention_kernels import Accelerator
from txtop.models.gptq_backends import explain_unknown_backend
from txtop.models.local_accelerator import find_accelerator
from txtop.models.model_config import find_config, find_files, find_local_path
from txtop.plan.cell import Cell
from txtop.plan.modes import BY_NAME, MODES, TABLE_ORDER, Needs
from txtop.system.libraries import find_version

# What makes a model of plain weights as it is loaded, without calibration data.
_MAKES = ("bitsandbytes", "torchao", "fp8")
_OWN_CONFIG = "the config.json that its quantiser wrote: download it again"
_ARCHITECTURES = {(8, 9): "Ada", (8, 0): "Ampere", (7, 5): "Turing", (9, 0): "Hopper"}


def explain_unavailable(cell: Cell) -> tuple[str, str] | None:
    """Return reason and hint if the precision of `cell` cannot be had on this machine."""
    return explain_missing_needs(cell, find_accelerator(cell.device))


def explain_missing_needs(cell: Cell, device: Accelerator | None) -> tuple[str, str] | None:
    """Return reason and hint if the precision of `cell` cannot be had on `device`.

    `device` is None where it is not known yet; libraries are then judged alone.
    """
    config, path = find_config(cell.model), find_files(cell.model)
    stored = None if config is None else quantised.find_quantisation(config)
    asked = parse_quantization(cell.quantization)
    if stored is not None:
        return _explain_stored(cell, config or {}, path, stored, asked, device)
    reads_files = path is not None and path.is_dir() and cell.weights != "random"
    if reads_files and path and (false := quantised_files.explain_false_config(path, config or {})):
        return false
    if asked is not None:
        return _explain_asked(cell, asked, device)
    mode = BY_NAME.get(cell.precision)
    if mode is None:
        return None
    if mode.stored_only:
        reason = f"{mode.name} is how a checkpoint is stored ({mode.stored_only})"
        hint = f"the directory of one as the model, or {_suggest_made(device, ('int4', 'nf4'))}"
        return f"{reason}: it is not made from plain weights", hint
    return explain_needs(mode.name, mode.needs, device)


def explain_needs(name: str, needs: Needs, device: Accelerator | None) -> tuple[str, str] | None:
    """Return reason and hint if `device`, or this environment, lacks what `name` needs."""
    if device is not None and (reason := explain_device(needs, device)):
        made = _suggest_made(device, ("int8", "int4", "nf4"))
        return f"{name} {reason}", "another precision" if needs.on_cpu else made
    if missing := list_missing_libraries(needs):
        verb = "is" if len(missing) == 1 else "are"
        return f"{name} needs {' and '.join(missing)}, which {verb} not installed", needs.install
    return None


def list_missing_libraries(needs: Needs) -> list[str]:
    """Return the libraries of `needs` that are not installed."""
    return [library for library in needs.libraries if find_version(library) is None]


def _suggest_made(device: Accelerator | None, names: Sequence[str]) -> str:
    """Return those precisions of `names` as an option that can be had on `device`."""
    here = [name for name in names if _is_available(BY_NAME[name].needs, device)] or names[:1]
    first = ", ".join(here[:-1])
    return f"--precisions {first} or {here[-1]}" if first else f"--precisions {here[-1]}"


def _is_available(needs: Needs, device: Accelerator | None) -> bool:
    if device is not None and explain_device(needs, device):
        return False
    return not list_missing_libraries(needs)


def list_available(device: Accelerator | None, *, without: Iterable[str]) -> list[str]:
    """Return the precisions made by a recipe that can be had on `device`, one for each recipe.

    Of two names of one recipe the shorter counts.
    """
    taken: list[object] = []
    names = []
    for mode in sorted(MODES, key=lambda mode: mode.name.count(":")):
        if not mode.recipes or mode.name in without or mode.recipes in taken:
            continue
        if explain_needs(mode.name, mode.needs, device) is None:
            taken.append(mode.recipes)
            names.append(mode.name)
    return sorted(names, key=TABLE_ORDER.__getitem__)


def explain_device(needs: Needs, device: Accelerator) -> str:
    """Return `needs an NVIDIA GPU, not a CPU` or the like, "" if `device` is one that it takes."""
    least = needs.capability
    text = "needs an NVIDIA GPU"
    if least is not None:
        text += f" from sm{least[0]}{least[1]} ({_ARCHITECTURES[least]}) on"
    if device.kind == "cpu":
        return "" if needs.on_cpu else f"{text}, not a CPU"
    if least is None or (device.kind == "cuda" and not device.is_below(least)):
        return ""
    return f"{text}, not {device.label}"


def _explain_stored(
    cell: Cell,
    config: Mapping[str, Any],
    path: Path | None,
    stored: Mapping[str, Any],
    asked: Mapping[str, Any] | None,
    device: Accelerator | None,
) -> tuple[str, str] | None:
    if fault := quantised.find_no_object(config):
        return f"{cell.model}/config.json: {fault}", _OWN_CONFIG
    if not quantised.names_method(stored):
        return f"{cell.model}/config.json: its quantization_config has no quant_method", _OWN_CONFIG
    scheme, method = quantised.name_scheme(stored), quantised.find_method(stored)
    label = f"{cell.model} is stored as {scheme}"
    if cell.weights == "random":
        reason = f"{label}: random weights would be dense, and not what is deployed"
        return reason, "--weights auto, or the model it was made from"
    if method is None:
        methods = ", ".join(quantised.METHODS)
        return f"{label}, which txtop does not know", f"known: {methods}"
    if fault := method.find_fault(stored):
        reason = f"{cell.model}/config.json: its quantization_config has {fault}"
        return reason, _OWN_CONFIG
    if path is not None and (false := quantised_files.explain_false_config(path, config)):
        return false
    name = quantised.get_method_name(stored)
    if asked is not None and quantised.get_method_name(asked) != name:
        return f"{label}, and --quantization is for {quantised.get_method_name(asked)}", (
            f'a file with "quant_method": "{name}"'
        )
    needs = quantised.find_needs(quantised.merge(stored, asked), method)
    missing = explain_needs(scheme, needs, device)
    if missing and not needs.on_cpu and device is not None and device.kind == "cpu":
        hint = f'dequantised: quantization=FILE.json of {{"quant_method": "{name}", '
        return missing[0], hint + '"dequantize": true}'
    if missing or name not in ("gptq", "awq"):
        return missing
    return explain_unknown_backend(name, (asked or stored).get("backend"))


def _explain_asked(
    cell: Cell, asked: Mapping[str, Any], device: Accelerator | None
) -> tuple[str, str] | None:
    scheme, method = quantised.name_scheme(asked), quantised.find_method(asked)
    name = quantised.get_method_name(asked)
    if method is None or name not in _MAKES:
        reason = f"{scheme} is not made from a plain checkpoint at load"
        return reason, f"a configuration for {', '.join(_MAKES)}, or a checkpoint that is stored so"
    if not asked.get("dequantize") and (fault := method.find_fault(asked)):
        return f"--quantization has {fault}", "the library's own class in JSON"
    if asked.get("dequantize"):
        return f"{cell.model} is not stored quantised: nothing to dequantise", "without it"
    if find_local_path(cell.model) is None and cell.weights == "random":
        reason = "--quantization converts weights as they are read from files, not random ones"
        return reason, "a directory with weights, or --precisions nf4, int8:bnb or int4"
    return explain_needs(scheme, method.needs, device)


def settle_precision(cell: Cell) -> Cell:
    """Return `cell` with the precision that its model's files, or its configuration, give it."""
    config = find_config(cell.model)
    asked = parse_quantization(cell.quantization)
    stored = None if config is None else quantised.find_quantisation(config)
    if config is None or cell.weights == "random" or (stored is None and asked is None):
        return cell
    precision = quantised.name_precision(quantised.merge(stored, asked), config)
    return msgspec.structs.replace(cell, precision=precision)


def link_plain_models(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """Return the cells of quantised checkpoints with the plain model of the plan as their base.

    That is the model whose configuration has the same sizes. Speed and output are compared with it.
    """
    plain = {_describe_sizes(c.model): c.model for c in reversed(cells) if not _is_stored(c)}
    return tuple(
        msgspec.structs.replace(cell, base=base)
        if _is_stored(cell) and (base := plain.get(_describe_sizes(cell.model)))
        else cell
        for cell in cells
    )


def _is_stored(cell: Cell) -> bool:
    return quantised.find_quantisation(find_config(cell.model) or {}) is not None


def _describe_sizes(model: str) -> tuple[Any, ...] | None:
    config = find_config(model)
    if config is None:
        return None
    names = ("model_type", "vocab_size", "hidden_size", "n_embd", "d_model", "num_hidden_layers",
             "n_layer", "num_layers", "intermediate_size", "num_attention_heads")  # fmt: skip
    return tuple(config.get(name) for name in names)


def parse_quantization(text: str) -> dict[str, Any] | None:
    """Return a configuration that a cell carries, None for none."""
    return json.loads(text) if text else None
