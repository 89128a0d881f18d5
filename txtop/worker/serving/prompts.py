"""The token ids of the requests of a cell, drawn from the seed."""

from __future__ import annotations

import hashlib

import torch

from txtop.plan import requests
from txtop.plan.cell import Cell
from txtop.plan.requests import RequestShape
from txtop.protocol import commands
from txtop.worker.loading.prompt_ids import EncodedPrompt, EncodedPrompts, hash_prompts
from txtop.worker.tasks.prompt_batches import build_padded_batch
from txtop.worker.tasks.task import ModelInputs


class Prompts:
    """The requests of a cell by number; numbers beyond the last start again from the first.

    `sha256` is that of all ids and lengths.
    """

    def __init__(
        self, cell: Cell, vocabulary: int, seed: int, encoded: EncodedPrompts | None = None
    ) -> None:
        assert cell.serving is not None
        self.cell = cell
        self._from_file = encoded is not None
        if encoded is None:
            self._prompts = _draw_prompts(cell, vocabulary, seed)
        else:
            self._prompts = encoded.draw_order(seed, cell.slots)
        self.sha256 = hash_prompts(self._prompts)

    def find(self, request: commands.Arrive) -> EncodedPrompt:
        """Return the prompt of `request`, its ids on the host.

        Warm-up takes those of a file from its end: a prefix cache shall not have those measured.
        """
        index = request.index
        if self._from_file and request.role == "warmup":
            index = -1 - index
        return self._prompts[index % len(self._prompts)]

    def get_shape(self, request: commands.Arrive) -> RequestShape:
        prompt = self.find(request)
        return RequestShape(request.index, len(prompt.ids), prompt.new_tokens)

    def build_batch(
        self, asked: list[commands.Arrive], device: torch.device, *, left: bool
    ) -> ModelInputs:
        """Build one batch, padded to its longest prompt, for the most new tokens of its requests.

        Decoders need the padding on the `left`, encoders on the right.
        """
        prompts = [self.find(request) for request in asked]
        return build_padded_batch(self.cell, prompts, device, self.sha256, left=left)


def _draw_prompts(cell: Cell, vocabulary: int, seed: int) -> list[EncodedPrompt]:
    """Draw the random ids of all requests of `cell`."""
    assert cell.serving is not None
    asked = requests.draw_requests(cell, seed, cell.serving.requests)
    lengths = [shape.prompt_tokens for shape in asked]
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(vocabulary, (sum(lengths),), generator=generator).split(lengths)
    return [EncodedPrompt(own, shape.new_tokens) for own, shape in zip(ids, asked, strict=True)]


def hash_tokens(tokens: list[int]) -> str:
    """Return the sha256 of token ids as int64."""
    return hashlib.sha256(torch.tensor(tokens, dtype=torch.int64).numpy().tobytes()).hexdigest()
