"""The check of speculative decoding: its tokens beside those of plain greedy decoding, untimed.

A pass over several tokens rounds otherwise than one over a single token, so that two tokens with
nearly the same logit may change places; any other difference is a fault.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import torch

from txtop.protocol import events
from txtop.worker.loading import attention
from txtop.worker.tasks.task import ModelInputs, Task


def compare_with_plain(task: Task, model: Any, inputs: ModelInputs) -> events.Speculation:
    """Generate once with drafts and once without, and return the event with its `t_ns` unset."""
    cell = msgspec.structs.replace(inputs.cell, speculative="none")
    plain = _collect_tokens(task, replace(inputs, cell=cell))
    drafted = _collect_tokens(task, inputs)
    pairs = zip(plain, drafted, strict=True)
    differs_at = next((i for i, (one, other) in enumerate(pairs) if one != other), None)
    margin = None
    if differs_at is not None:
        pair = plain[differs_at], drafted[differs_at]
        margin = _compute_margin(model, inputs, plain[:differs_at], *pair)
    return events.Speculation(
        t_ns=0, cell=cell.id, compared=len(plain), differs_at=differs_at, margin=margin
    )


def _collect_tokens(task: Task, inputs: ModelInputs) -> list[int]:
    tokens: list[int] = []
    task.iterate(
        inputs, False, None, lambda: None, lambda ids: tokens.extend(ids.flatten().tolist())
    )
    return tokens


def _compute_margin(
    model: Any, inputs: ModelInputs, before: list[int], plain: int, other: int
) -> float:
    """Return by how much the logit of `plain` exceeds that of `other` after the same tokens."""
    made = torch.tensor([before], dtype=inputs.ids.dtype, device=inputs.ids.device)
    ids = torch.cat([inputs.ids, made], dim=1)
    with torch.inference_mode(), attention.use_kernel(inputs.cell.attention):
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -1].float()
    return float(logits[plain] - logits[other])
