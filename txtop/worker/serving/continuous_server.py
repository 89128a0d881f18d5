"""Continuous batching by the manager of transformers: requests join and leave between steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import fields
from time import perf_counter_ns
from typing import Any, Protocol

import torch

from txtop.errors import TxtopError
from txtop.plan.cell import Cell
from txtop.plan.requests import compute_max_tokens
from txtop.protocol import commands, events
from txtop.units import NS_PER_S
from txtop.worker.failures import RejectedError
from txtop.worker.serving.batcher import (
    STATUS_INTERVAL_NS,
    CommandSource,
    RequestQueue,
    StatusReporter,
)
from txtop.worker.serving.prompts import Prompts, hash_tokens
from txtop.worker.serving.request_event import build_request_event

PAGE_SIZE = 256
"""Tokens in a block of the KV cache."""
FREE_SHARE = 0.15
"""With less of the KV cache free the scheduler admits one new request a step (FIFOScheduler)."""
STEP_TOKENS = 512
"""The most tokens in one step on a CPU, unless there are more slots."""
STOP_S = 30.0
STATUS_INTERVAL_S = STATUS_INTERVAL_NS / NS_PER_S
# transformers 5.17 has `block_size` in place of `page_size`.
_NEEDED = {"page_size", "max_requests_per_batch", "allow_block_sharing", "auto_switch_to_flash"}


class CommandChannel(CommandSource, Protocol):
    """A source of commands into which the thread of the manager can put its outputs."""

    def put(self, item: object) -> None:
        """Queue `item` for `get`, from any thread."""


def require_pages(config: Any) -> None:
    """Check that all layers keep keys and values in pages, from the configuration of a model.

    Raises `RejectedError` for a layer with another state, as of Mamba.
    """
    from transformers.generation.continuous_batching import cache

    paged = getattr(cache, "ATTN_TYPE_TO_ALLOCATOR", None)
    layers = getattr(config, "layer_types", None) or ()
    others = [layer for layer in layers if paged is not None and layer not in paged]
    if others:
        raise RejectedError(
            f"continuous batching has no pages for layers of {others[0]}", "--scenario dynamic"
        )


def require_continuous(cell: Cell, family: str) -> None:
    """Check that the manager of the library can serve `cell`.

    Raises `RejectedError` if it cannot.
    """
    if family != "causal":
        kind = "an encoder makes no tokens" if family == "encoder" else "T5 and its like are not"
        raise RejectedError(f"continuous batching is for decoders: {kind}", "--scenario dynamic")
    if cell.attention.startswith("sdpa:") or cell.attention == "flex":
        raise RejectedError(
            f"continuous batching cannot be held to {cell.attention}", "--attention sdpa or eager"
        )
    import transformers
    from transformers.generation import configuration_utils

    config = getattr(configuration_utils, "ContinuousBatchingConfig", None)
    available = {field.name for field in fields(config)} if config is not None else set()
    if _NEEDED - available:
        raise RejectedError(
            f"transformers {transformers.__version__} has another continuous batching",
            "transformers 5.18 or newer",
        )


def count_blocks(cell: Cell, device: torch.device) -> int:
    """Return the blocks of the KV cache that the longest requests in all slots need.

    The library would take 90 % of the memory that is free, and its peak would be the size of the
    device. On a GPU the cache is larger by the share that the scheduler keeps free.
    """
    prompt, new = compute_max_tokens(cell)
    blocks = cell.slots * math.ceil((prompt + new) / PAGE_SIZE)
    if cell.prefix_cache == "on":
        # As much again for what is kept of requests that are over.
        blocks *= 2
    if device.type == "cuda":
        blocks = math.ceil(blocks / (1 - FREE_SHARE))
    return blocks + 1


class ContinuousServer:
    """A server that passes the requests of one cell to a manager and reports its outputs."""

    def __init__(
        self,
        cell: Cell,
        model: Any,
        prompts: Prompts,
        inbox: CommandChannel,
        tell: Callable[[events.AnyEvent], None],
    ) -> None:
        self._cell, self._prompts, self._tell = cell, prompts, tell
        self._queue = RequestQueue(cell.id, inbox)
        self._status = StatusReporter(cell.id, cell.slots, tell, perf_counter_ns)
        self._open: dict[str, commands.Arrive] = {}
        self._cached: dict[str, int] = {}
        self._device = model.device
        self._manager = model.init_continuous_batching(
            generation_config=_greedy(), continuous_batching_config=_config(cell, model.device)
        )
        # Outputs go into the queue that requests come from: one wait serves both, nothing polls.
        self._manager.output_router.output_queue = _OutputForwarder(inbox)

    def run(self) -> None:
        """Serve until the cell is closed.

        Raises `Cancelled`, `TxtopError`, and whatever broke the manager.
        """
        manager = self._manager
        hard = True
        shares = self._cell.prefix_cache == "on"
        try:
            if self._device.type == "cuda":
                manager.warmup()
            with _count_cached(self._cached) if shares else nullcontext():
                self._serve_requests(manager)
            self._status.tell(0, [])
            hard = False
        finally:
            # Otherwise its thread would keep running the model during the next cell.
            manager.stop(block=True, timeout=STOP_S, hard_stop=hard)
            if manager.is_running():
                raise TxtopError("the continuous batching manager does not stop")
            manager.destroy()

    def _serve_requests(self, manager: Any) -> None:
        manager.start()
        while not (self._queue.closed and not self._open):
            self._queue.take(STATUS_INTERVAL_S if self._open else 1.0)
            self._admit()
            self._collect()
            if self._status.due():
                self._send_status()

    def _admit(self) -> None:
        while self._queue.waiting:
            request = self._queue.waiting.popleft()
            name = f"{request.role} {request.index}"
            self._open[name] = request
            self._manager.add_request(
                self._prompts.find(request).ids.tolist(),
                request_id=name,
                max_new_tokens=self._prompts.get_shape(request).new_tokens,
                record_timestamps=True,
                eos_token_id=-1,
            )

    def _collect(self) -> None:
        if self._queue.answers and self._cell.prefix_cache == "on":
            self._require_sharing()
        while self._queue.answers:
            output = self._queue.answers.popleft()
            if output.error is not None:
                self._break(output.error)
            request = self._open.pop(output.request_id)
            self._answer(request, output)
        if not self._manager.is_running():
            self._break("its thread has ended")

    def _require_sharing(self) -> None:
        """Raise `RejectedError` if the cache, which now exists, cannot share its pages."""
        processor = self._manager.batch_processor
        if processor is not None and not processor.cache.use_prefix_sharing:
            raise RejectedError("the pages of this model cannot be shared", "--prefix-cache off")

    def _break(self, why: str) -> None:
        """Stop the manager and raise its fatal error.

        The manager fails its requests before it records the error, hence the stop. Raises
        `TxtopError` with `why` if it recorded none.
        """
        self._manager.stop(block=True, timeout=STOP_S, hard_stop=True)
        fatal = self._manager.background_thread_status.fatal_error
        if fatal is not None:
            raise fatal
        raise TxtopError(f"continuous batching failed: {why}")

    def _answer(self, request: commands.Arrive, output: Any) -> None:
        shape = self._prompts.get_shape(request)
        cached = self._cached.pop(output.request_id, 0)
        times_ns = [round(at * NS_PER_S) for at in output.timestamps]
        tokens = len(output.generated_tokens)
        if tokens != shape.new_tokens or len(times_ns) != tokens:
            got = f"{tokens} tokens instead of {shape.new_tokens}"
            raise TxtopError(f"continuous batching gave {got}")
        self._tell(
            build_request_event(
                request,
                shape,
                start_ns=round(output.lifespan[0] * NS_PER_S),
                times_ns=times_ns,
                end_ns=times_ns[-1],
                computed=shape.prompt_tokens + tokens - cached,
                tokens=tokens,
                cached=cached,
                output_sha256=hash_tokens(output.generated_tokens),
            )
        )

    def _send_status(self) -> None:
        """Send the status, read while the thread of the manager runs, so slightly out of date."""
        processor = self._manager.batch_processor
        if processor is None:
            self._status.tell(len(self._open), [])
            return
        running = [
            (request.index, min(state.generated_len(), new_tokens), new_tokens)
            for state in list(processor.scheduler.active_requests.values())
            if (request := self._open.get(state.request_id)) is not None
            and (new_tokens := self._prompts.get_shape(request).new_tokens)
        ]
        free = processor.cache.compute_free_capacity(relative=True)
        used = min(1.0, max(0.0, 1.0 - float(free)))
        self._status.tell(max(0, len(self._open) - len(running)), running, used)


class _OutputForwarder:
    """A stand-in for the output queue of the manager that puts into the queue of the worker."""

    def __init__(self, inbox: CommandChannel) -> None:
        self.put = inbox.put

    def empty(self) -> bool:
        return True


@contextmanager
def _count_cached(cached: dict[str, int]) -> Iterator[None]:
    """Put the prompt tokens of each request that were in the prefix cache into `cached`.

    The library only logs them.
    """
    from transformers.generation.continuous_batching import cache as paged

    cache_class: Any = paged.PagedAttentionCache
    search = cache_class.search_prefix_match

    def count(cache: Any, request_id: str, prompt_ids: list[int]) -> int:
        matched: int = search(cache, request_id, prompt_ids)
        cached[request_id] = matched
        return matched

    cache_class.search_prefix_match = count
    try:
        yield
    finally:
        cache_class.search_prefix_match = search


def _greedy() -> Any:
    from transformers import GenerationConfig

    return GenerationConfig(do_sample=False, num_beams=1, eos_token_id=-1, disable_compile=True)


def _config(cell: Cell, device: torch.device) -> Any:
    """Build the configuration of the manager, with as many requests per step as the cell has slots.

    Without a prefix cache a repeated prompt is computed again.
    """
    from transformers.generation.configuration_utils import ContinuousBatchingConfig

    slots = cell.slots
    sizes: dict[str, Any] = {"num_blocks": count_blocks(cell, device)}
    if device.type != "cuda":
        sizes |= {"max_batch_tokens": max(STEP_TOKENS, slots)}
        sizes |= {"use_async_batching": False, "use_cuda_graph": False}
    return ContinuousBatchingConfig(
        page_size=PAGE_SIZE,
        max_requests_per_batch=slots,
        allow_block_sharing=cell.prefix_cache == "on",
        auto_switch_to_flash=False,
        seed=0,
        **sizes,
    )
