"""Choose the likeliest continuation of a question, as lm-evaluation-harness does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from txtop.plan.cell import Cell
from txtop.tasks.items import ChoiceItem
from txtop.worker.accuracy.answer import GivenAnswer, require_room
from txtop.worker.loading import attention, kv_cache
from txtop.worker.loading.loaded_model import LoadedModel

MAX_ROWS, MAX_TOKENS = 64, 1024
"""The sequences and the padded tokens that are read at a time."""


@dataclass(frozen=True)
class TokenizedChoice:
    """The ids of a question and of one choice behind it."""

    context: list[int]
    continuation: list[int]

    def __len__(self) -> int:
        return len(self.context) + len(self.continuation)


def tokenize_choices(tokenizer: Any, item: ChoiceItem) -> list[TokenizedChoice]:
    """Return each choice in ids, split where the question ends.

    Spaces at the end of the question belong to the choice, before the one between them, and the
    whole is tokenised at once: a token may reach over the seam.
    """
    bare = item.question.rstrip()
    between = item.question[len(bare) :] + item.space
    context = tokenizer.encode(bare)
    wholes = (tokenizer.encode(f"{bare}{between}{choice}") for choice in item.choices)
    return [TokenizedChoice(whole[: len(context)], whole[len(context) :]) for whole in wholes]


def answer_choices(
    loaded: LoadedModel, tokenizer: Any, cell: Cell, items: list[ChoiceItem], where: str
) -> Iterator[GivenAnswer]:
    """Yield the answer to each item. Raises `RejectedError` before the first if one is too long."""
    tokenized = [tokenize_choices(tokenizer, item) for item in items]
    for item, choices in zip(items, tokenized, strict=True):
        require_room(loaded, where, item.line, max(map(len, choices)) - 1)
    for batch in _cut_batches(tokenized):
        rows = [choice for place in batch for choice in tokenized[place]]
        scores = _score_rows(loaded, cell, rows)
        for place in batch:
            own, scores = scores[: len(tokenized[place])], scores[len(tokenized[place]) :]
            best = max(range(len(own)), key=own.__getitem__)
            item = items[place]
            yield GivenAnswer(float(best == item.place), item.choices[best])


def _cut_batches(tokenized: list[list[TokenizedChoice]]) -> Iterator[list[int]]:
    """Yield the places of items that are read together."""
    batch: list[int] = []
    rows = longest = 0
    for place, choices in enumerate(tokenized):
        longest = max(longest, *map(len, choices))
        rows += len(choices)
        if batch and (rows > MAX_ROWS or rows * longest > MAX_TOKENS):
            yield batch
            batch, rows, longest = [], len(choices), max(map(len, choices))
        batch.append(place)
    if batch:
        yield batch


def _score_rows(loaded: LoadedModel, cell: Cell, rows: list[TokenizedChoice]) -> list[float]:
    """Return the log-likelihood of each continuation, in nats."""
    if cell.quantizes_cache:
        return [_score_through_cache(loaded, cell, row) for row in rows]
    longest = max(map(len, rows)) - 1
    ids = torch.zeros(len(rows), longest, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        length = len(row) - 1
        ids[place, :length] = torch.tensor((row.context + row.continuation)[:-1])
        mask[place, :length] = 1
    with torch.inference_mode(), attention.use_kernel(cell.attention):
        logits = loaded.model(
            input_ids=ids.to(loaded.device),
            attention_mask=mask.to(loaded.device),
            use_cache=False,
        ).logits
        return [
            _sum_log_probabilities(logits[place], row, len(row.context) - 1)
            for place, row in enumerate(rows)
        ]


def _score_through_cache(loaded: LoadedModel, cell: Cell, row: TokenizedChoice) -> float:
    """Read the question into the cache, and the choice through it: a prompt does not read it."""
    cache = kv_cache.build_quantised_cache(cell, loaded.model.config)
    ids = torch.tensor([(row.context + row.continuation)[:-1]], device=loaded.device)
    first = len(row.context)
    logits = []
    with torch.inference_mode(), attention.use_kernel(cell.attention):
        for part, read in ((ids[:, :first], first), (ids[:, first:], ids.shape[1])):
            if part.shape[1]:
                output = loaded.model(
                    input_ids=part,
                    attention_mask=torch.ones_like(ids[:, :read]),
                    past_key_values=cache,
                    use_cache=True,
                )
                logits.append(output.logits[0])
        return _sum_log_probabilities(torch.cat(logits), row, first - 1)


def _sum_log_probabilities(logits: torch.Tensor, row: TokenizedChoice, first: int) -> float:
    own = logits[first : first + len(row.continuation)].float()
    targets = torch.tensor(row.continuation, device=own.device)
    chosen = torch.log_softmax(own, -1).gather(1, targets[:, None])
    return float(chosen.double().sum())
