"""The token ids of the requests of a cell, drawn from the seed."""

from __future__ import annotations

import hashlib

import torch

from txtop.plan import requests
from txtop.plan.cell import Cell
from txtop.plan.requests import RequestShape
from txtop.worker.tasks.task import ModelInputs


class Prompts:
    """The requests of a cell by number; numbers beyond the last start again from the first.

    `sha256` is that of all ids and lengths.
    """

    def __init__(self, cell: Cell, vocabulary: int, seed: int) -> None:
        assert cell.serving is not None
        self.cell = cell
        self._asked = requests.draw_requests(cell, seed, cell.serving.requests)
        lengths = [shape.prompt_tokens for shape in self._asked]
        generator = torch.Generator().manual_seed(seed)
        ids = torch.randint(vocabulary, (sum(lengths),), generator=generator)
        new_tokens = [shape.new_tokens for shape in self._asked]
        digest = hashlib.sha256(ids.numpy().tobytes())
        digest.update(repr((lengths, new_tokens)).encode())
        self.sha256 = digest.hexdigest()
        self._ids: tuple[torch.Tensor, ...] = ids.split(lengths)

    def get_shape(self, index: int) -> RequestShape:
        return self._asked[index % len(self._asked)]

    def ids(self, index: int) -> torch.Tensor:
        """Return the ids of request `index`, of shape (prompt tokens,), on the host."""
        return self._ids[index % len(self._ids)]

    def build_batch(self, numbers: list[int], device: torch.device, *, left: bool) -> ModelInputs:
        """Build one batch, padded to its longest prompt, for the most new tokens of its requests.

        Decoders need the padding on the `left`, encoders on the right.
        """
        own = [self.ids(number) for number in numbers]
        width = max(len(ids) for ids in own)
        batch = torch.zeros((len(own), width), dtype=torch.int64)
        mask = torch.zeros_like(batch)
        for row, ids in enumerate(own):
            place = slice(width - len(ids), None) if left else slice(0, len(ids))
            batch[row, place], mask[row, place] = ids, 1
        import msgspec

        cell = msgspec.structs.replace(
            self.cell,
            batch_size=len(own),
            sequence_length=width,
            new_tokens=max(self.get_shape(number).new_tokens for number in numbers),
        )
        return ModelInputs(cell, batch.to(device), mask.to(device), self.sha256)


def hash_tokens(tokens: list[int]) -> str:
    """Return the sha256 of token ids as int64."""
    return hashlib.sha256(torch.tensor(tokens, dtype=torch.int64).numpy().tobytes()).hexdigest()
