"""The batches that the prompts of a file make, padded to the longest of each."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import torch

from txtop.plan.cell import Cell
from txtop.worker.failures import RejectedError
from txtop.worker.loading.loaded_model import LoadedModel
from txtop.worker.loading.prompt_ids import (
    EncodedPrompt,
    EncodedPrompts,
    encode_prompts,
    explain_too_long,
    hash_prompts,
)
from txtop.worker.tasks.task import ModelInputs, make_inputs


def build_padded_batch(
    cell: Cell, prompts: Sequence[EncodedPrompt], device: torch.device, sha256: str, *, left: bool
) -> ModelInputs:
    """Build one batch, padded to its longest prompt, for the most new tokens that one asks for.

    Decoders need the padding on the `left`, encoders on the right.
    """
    width = max(len(prompt.ids) for prompt in prompts)
    batch = torch.zeros((len(prompts), width), dtype=torch.int64)
    mask = torch.zeros_like(batch)
    for row, prompt in enumerate(prompts):
        length = len(prompt.ids)
        place = slice(width - length, None) if left else slice(0, length)
        batch[row, place], mask[row, place] = prompt.ids, 1
    cell = msgspec.structs.replace(
        cell,
        batch_size=len(prompts),
        sequence_length=width,
        new_tokens=max(prompt.new_tokens for prompt in prompts),
    )
    tokens = sum(len(prompt.ids) for prompt in prompts)
    return ModelInputs(cell, batch.to(device), mask.to(device), sha256, tokens)


def encode_prompts_of(loaded: LoadedModel, cell: Cell) -> EncodedPrompts | None:
    """Encode the prompts of `cell`, if it has some.

    Raises `RejectedError` if one does not fit the model.
    """
    if cell.prompts is None:
        return None
    encoded = encode_prompts(
        cell, loaded.source, loaded.family, loaded.vocabulary, loaded.end_token
    )
    limits = loaded.position_limits
    refusal = explain_too_long(cell, encoded, loaded.family, limits.prompt, limits.new)
    if refusal:
        raise RejectedError(*refusal)
    return encoded


def build_inputs(
    loaded: LoadedModel, cell: Cell, encoded: EncodedPrompts | None
) -> list[ModelInputs]:
    """Return the batches of `cell`: one of random ids, or those of its prompts."""
    if encoded is None:
        return [make_inputs(cell, loaded.vocabulary, loaded.seed, loaded.device, loaded.end_token)]
    left = loaded.family == "causal"
    return build_batches(cell, encoded, loaded.seed, loaded.device, left=left)


def build_batches(
    cell: Cell, encoded: EncodedPrompts, seed: int, device: torch.device, *, left: bool
) -> list[ModelInputs]:
    """Build the full batches of `cell` from its prompts in seeded order, each at least once.

    The last batch is filled up from the beginning of the order, as often as it takes.
    """
    order, size = encoded.draw_order(seed), cell.batch_size
    count = -(-len(order) // size)
    rows = [order[i % len(order)] for i in range(count * size)]
    sha256 = hash_prompts(order)
    return [
        build_padded_batch(cell, rows[at : at + size], device, sha256, left=left)
        for at in range(0, len(rows), size)
    ]
