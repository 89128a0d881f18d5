"""Presets: named plans, in full size and in a small form for a first try."""

from __future__ import annotations

from typing import Literal

import msgspec

from txtop.plan.cell import Attention, Precision
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Plan
from txtop.system.device_names import Device

PresetName = Literal[
    "quick",
    "bert-seqlen",
    "gpt2-attention",
    "bert-int8-cpu",
    "batch-tradeoff",
    "precision",
    "families",
]
PresetScale = Literal["full", "smoke"]
SMALL_BERT = "google/bert_uncased_L-4_H-512_A-8"


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """The values that a preset sets; all else keeps its default, and options override it.

    `smoke` asks the same question of less work: it ends within a minute on two cores.
    """

    title: str
    models: tuple[str, ...] = ("gpt2",)
    precisions: tuple[Precision, ...] = ("fp32",)
    attention: tuple[Attention, ...] = ("sdpa",)
    batch_sizes: tuple[int, ...] = (1,)
    sequence_lengths: tuple[int, ...] = (128,)
    new_tokens: tuple[int, ...] = (32,)
    device: Device = "auto"
    warmup: int | None = None
    iterations: int | None = None
    fidelity_positions: int | None = None
    smoke: Preset | None = None

    def at(self, scale: PresetScale) -> Preset:
        """Return the preset itself, or its small form for `smoke`."""
        return self.smoke or self if scale == "smoke" else self


def _shrink(preset: Preset, **smaller: object) -> Preset:
    small = msgspec.structs.replace(
        preset, warmup=1, iterations=3, fidelity_positions=128, **smaller
    )
    return msgspec.structs.replace(preset, smoke=small)


PRESETS: dict[str, Preset] = {
    "quick": _shrink(
        Preset(
            title="gpt2 in fp32 and bf16, batch 1, 32 tokens in and 32 out",
            precisions=("fp32", "bf16"),
            sequence_lengths=(32,),
            warmup=3,
            iterations=10,
            fidelity_positions=512,
        ),
        new_tokens=(8,),
    ),
    "bert-seqlen": _shrink(
        Preset(
            title="what length costs: bert-base-uncased, batch 32, 128 and 512 tokens",
            models=("bert-base-uncased",),
            batch_sizes=(32,),
            sequence_lengths=(128, 512),
        ),
        models=(SMALL_BERT,),
        batch_sizes=(2,),
    ),
    "gpt2-attention": _shrink(
        Preset(
            title="gpt2-medium with eager attention and with the best fused kernel here",
            models=("gpt2-medium",),
            attention=("eager", "sdpa"),
        ),
        models=("gpt2",),
        sequence_lengths=(32,),
        new_tokens=(8,),
    ),
    "bert-int8-cpu": _shrink(
        Preset(
            title="bert-base-uncased on a CPU in fp32 and int8",
            models=("bert-base-uncased",),
            precisions=("fp32", "int8"),
            batch_sizes=(8,),
            device="cpu",
        ),
        models=(SMALL_BERT,),
    ),
    "batch-tradeoff": _shrink(
        Preset(
            title="throughput against latency: bert-base-uncased, batch 1 to 64",
            models=("bert-base-uncased",),
            batch_sizes=(1, 2, 4, 8, 16, 32, 64),
        ),
        models=(SMALL_BERT,),
        sequence_lengths=(32,),
    ),
    "precision": _shrink(
        Preset(
            title="gpt2 in fp32, fp16, bf16 and int8",
            precisions=("fp32", "fp16", "bf16", "int8"),
        ),
        sequence_lengths=(8,),
        new_tokens=(4,),
    ),
    "families": _shrink(
        Preset(
            title="GPT-2, BERT and T5 in small, base and large",
            models=(
                "gpt2",
                "gpt2-medium",
                "gpt2-large",
                SMALL_BERT,
                "bert-base-uncased",
                "bert-large-uncased",
                "t5-small",
                "t5-base",
                "t5-large",
            ),
        ),
        models=("gpt2", SMALL_BERT, "t5-small"),
        sequence_lengths=(16,),
        new_tokens=(8,),
    ),
}


def build_quick_plan() -> Plan:
    """Build the plan of the preset `quick`, as the home screen starts it."""
    preset = PRESETS["quick"]
    cells = expand_matrix(
        models=list(preset.models),
        precisions=list(preset.precisions),
        attention=list(preset.attention),
        batch_sizes=list(preset.batch_sizes),
        sequence_lengths=list(preset.sequence_lengths),
        new_tokens=list(preset.new_tokens),
    )
    return Plan(
        cells=cells,
        iterations=preset.iterations,
        warmup=preset.warmup,
        preset="quick",
        fidelity_positions=preset.fidelity_positions or 0,
    )
