"""Runs with a name: the plan each spells."""

from __future__ import annotations

import msgspec

from txtop.plan import Plan, Precision, matrix


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """What a preset sets; everything else keeps its default, and an option given overrides it."""

    title: str
    models: tuple[str, ...] = ("gpt2",)
    precisions: tuple[Precision, ...] = ("fp32",)
    batch_sizes: tuple[int, ...] = (1,)
    sequence_lengths: tuple[int, ...] = (128,)
    new_tokens: tuple[int, ...] = (32,)
    warmup: int | None = None
    iterations: int | None = None


PRESETS = {
    "quick": Preset(
        title="gpt2 in fp32 and bf16, batch 1, 32 tokens in and 32 out",
        precisions=("fp32", "bf16"),
        sequence_lengths=(32,),
        warmup=3,
        iterations=10,
    ),
}


def quick() -> Plan:
    """The plan of the preset `quick` as the home screen starts it."""
    preset = PRESETS["quick"]
    cells = matrix(
        models=list(preset.models),
        precisions=list(preset.precisions),
        attention=["sdpa"],
        batch_sizes=list(preset.batch_sizes),
        sequence_lengths=list(preset.sequence_lengths),
        new_tokens=list(preset.new_tokens),
    )
    return Plan(cells=cells, iterations=preset.iterations, warmup=preset.warmup, preset="quick")
