"""Checkpoints that are stored quantised: the scheme that their config.json names, and its needs.

Their precision is that of their files and not the one that a cell asks for. A configuration of a
library that a cell carries (`--quantization`) is named by the same table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from txtop.plan.modes import (
    ADA,
    COMPILED,
    DENSE,
    DEQUANTISED,
    OTHER_KERNEL,
    TORCH_NAMES,
    Needs,
    Proof,
)

_KEYS = ("quantization_config", "compression_config")
_GPTQ = "pip install --no-deps gptqmodel optimum"
_NAME_CHARACTERS = 40
_UNNAMED = "unknown scheme"
# A label goes into logs and file names, and what a config.json holds is anybody's.
_FOREIGN = re.compile(r"[^\w .:/+-]", re.ASCII)
_LABEL_CHARACTERS = 60
# The setting with which Transformers multiplies fp8 of compressed-tensors as it is stored.
_KEEPS = "use_optimized_inference"
_OF_A_LOAD = ("backend", "dequantize", "max_input_length", _KEEPS)


def _name_gptq(config: Mapping[str, Any]) -> str:
    group = config.get("group_size")
    bits = config.get("bits") or config.get("w_bit") or 4
    backend = config.get("backend")
    name = f"int{bits}" + (f"-g{group}" if isinstance(group, int) and group > 0 else "")
    if not backend or backend == "auto":
        return name
    # The label begins with the method, which the names of its kernels begin or end with, too.
    method = get_method_name(config)
    return f"{name}/{str(backend).removeprefix(f'{method}_').removesuffix(f'_{method}')}"


def _name_bitsandbytes(config: Mapping[str, Any]) -> str:
    if config.get("load_in_8bit"):
        return "int8"
    return str(config.get("bnb_4bit_quant_type") or "fp4")


def _name_compressed(config: Mapping[str, Any]) -> str:
    groups = config.get("config_groups")
    group: Any = next(iter(groups.values()), {}) if isinstance(groups, Mapping) else {}
    weights = group.get("weights") if isinstance(group, Mapping) else None
    if not isinstance(weights, Mapping):
        return "unknown"
    kind = "fp" if weights.get("type") == "float" else "int"
    activations = group.get("input_activations")
    dynamic = isinstance(activations, Mapping) and activations.get("dynamic")
    name = f"{kind}{weights.get('num_bits', '')}"
    return f"{name}-dynamic" if kind == "fp" and dynamic else name


def _name_torchao(config: Mapping[str, Any]) -> str:
    kind = config.get("quant_type")
    kind = kind.get("default", kind) if isinstance(kind, Mapping) else kind
    text = str(kind.get("_type", "") if isinstance(kind, Mapping) else kind)
    for word, name in (("Int4", "int4"), ("int4", "int4"), ("Float8", "fp8"), ("float8", "fp8"),
                       ("Int8", "int8"), ("int8", "int8")):  # fmt: skip
        if word in text:
            return name
    return text[:_NAME_CHARACTERS] or "unknown"


def _find_gptq_fault(config: Mapping[str, Any]) -> str:
    if "bits" not in config and config.get("quant_method") == "gptq":
        return "no bits"
    for key in ("bits", "w_bit"):
        if key in config and (type(config[key]) is not int or config[key] not in (2, 3, 4, 8)):
            return f"{key} {_quote(config[key])}, not 2, 3, 4 or 8"
    group = config.get("group_size", 128)
    return "" if type(group) is int else f"group_size {_quote(group)}, not a number"


def _find_bitsandbytes_fault(config: Mapping[str, Any]) -> str:
    if not (config.get("load_in_8bit") or config.get("load_in_4bit")):
        return "neither load_in_4bit nor load_in_8bit"
    kind = config.get("bnb_4bit_quant_type", "fp4")
    return "" if kind in ("fp4", "nf4") else f"bnb_4bit_quant_type {_quote(kind)}, not fp4 or nf4"


def _find_compressed_fault(config: Mapping[str, Any]) -> str:
    groups = config.get("config_groups") or {}
    if not groups and not config.get("sparsity_config"):
        return "no config_groups"
    if not isinstance(groups, Mapping):
        return f"config_groups {_quote(groups)}, not an object"
    for group in groups.values():
        weights = group.get("weights") if isinstance(group, Mapping) else None
        if not isinstance(weights, Mapping):
            continue
        if type(weights.get("num_bits", 8)) is not int:
            return f"num_bits {_quote(weights['num_bits'])}, not a number"
        if weights.get("type", "int") not in ("int", "float"):
            return f"type {_quote(weights['type'])}, not int or float"
    return ""


def _find_fp8_fault(config: Mapping[str, Any]) -> str:
    block = config.get("weight_block_size") or [1, 1]
    if isinstance(block, list) and len(block) == 2 and all(type(size) is int for size in block):
        return ""
    return f"weight_block_size {_quote(block)}, not two numbers"


def _find_torchao_fault(config: Mapping[str, Any]) -> str:
    kind = config.get("quant_type")
    if kind and isinstance(kind, str | Mapping):
        return ""
    return (
        f"quant_type {_quote(kind)}, not the name or the object of one" if kind else "no quant_type"
    )


def _quote(value: Any) -> str:
    return json.dumps(value)[:_NAME_CHARACTERS]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way in which checkpoints are stored quantised.

    `signs` are ends of names of tensors, or beginnings of safetensors dtypes, that only such files
    have. `widens` is set where Transformers ends in dense weights by default, or has no kernels at
    all.
    """

    prefix: str
    name: Callable[[Mapping[str, Any]], str]
    needs: Needs
    signs: tuple[str, ...]
    proof: Proof = DENSE
    widens: bool = False
    instead: str = ""
    """The advice where it dequantises weights, or emulates its rounding, in every call."""
    find_fault: Callable[[Mapping[str, Any]], str] = lambda _: ""
    """Name what is wrong with a configuration, "" if its name can be told from it."""


