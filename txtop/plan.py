"""What is measured: a cell is one configuration, a plan the cells and how long each may take."""

from __future__ import annotations

import hashlib
from itertools import product
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

Precision = Literal["fp32", "fp16", "bf16"]
Attention = Literal["eager", "sdpa"]
Weights = Literal["auto", "pretrained", "random"]
Device = Literal["auto", "cpu", "cuda"]
Positive = Annotated[int, Meta(ge=1, le=1_000_000)]
Count = Annotated[int, Meta(ge=0, le=10_000_000)]

PRECISIONS: tuple[str, ...] = get_args(Precision)
ATTENTIONS: tuple[str, ...] = get_args(Attention)


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One configuration. `sequence_length` counts prompt tokens (T5: of the encoder's input)."""

    id: str
    model: str
    precision: Precision = "fp32"
    attention: Attention = "sdpa"
    batch_size: Positive = 1
    sequence_length: Positive = 128
    new_tokens: Positive = 32
    device: Device = "auto"
    threads: Positive | None = None
    weights: Weights = "auto"

    @property
    def group(self) -> str:
        """Cells with equal groups share one loaded worker."""
        threads = self.threads or "default"
        parts = (self.model, self.precision, self.attention, self.device, threads, self.weights)
        return "|".join(map(str, parts))

    @property
    def short(self) -> str:
        """`gpt2 bf16 batch 8`, for logs and titles."""
        return f"{self.model} {self.precision} batch {self.batch_size}"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The cells in the order they are measured, and the rule that ends each of them.

    `iterations` measures exactly that many; without it a cell runs at least 10 iterations and
    3 s, then until its interval is narrow enough or `budget_s` is spent.
    """

    cells: tuple[Cell, ...]
    iterations: Positive | None = None
    warmup: Count = 3
    budget_s: Annotated[float, Meta(gt=0, le=86_400)] = 30.0
    seed: Count = 0
    preset: str | None = None

    @property
    def groups(self) -> list[list[Cell]]:
        """Cells that share weights, together, in the order of their first appearance."""
        found: dict[str, list[Cell]] = {}
        for cell in self.cells:
            found.setdefault(cell.group, []).append(cell)
        return list(found.values())


def matrix(
    *,
    models: list[str],
    precisions: list[Precision],
    attention: list[Attention],
    batch_sizes: list[int],
    sequence_lengths: list[int],
    new_tokens: list[int],
    device: Device = "auto",
    threads: list[int] | None = None,
    weights: Weights = "auto",
) -> tuple[Cell, ...]:
    """Every combination, each once, model first: cells that share weights stand together."""
    pools: list[int | None] = list(threads or []) or [None]
    knobs = product(models, attention, pools, precisions, sequence_lengths, new_tokens, batch_sizes)
    return tuple(
        Cell(
            id=f"c{number:03d}",
            model=model,
            precision=precision,
            attention=kernel,
            batch_size=batch,
            sequence_length=length,
            new_tokens=tokens,
            device=device,
            threads=thread,
            weights=weights,
        )
        for number, (model, kernel, thread, precision, length, tokens, batch) in enumerate(
            dict.fromkeys(knobs), start=1
        )
    )


def workload_hash(plan: Plan) -> str:
    """sha256 of what the cells ask of the machine, without ids, threads and device."""
    skipped = ("id", "threads", "device")
    cells = [
        {k: v for k, v in sorted(msgspec.structs.asdict(c).items()) if k not in skipped}
        for c in plan.cells
    ]
    body = msgspec.json.encode({"cells": cells, "seed": plan.seed})
    return hashlib.sha256(body).hexdigest()
