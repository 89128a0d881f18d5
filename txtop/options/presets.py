"""Presets: named plans, in full size and in a small form for a first try."""

from __future__ import annotations

from typing import Literal

import msgspec

from txtop.plan.cell import Attention, Precision
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

    `title` says what it measures, `brief` the same in fewer words. `smoke` asks the same question
    of less work: it ends within a minute on two cores. `instead` holds what stands in for it where
    another precision than bf16 is the fast one, and `why` the reason that a stand-in is measured.
    If it `widens`, every further precision that this machine can run is added.
    """

    title: str
    brief: str = ""
    why: str = ""
    models: tuple[str, ...] = ("gpt2",)
    precisions: tuple[Precision, ...] = ("fp32",)
    attention: tuple[Attention, ...] = ("sdpa",)
    batch_sizes: tuple[int, ...] = (1,)
    sequence_lengths: tuple[int, ...] = (128,)
    new_tokens: tuple[int, ...] = (32,)
    device: Device = "auto"
    warmup: int | None = None
    iterations: int | None = None
    budget_s: float | None = None
    fidelity_positions: int | None = None
    widens: bool = False
    smoke: Preset | None = None
    instead: dict[str, Preset] = {}

    def at(self, scale: PresetScale) -> Preset:
        """Return the preset itself, or its small form for `smoke`."""
        return self.smoke or self if scale == "smoke" else self


def _shrink(preset: Preset, **smaller: object) -> Preset:
    small = msgspec.structs.replace(
        preset, warmup=1, iterations=3, budget_s=10.0, fidelity_positions=128, **smaller
    )
    return msgspec.structs.replace(preset, smoke=small)


_QUICK = Preset(
    title="gpt2 in fp32 and bf16, batch 1, 32 tokens in and 32 out",
    precisions=("fp32", "bf16"),
    sequence_lengths=(32,),
    warmup=3,
    iterations=10,
    budget_s=30.0,
    fidelity_positions=512,
)
_QUICK_FP16 = msgspec.structs.replace(
    _QUICK,
    title="gpt2 in fp32 and fp16, batch 1, 32 tokens in and 32 out",
    precisions=("fp32", "fp16"),
    why="fp16 in place of bf16, which this GPU emulates",
)
_QUICK_INT8 = msgspec.structs.replace(
    _QUICK,
    title="bert-base-uncased in fp32 and int8 (no bf16 units here), batch 1, 128 tokens",
    models=("bert-base-uncased",),
    precisions=("fp32", "int8"),
    sequence_lengths=(128,),
    why="bert-base-uncased in int8 in place of gpt2 in bf16, for which this CPU has no units",
)

PRESETS: dict[str, Preset] = {
    "quick": msgspec.structs.replace(
        _shrink(_QUICK, new_tokens=(8,)),
        instead={
            "fp16": _shrink(_QUICK_FP16, new_tokens=(8,)),
            "int8": _shrink(_QUICK_INT8, models=(SMALL_BERT,)),
        },
    ),
    "bert-seqlen": _shrink(
        Preset(
            title="what length costs: bert-base-uncased, batch 32, 128 and 512 tokens",
            brief="what length costs: 128, 512 tokens",
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
            brief="eager attention against a fused one",
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
            brief="bert-base-uncased in fp32 and int8",
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
            brief="throughput and latency, batch 1 to 64",
            models=("bert-base-uncased",),
            batch_sizes=(1, 2, 4, 8, 16, 32, 64),
        ),
        models=(SMALL_BERT,),
        sequence_lengths=(32,),
    ),
    "precision": _shrink(
        Preset(
            title="gpt2 in every precision of this machine",
            brief="gpt2 in every precision here",
            precisions=("fp32", "fp16", "bf16", "int8"),
            widens=True,
        ),
        sequence_lengths=(8,),
        new_tokens=(4,),
    ),
    "families": _shrink(
        Preset(
            title="GPT-2, BERT and T5 in small, base and large",
            brief="GPT-2, BERT, T5 in three sizes each",
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


def find_preset(name: str, *, scale: PresetScale = "full", device: Device | None = None) -> Preset:
    """Return a preset in its scale, as it is on this machine.

    `device` replaces the preset's own.
    """
    preset = PRESETS[name]
    # Imported late: the home screen lists presets before it looks at the machine.
    from txtop.models import precision_needs
    from txtop.models.local_accelerator import find_accelerator
    from txtop.options import feasibility

    if preset.instead:
        fast = feasibility.find_fast_precision(device or preset.device)
        preset = preset.instead.get(fast, preset)
    chosen = preset.at(scale)
    if not chosen.widens:
        return chosen
    accelerator = find_accelerator(device or preset.device)
    more = precision_needs.list_available(accelerator, without=chosen.precisions)
    return msgspec.structs.replace(chosen, precisions=(*chosen.precisions, *more))