_GPTQ_KERNELS = (
    "_weight_int4pack_mm", "gemm_int4", "marlin", "exllama", "machete", "gemm_half_q_half",
)  # fmt: skip
_BACKENDS = 'another kernel: quantization=FILE.json with "backend": "{}", say'
# By `quant_method` of config.json.
METHODS: Mapping[str, Method] = {
    "gptq": Method(
        prefix="gptq",
        find_fault=_find_gptq_fault,
        name=_name_gptq,
        needs=Needs(libraries=("gptqmodel", "optimum"), install=_GPTQ),
        signs=(".qweight",),
        proof=Proof(_GPTQ_KERNELS),
        instead=_BACKENDS.format("gptq_torch_fused"),
    ),
    "awq": Method(
        prefix="awq",
        find_fault=_find_gptq_fault,
        name=_name_gptq,
        needs=Needs(libraries=("gptqmodel", "accelerate"), install=_GPTQ),
        signs=(".qweight",),
        proof=Proof((*_GPTQ_KERNELS, "gemm_forward", "awq_gemm")),
        instead=_BACKENDS.format("torch_fused_awq"),
    ),
    "bitsandbytes": Method(
        prefix="bnb",
        find_fault=_find_bitsandbytes_fault,
        name=_name_bitsandbytes,
        needs=Needs(libraries=("bitsandbytes", "accelerate")),
        signs=(".absmax", ".SCB", ".quant_map"),
        proof=Proof(
            ("gemv_4bit", "gemm_4bit", "int8_linear_matmul"),
            on_cpu=("gemv_4bit", "gemm_4bit", "_int_mm"),
            widen=("dequantize_4bit",),
        ),
        instead=OTHER_KERNEL,
    ),
    "compressed-tensors": Method(
        prefix="ct",
        find_fault=_find_compressed_fault,
        name=_name_compressed,
        needs=Needs(libraries=("compressed-tensors",)),
        signs=(".weight_packed", ".weight_scale"),
        proof=Proof(("_scaled_mm",)),
        widens=True,
        instead='quantization=FILE.json with "dequantize": true, which does not',
    ),
    "fp8": Method(
        prefix="fp8",
        find_fault=_find_fp8_fault,
        name=lambda config: "block" if config.get("weight_block_size", True) else "tensor",
        needs=Needs(libraries=("accelerate",), on_cpu=False, capability=ADA),
        signs=(".weight_scale_inv", "F8"),
        proof=Proof(("fp8_matmul", "fp8_linear", "_scaled_mm", "deep_gemm", "w8a8")),
    ),
    "mxfp4": Method(
        prefix="",
        name=lambda _: "mxfp4",
        needs=Needs(
            libraries=("kernels", "accelerate"),
            install="pip install kernels",
            on_cpu=False,
            capability=(7, 5),
        ),
        signs=("_blocks",),
        proof=Proof(("matmul_ogs", "mxfp4")),
    ),
    "torchao": Method(
        prefix="torchao",
        find_fault=_find_torchao_fault,
        name=_name_torchao,
        needs=Needs(libraries=("torchao",), install="pip install torchao"),
        signs=("_qdata", "_scale", "F8"),
        proof=Proof(("_int_mm", "_weight_int4pack_mm", "_weight_int8pack_mm", "_scaled_mm")),
        instead=COMPILED,
    ),
}


