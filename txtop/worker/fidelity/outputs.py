"""The outputs of a loaded model on a window of tokens, its free generation, and their storage."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
import torch

from txtop.errors import TxtopError
from txtop.plan.cell import Cell
from txtop.worker.fidelity import divergence
from txtop.worker.fidelity.passage import Passage, TokenWindow
from txtop.worker.loading import attention, kv_cache
from txtop.worker.loading.loaded_model import LoadedModel
from txtop.worker.tasks.task import end_with
from txtop.worker.tasks.text_generation import build_generation_config
from txtop.worker.tasks.token_timer import TokenTimer

FLOAT32_BYTES = 4
CACHED_TOKENS = 128
"""The tokens of a window that are read through a quantised cache, at least; half of a short one."""
_STEP_TOKENS = 32
"""Tokens that are read at a time behind the prompt: int8 and int4 quantise them as one by one."""


class Spool:
    """Rows of float32 in a temporary file without a name, which ends with the process.

    The file is not mapped into memory, so that a full disk is an error and not a signal.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="txtop-")  # noqa: SIM115
        self._width = 0

    def append(self, rows: torch.Tensor) -> None:
        """Append rows of shape (n, width).

        Raises `OSError` if the disk is full.
        """
        self._width = rows.shape[1]
        self._file.seek(0, 2)
        self._file.write(rows.contiguous().numpy().data)

    def read(self, first: int, count: int) -> torch.Tensor:
        """Return `count` rows from row `first` on.

        Raises `TxtopError` if the file is too short.
        """
        rows = np.empty((count, self._width), dtype=np.float32)
        self._file.seek(first * self._width * FLOAT32_BYTES)
        if self._file.readinto(rows.data) != rows.nbytes:
            raise TxtopError("the temporary file of the reference's answers was cut short")
        return torch.from_numpy(rows)

    def close(self) -> None:
        """Close the file and free its space."""
        self._file.close()


@dataclass(frozen=True)
class WindowOutput:
    """The output of a model on one window, on the CPU.

    `rows`, float32 of shape (n, width), are log-probabilities, or hidden states of the last layer.
    `pooled` is the output of an encoder's head, else of its pooler, as one vector; `None` without
    either. `invalid` counts NaN and Inf in the output of the model. Rows before `first` do not
    depend on the cache that is compared.
    """

    rows: torch.Tensor
    pooled: torch.Tensor | None
    invalid: int
    first: int = 0
    pooled_by: Literal["head", "pooler", "mean"] = "mean"


def compute_output(
    loaded: LoadedModel, cell: Cell, window: TokenWindow, *, hidden: bool
) -> WindowOutput:
    """Run one pass over `window`, without a cache of keys and values.

    The rows are hidden states if `hidden`, else log-probabilities. A quantised cache is filled with
    a prompt of the cell's length, behind which the rest of the window is read through it.
    """
    ids = window.ids[None].to(loaded.device)
    if cell.quantizes_cache and loaded.family == "causal":
        return _read_through_cache(loaded, cell, ids, hidden=hidden)
    if loaded.end_token is not None:
        ids = end_with(ids, loaded.end_token)
    arguments: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if loaded.family == "seq2seq":
        start = torch.full_like(ids[:, :1], loaded.model.generation_config.decoder_start_token_id)
        arguments["decoder_input_ids"] = torch.cat([start, ids[:, :-1]], dim=1)
    if loaded.family != "encoder":
        arguments["use_cache"] = False
    with torch.inference_mode(), attention.use_kernel(cell.attention):
        output = loaded.model(**arguments, **({"output_hidden_states": True} if hidden else {}))
        if not hidden:
            rows, invalid = divergence.compute_log_probabilities(output.logits[0].float().cpu())
            return WindowOutput(rows, None, invalid)
        bare = "last_hidden_state" in output
        rows = (output.last_hidden_state if bare else _get_last_layer(output))[0].float().cpu()
        first = output.get("pooler_output") if bare else output[0]
        pooled = None if first is None else first[0].float().cpu()
    invalid = rows.numel() - int(torch.isfinite(rows).sum())
    if pooled is not None:
        if not bare:
            invalid += pooled.numel() - int(torch.isfinite(pooled).sum())
        # The head of a masked language model answers for every token.
        pooled = pooled.mean(0) if pooled.dim() > 1 else pooled
    by: Literal["head", "pooler", "mean"] = "pooler" if bare else "head"
    return WindowOutput(rows, pooled, invalid, pooled_by="mean" if pooled is None else by)


def embed_sentences(
    loaded: LoadedModel, cell: Cell, sentences: list[TokenWindow], step: Callable[[int], None]
) -> torch.Tensor:
    """Return an embedding for each sentence: the mean of its last hidden states, or the first one
    where sentence-transformers says so. `step` gets the tokens and may raise.
    """
    rows = []
    first = loaded.pools_first_token
    for sentence in sentences:
        states = compute_output(loaded, cell, sentence, hidden=True).rows
        step(len(sentence.ids))
        rows.append(states[0] if first else states.mean(0))
    return torch.stack(rows)


def find_cached_part(cell: Cell, length: int) -> int:
    """Return the place in a window of `length` tokens from which on the cache is read."""
    return max(1, min(cell.sequence_length, length - min(CACHED_TOKENS, length // 2)))


def _read_through_cache(
    loaded: LoadedModel, cell: Cell, ids: torch.Tensor, *, hidden: bool
) -> WindowOutput:
    first = find_cached_part(cell, ids.shape[1])
    cache = kv_cache.build_quantised_cache(cell, loaded.model.config)
    parts = [ids[:, :first], *ids[:, first:].split(_STEP_TOKENS, dim=1)]
    rows: list[torch.Tensor] = []
    read = 0
    with torch.inference_mode(), attention.use_kernel(cell.attention):
        for part in parts:
            read += part.shape[1]
            output = loaded.model(
                input_ids=part,
                attention_mask=torch.ones_like(ids[:, :read]),
                past_key_values=cache,
                use_cache=True,
                **({"output_hidden_states": True} if hidden else {}),
            )
            values = _get_last_layer(output) if hidden else output.logits
            rows.append(values[0].float().cpu())
    joined = torch.cat(rows)
    if hidden:
        invalid = joined.numel() - int(torch.isfinite(joined).sum())
    else:
        joined, invalid = divergence.compute_log_probabilities(joined)
    return WindowOutput(joined, None, invalid, first)


def _get_last_layer(output: Any) -> torch.Tensor:
    """Return the hidden states of the last layer, which a head or a vocabulary is applied to."""
    layers = output.get("decoder_hidden_states") or output.hidden_states
    last: torch.Tensor = layers[-1]
    return last


def generate_tokens(
    loaded: LoadedModel, cell: Cell, text: Passage, step: Callable[[int], None]
) -> list[int]:
    """Return the greedy continuation of the prompt. `step` gets 1 per token and may raise."""
    if not text.written:
        return []
    ids = text.prompt[None].to(loaded.device)
    cache = cell.cache if cell.quantizes_cache else "dynamic"
    plain = msgspec.structs.replace(
        cell, new_tokens=text.written, cache=cache, compile="none", speculative="none"
    )
    clock = TokenTimer(None, lambda: step(1))
    with torch.inference_mode(), attention.use_kernel(cell.attention):
        clock.start()
        generated = loaded.model.generate(
            inputs=ids,
            attention_mask=torch.ones_like(ids),
            generation_config=build_generation_config(plain, loaded.model.config, compiled=False),
            streamer=clock,
        )
    written: list[int] = generated[0, -text.written :].tolist()
    return written
