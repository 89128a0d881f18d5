"""Published figures of what a step measures, printed beside ours and never judged.

Ratios carry over between cards, absolute times do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpu.figures import Finding, divide, fact, select, value_of


@dataclass(frozen=True)
class Published:
    """A published figure: where it is from, the cells it is about, the metric and its value."""

    source: str
    cell: Mapping[str, Any]
    metric: str
    value: float
    unit: str


_BERT = "HF documentation of BERT, A100-80GB, torch 2.2"
_ARTICLE = "the article on benchmarking Transformers"
# Milliseconds of a forward pass in fp16: batch, length, eager, SDPA.
_BERT_MS = (
    (1, 128, 5.736, 4.987),
    (1, 256, 5.689, 4.945),
    (2, 128, 6.154, 4.982),
    (2, 256, 6.201, 4.949),
    (4, 128, 6.049, 4.987),
    (4, 256, 6.285, 5.364),
)
FIGURES: tuple[Published, ...] = (
    *(
        Published(
            _BERT,
            {"model": "bert-base-uncased", "precision": "fp16", "attention": attention,
             "batch_size": batch, "sequence_length": length},
            "e2e_ms", ms, "ms",
        )
        for batch, length, *times in _BERT_MS
        for attention, ms in zip(("eager", "sdpa"), times, strict=True)
    ),
    *(
        Published(
            f"{_ARTICLE}, A100",
            {"model": "bert-base-uncased", "batch_size": 32, "sequence_length": length},
            "sequences_per_s", rate, "seq/s",
        )
        for length, rate in ((128, 1200.0), (512, 340.0))
    ),
    *(
        Published(
            f"{_ARTICLE}, a GPU that is not named",
            {"model": "gpt2-medium", "attention": attention, "batch_size": 1},
            "tokens_per_s", rate, "tok/s",
        )
        for attention, rate in (("eager", 89.0), ("sdpa:flash", 142.0))
    ),
)  # fmt: skip
# Printed where a step measures a like ratio.
INT8_COMPILED = "torchao README, Llama-3-8B compiled, batch 1, A100: int8 weight-only 1.60x of bf16"
CONTINUOUS_BUSY = "HF blog, 8B, batch 32: the GPU is busy 76 % (synchronous), 99 % (asynchronous)"
NOT_MEASURED = (
    "hf-benchmarks/transformers 2025-10, H100: Llama-3.1-8B, flex + compile, batch 1, 32 + 64"
    " tokens: 8.60 ms a token; not measured here: too large to make with random weights in time"
)


def format_published(cells: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Return a line for each published figure of which there is a cell, with both and the ratio."""
    findings = []
    for figure in FIGURES:
        for cell in select(cells, **figure.cell)[:1]:
            ours = value_of(cell, figure.metric)
            ratio = divide(ours, figure.value)
            parts = [str(v) for v in figure.cell.values()]
            text = f"ours {_number(ours)}, published {figure.value:g} {figure.unit}"
            if ratio is not None:
                text += f", {ratio:.3g} x ({figure.source})"
            findings.append(fact(f"published: {' '.join(parts)}", True, text))
    for batch, length, eager, sdpa in _BERT_MS:
        wanted = {"precision": "fp16", "batch_size": batch, "sequence_length": length}
        pair = [
            value_of(cell, "e2e_ms")
            for attention in ("eager", "sdpa")
            for cell in select(cells, model="bert-base-uncased", attention=attention, **wanted)[:1]
        ]
        if len(pair) == 2:
            text = f"ours {_number(divide(pair[0], pair[1]))}, published {eager / sdpa:.3g}"
            name = f"published: BERT {batch}x{length}, eager over SDPA"
            findings.append(fact(name, True, text))
    return findings


def _number(value: float | None) -> str:
    return "no figure" if value is None else f"{value:.4g}"