def find_quantisation(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the configuration of a quantiser that a config.json holds, None for dense weights.

    It is empty for what is no object. Null is none, as it is for Transformers.
    """
    asked = next((asked for _, asked in _iterate_asked(config)), None)
    return None if asked is None else dict(asked) if isinstance(asked, Mapping) else {}


def find_no_object(config: Mapping[str, Any]) -> str:
    """Return the key of a quantiser's configuration that is no object, and its value; "" if it is.

    As `quantization_config is [4], not an object`.
    """
    for key, asked in _iterate_asked(config):
        if not isinstance(asked, Mapping):
            return f"{key} is {_quote(asked)}, not an object"
    return ""


def _iterate_asked(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for place, part in (("", config), ("text_config.", config.get("text_config"))):
        for key in _KEYS:
            asked = part.get(key) if isinstance(part, Mapping) else None
            if asked is not None:
                yield f"{place}{key}", asked


def merge(stored: Mapping[str, Any] | None, asked: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the configuration of a load, of files and of `--quantization`; None is empty.

    What files are stored as is not open to question: of `asked`, settings of the load alone count.
    """
    asked = asked or {}
    return {**asked, **(stored or {}), **{k: asked[k] for k in _OF_A_LOAD if k in asked}}


def get_method_name(quantisation: Mapping[str, Any]) -> str:
    """Return `quant_method`; older checkpoints of bitsandbytes do not state it."""
    if quantisation.get("load_in_4bit") or quantisation.get("load_in_8bit"):
        return "bitsandbytes"
    method = quantisation.get("quant_method") or quantisation.get("quant_algo") or _UNNAMED
    return str(method)[:_NAME_CHARACTERS]


def suggest_precision(precision: str) -> str:
    """Return the next step for a name that is typed as a precision and is none; "" if not known.

    It may be torch's name of one, or that of a scheme.
    """
    if name := TORCH_NAMES.get(precision.removeprefix("torch.")):
        return f"did you mean {name}?"
    prefix = precision.partition(":")[0]
    prefixes = {DEQUANTISED, *(entry.prefix for entry in METHODS.values())} - {"", "fp8"}
    if prefix in prefixes or precision in ("fp8:block", "fp8:tensor"):
        return "that is how a checkpoint is stored: give its directory as the model"
    return ""


def names_method(quantisation: Mapping[str, Any]) -> bool:
    """Return whether a quantiser's configuration says which one it is of."""
    return get_method_name(quantisation) != _UNNAMED


def find_method(quantisation: Mapping[str, Any]) -> Method | None:
    """Return the entry of the table for a quantiser's configuration, None if it is not there."""
    return METHODS.get(get_method_name(quantisation))


def name_scheme(quantisation: Mapping[str, Any]) -> str:
    """Return the scheme of a quantiser's configuration, as `gptq:int4-g128`."""
    method = find_method(quantisation)
    if method is None:
        name = get_method_name(quantisation)
    else:
        name = ":".join(filter(None, (method.prefix, method.name(quantisation))))
    return _FOREIGN.sub("?", name)[:_LABEL_CHARACTERS]


def describe_scheme(config: Mapping[str, Any]) -> str:
    """Return the scheme that a config.json names, as `gptq:int4-g128`; "" for dense weights."""
    quantisation = find_quantisation(config)
    return "" if quantisation is None else name_scheme(quantisation)


def name_precision(quantisation: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Return the precision in which a load ends: the scheme, or the dtype that it widens to.

    `config` is that of the model.
    """
    method = find_method(quantisation)
    widens = method is not None and method.widens and not keeps_fp8(quantisation)
    if quantisation.get("dequantize") or widens:
        return f"{DEQUANTISED}:{find_dtype(config)}"
    return name_scheme(quantisation)


def keeps_fp8(quantisation: Mapping[str, Any]) -> bool:
    """Return whether compressed-tensors is asked to multiply in fp8, and the scheme is of fp8."""
    asked = quantisation.get(_KEEPS) and not quantisation.get("dequantize")
    return bool(asked) and _name_compressed(quantisation).startswith("fp8")


def find_needs(quantisation: Mapping[str, Any], method: Method) -> Needs:
    """Return what a load of `method` needs with the settings in `quantisation`.

    Dequantising needs the libraries alone; kernels for fp8 need a GPU that has them.
    """
    needs = method.needs
    if quantisation.get("dequantize"):
        return Needs(libraries=needs.libraries, install=needs.install)
    if keeps_fp8(quantisation):
        return replace(needs, on_cpu=False, capability=ADA)
    return needs


def find_dtype(config: Mapping[str, Any]) -> str:
    """Return the dtype that a config.json states for what is not quantised, bf16 without one."""
    for part in (config, config.get("text_config")):
        if isinstance(part, Mapping):
            stated = part.get("dtype") or part.get("torch_dtype")
            if name := TORCH_NAMES.get(str(stated).removeprefix("torch.")):
                return name
    return "bf16"
