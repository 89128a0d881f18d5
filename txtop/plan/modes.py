"""The table of precisions: the recipe of each, what it needs, and the operators that prove it.

A new precision is an entry here. Command line, refusals, doctor, loading, labels and the order of
references read it; it imports neither torch nor a library of quantisation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Maker = Literal["torchao", "bitsandbytes"]
EVERY_DEVICE = "any"
ADA = (8, 9)
AMPERE = (8, 0)
INSTALL_QUANT = "pip install 'txtop[quant]'"
COMPILED = "--compile default, which fuses them into the products"
TORCH_NAMES = {"float32": "fp32", "float16": "fp16", "half": "fp16", "bfloat16": "bf16"}
"""The precisions by the names that torch has for their dtypes."""
OTHER_KERNEL = "--precisions int4, whose kernels multiply them as they are stored"


@dataclass(frozen=True, kw_only=True)
class Needs:
    """The conditions of a precision: libraries by their distribution, and a device."""

    libraries: tuple[str, ...] = ()
    install: str = INSTALL_QUANT
    on_cpu: bool = True
    capability: tuple[int, int] | None = None
    """The least compute capability of an NVIDIA GPU."""


@dataclass(frozen=True)
class Proof:
    """The operators that prove a precision, by parts of their names.

    Those of `multiply` do it, on a CPU those of `on_cpu` if there are any. A step with one that
    widens the weights proves nothing: some libraries fall back to that under the same name.
    """

    multiply: tuple[str, ...] = ()
    on_cpu: tuple[str, ...] = ()
    widen: tuple[str, ...] = ()

    def select(self, kind: str) -> tuple[str, ...]:
        """Return the parts of names that count on `kind` of device."""
        return (self.on_cpu if kind == "cpu" else ()) or self.multiply


DENSE = Proof()
"""The proof of weights that are not quantised: nothing is looked for."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The library that converts a plain model, and its configuration as data.

    `config` is `module:Class`; an argument of that form is an instance of the class. `skips_head`
    leaves the output head as it is, as the library does when it loads a checkpoint.
    """

    maker: Maker
    config: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    base: str = ""
    """The dtype of what is not converted; empty for the one that the device computes in."""
    arithmetic: str = ""
    """The type of the factors of its products; empty for that of what is not converted."""
    skips_head: bool = False


@dataclass(frozen=True, kw_only=True)
class PrecisionMode:
    """A precision by its name."""

    name: str
    bits: float
    """Bits of a stored weight, scales not included."""
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    """By kind of device; empty for a dtype, and for int8, whose recipe depends on the family."""
    needs: Needs = field(default_factory=Needs)
    proof: Proof = DENSE
    stored_only: str = ""
    """The checkpoints that have it, if it is not made from plain weights."""
    instead: str = COMPILED
    """The advice where it multiplies dequantised weights in every call."""

    @property
    def is_dense(self) -> bool:
        """Return whether every weight is stored in a floating-point type of 16 bits or more."""
        return self.bits >= 16


_TORCHAO = Needs(libraries=("torchao",), install="pip install torchao")
_TORCHAO_FP8 = Needs(
    libraries=("torchao",), install="pip install torchao", on_cpu=False, capability=ADA
)
_BITSANDBYTES = Needs(libraries=("bitsandbytes", "accelerate"))
_INT8 = Proof(("_int_mm", "_weight_int8pack_mm", "quantized::linear_dynamic"))
_INT4 = Proof(("_weight_int4pack_mm", "da8w4_linear", "bf16i4bf16"))
_FP8 = Proof(("_scaled_mm", "f8f8bf16"))
# On a CPU bitsandbytes has products of its own for some, under the names of all.
_BNB_INT8 = Proof(("int8_linear_matmul",), on_cpu=("_int_mm",))
_BNB_4BIT = Proof(("gemv_4bit", "gemm_4bit"), widen=("dequantize_4bit",))
_INT4_RECIPES = {
    "cpu": Recipe(
        maker="torchao",
        config="torchao.prototype.quantization.int4:PrototypeInt4WeightOnlyConfig",
        arguments={"group_size": 64, "set_inductor_config": False},
        # Its kernel for fp32 and fp16 is 25 times slower than that for bf16 (torch 2.13).
        base="bf16",
        # The kernel widens both factors: where bf16 is emulated its peak would be passed.
        arithmetic="fp32",
        skips_head=True,
    ),
    "cuda": Recipe(
        maker="torchao",
        config="torchao.quantization:Int4WeightOnlyConfig",
        arguments={
            "group_size": 64,
            "int4_packing_format": "tile_packed_to_4d",
            "set_inductor_config": False,
        },
        base="bf16",
        skips_head=True,
    ),
}
_INT4_NEEDS = Needs(libraries=("torchao",), install="pip install torchao", capability=AMPERE)


def _build_nf4(name: str, *, quantised_scales: bool) -> PrecisionMode:
    recipe = Recipe(
        maker="bitsandbytes",
        config="bitsandbytes.nn:Linear4bit",
        arguments={"quant_type": "nf4", "compress_statistics": quantised_scales},
        skips_head=True,
    )
    return PrecisionMode(
        name=name,
        bits=4,
        needs=_BITSANDBYTES,
        recipes={EVERY_DEVICE: recipe},
        proof=_BNB_4BIT,
        instead=OTHER_KERNEL,
    )


# Highest precision first: of cells that differ in it alone the first is the reference. The bits of
# the mantissa decide: fp16 keeps 10, bf16 7. TF32 keeps 10 as well, but only inside products.
MODES = (
    PrecisionMode(name="fp32", bits=32),
    PrecisionMode(name="tf32", bits=32),
    PrecisionMode(name="fp16", bits=16),
    PrecisionMode(name="bf16", bits=16),
    PrecisionMode(name="int8", bits=8, proof=_INT8),
    PrecisionMode(name="int8:weight-only", bits=8, needs=_TORCHAO, proof=_INT8),
    PrecisionMode(name="int8:dynamic", bits=8, needs=_TORCHAO, proof=_INT8),
    PrecisionMode(name="int8:torch-dynamic", bits=8, proof=_INT8),
    PrecisionMode(
        name="int8:bnb",
        bits=8,
        needs=_BITSANDBYTES,
        recipes={
            EVERY_DEVICE: Recipe(
                maker="bitsandbytes",
                config="bitsandbytes.nn:Linear8bitLt",
                arguments={"has_fp16_weights": False, "threshold": 6.0},
                skips_head=True,
            )
        },
        proof=_BNB_INT8,
        instead=OTHER_KERNEL,
    ),
    PrecisionMode(
        name="fp8:weight-only",
        bits=8,
        needs=_TORCHAO_FP8,
        recipes={
            "cuda": Recipe(
                maker="torchao",
                config="torchao.quantization:Float8WeightOnlyConfig",
                arguments={"set_inductor_config": False},
                base="bf16",
            )
        },
        proof=_FP8,
    ),
    PrecisionMode(
        name="fp8",
        bits=8,
        needs=_TORCHAO_FP8,
        recipes={
            "cuda": Recipe(
                maker="torchao",
                config="torchao.quantization:Float8DynamicActivationFloat8WeightConfig",
                arguments={
                    "granularity": "torchao.quantization:PerRow",
                    "set_inductor_config": False,
                },
                base="bf16",
            )
        },
        proof=_FP8,
    ),
    # Transformers does not quantise the scales by default.
    _build_nf4("nf4", quantised_scales=False),
    _build_nf4("nf4:double", quantised_scales=True),
    PrecisionMode(
        name="int4",
        bits=4,
        recipes=_INT4_RECIPES,
        needs=_INT4_NEEDS,
        proof=_INT4,
    ),
    PrecisionMode(
        name="int4:weight-only",
        bits=4,
        recipes=_INT4_RECIPES,
        needs=_INT4_NEEDS,
        proof=_INT4,
    ),
    PrecisionMode(name="mxfp4", bits=4, stored_only="gpt-oss, say"),
)
BY_NAME = {mode.name: mode for mode in MODES}
# As the command line has always listed them: dtypes, then what is made of them.
TYPED = ("fp32", "fp16", "bf16", "tf32", *(mode.name for mode in MODES if not mode.is_dense))
DEQUANTISED = "dequantised"
"""The label of a checkpoint that is dequantised as it is loaded, before `:` and the dtype."""
_BITS_IN_LABELS = (("int8", 8), ("fp8", 8), ("int4", 4), ("nf4", 4), ("fp4", 4), ("int3", 3),
                   ("int2", 2))  # fmt: skip


def get_bits(precision: str) -> float:
    """Return the bits of a stored weight in `precision`, which may be the label of a scheme.

    A dequantised checkpoint has those of the dtype that it became; an unknown scheme counts as 4.
    """
    head, _, kind = precision.partition(":")
    if head == DEQUANTISED:
        precision = kind
    if mode := BY_NAME.get(precision):
        return mode.bits
    return next((bits for name, bits in _BITS_IN_LABELS if name in precision), 4)


def is_dense(precision: str) -> bool:
    """Return whether weights in `precision` have 16 bits or more, as dequantised ones do."""
    return get_bits(precision) >= 16


def names_scheme(precision: str) -> bool:
    """Return whether `precision` is how a checkpoint is stored, and was not asked for as a mode."""
    mode = BY_NAME.get(precision)
    return mode is None or bool(mode.stored_only)


def describe(precision: str) -> str:
    """Return bits and maker of a precision of the table that a library makes, "" for others."""
    mode = BY_NAME.get(precision)
    if mode is None or not mode.needs.libraries or mode.stored_only:
        return ""
    return f"{mode.bits:g}-bit weights, made by {mode.needs.libraries[0]} as the model is loaded"


def find_base(precision: str, kind: str) -> str:
    """Return the dtype that a recipe fixes for what it leaves on `kind` of device, "" for none."""
    mode = BY_NAME.get(precision)
    recipe = mode and (mode.recipes.get(kind) or mode.recipes.get(EVERY_DEVICE))
    return recipe.base if recipe else ""


def skips_head(precision: str) -> bool:
    """Return whether the recipes of `precision` leave the output head as it is."""
    mode = BY_NAME.get(precision)
    return mode is not None and any(recipe.skips_head for recipe in mode.recipes.values())


def rank(precision: str) -> tuple[float, bool, int]:
    """Return a key that sorts precisions from the highest to the lowest."""
    place = TABLE_ORDER.get(precision, len(MODES))
    return -get_bits(precision), precision.startswith(DEQUANTISED), place


TABLE_ORDER = {mode.name: place for place, mode in enumerate(MODES)}
"""The places of the precisions in the table."""
