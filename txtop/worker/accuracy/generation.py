"""Continue a prompt greedily and compare the text with the right answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from txtop.plan.cell import Cell
from txtop.tasks.items import MatchItem
from txtop.worker.accuracy.answer import GivenAnswer, require_room
from txtop.worker.loading import attention, kv_cache
from txtop.worker.loading.loaded_model import LoadedModel


def answer_matches(
    loaded: LoadedModel,
    tokenizer: Any,
    cell: Cell,
    items: list[MatchItem],
    where: str,
    check: Callable[[], None],
) -> Iterator[GivenAnswer]:
    """Yield the answer to each item; `check` may raise between two tokens.

    Raises `RejectedError` before the first if one is too long.
    """
    prompts = [tokenizer.encode(item.prompt) for item in items]
    for item, prompt in zip(items, prompts, strict=True):
        require_room(loaded, where, item.line, len(prompt) + item.max_tokens)
    for item, prompt in zip(items, prompts, strict=True):
        text = _continue_prompt(loaded, tokenizer, cell, item, prompt, check)
        yield GivenAnswer(float(text in {answer.strip() for answer in item.answers}), text)


def _continue_prompt(
    loaded: LoadedModel,
    tokenizer: Any,
    cell: Cell,
    item: MatchItem,
    prompt: list[int],
    check: Callable[[], None],
) -> str:
    from transformers import GenerationConfig

    own = loaded.model.generation_config
    cache = cell.cache if cell.quantizes_cache else "dynamic"
    ids = torch.tensor([prompt], device=loaded.device)

    def decode(row: torch.Tensor) -> str:
        text: str = tokenizer.decode(row[len(prompt) :], skip_special_tokens=True)
        return text

    def is_over(rows: torch.Tensor, _scores: Any, **_: Any) -> torch.Tensor:
        check()
        text = decode(rows[0])
        over = any(stop in text for stop in item.until)
        return torch.tensor([over], device=rows.device)

    eos = own.eos_token_id
    settings = GenerationConfig(
        max_new_tokens=item.max_tokens,
        do_sample=False,
        num_beams=1,
        eos_token_id=eos,
        pad_token_id=own.pad_token_id if own.pad_token_id is not None else _get_first(eos),
        disable_compile=True,
        **kv_cache.build_cache_arguments(_with_cache(cell, cache), loaded.model.config),
    )
    with torch.inference_mode(), attention.use_kernel(cell.attention):
        rows = loaded.model.generate(
            inputs=ids,
            attention_mask=torch.ones_like(ids),
            generation_config=settings,
            stopping_criteria=[is_over],
        )
    text = decode(rows[0])
    for stop in item.until:
        text = text.partition(stop)[0]
    return text.strip()


def _get_first(eos: int | list[int] | None) -> int | None:
    return eos[0] if isinstance(eos, list) else eos


def _with_cache(cell: Cell, cache: str) -> Cell:
    import msgspec

    return msgspec.structs.replace(cell, cache=cache, compile="none", speculative="none")
