"""The number of positions that a loaded model has, read from the tables that it looks them up in.

No model type is known here: offsets and rows for padding show in the rows that a pass asks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

_LENGTH = 8
# Parts of the names of buffers that encode positions without a table that can be looked up.
_FORMULAS = ("inv_freq", "pos_enc", "embed_positions", "pos_emb", "sinusoid")


@dataclass(frozen=True)
class PositionLimits:
    """The longest prompt, and the most tokens that an encoder-decoder writes; `None` for no limit.

    For a decoder the prompt and its new tokens share the first.
    """

    prompt: int | None
    new: int | None


def find_position_limits(model: Any, stated: int | None) -> PositionLimits:
    """Run one pass over a few equal tokens and return the limits of the tables that it looks up.

    `stated` is the configuration's number, which holds for positions that are computed.
    """
    # Equal tokens that are no padding: only positions count upwards.
    config = model.config.get_text_config()
    special = (config.pad_token_id, config.eos_token_id)
    token = next(i for i in range(1, 4) if i not in special)
    ids = torch.full((1, _LENGTH), token, device=model.device)
    arguments: dict[str, Any] = {"input_ids": ids}
    if model.config.is_encoder_decoder:
        arguments["decoder_input_ids"] = ids
    rooms: dict[int, int] = {}
    # A head that cannot read such input comes after the tables.
    with torch.inference_mode(), _watch_lookups(rooms), suppress(Exception):
        model(**arguments)
    if not rooms:
        computed = any(part in name for name, _ in model.named_buffers() for part in _FORMULAS)
        return PositionLimits(stated, stated) if computed else PositionLimits(None, None)
    names = {
        m.weight.data_ptr(): p for p, m in model.named_modules() if isinstance(m, nn.Embedding)
    }
    decoder = [room for table, room in rooms.items() if "decoder." in names.get(table, "")]
    encoder = [room for table, room in rooms.items() if "decoder." not in names.get(table, "")]
    return PositionLimits(min(encoder or decoder), min(decoder or encoder))


@contextmanager
def _watch_lookups(rooms: dict[int, int]) -> Iterator[None]:
    """Add, by the address of its table, the room of each table that is asked for row after row."""
    lookup = nn.functional.embedding

    def watch(input: torch.Tensor, weight: torch.Tensor, *more: Any, **named: Any) -> torch.Tensor:
        # A table of relative positions is asked for a square of rows.
        if input.dim() == 1 or input.shape[:-1].numel() == 1:
            rows = input.flatten()[:_LENGTH]
            first = int(rows[0])
            if rows.tolist() == list(range(first, first + _LENGTH)):
                rooms[weight.data_ptr()] = weight.shape[0] - first
        return lookup(input, weight, *more, **named)

    nn.functional.embedding = watch
    try:
        yield
    finally:
        nn.functional.embedding = lookup
