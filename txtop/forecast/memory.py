"""Forecast the peak of memory of a cell before it runs: process, weights, call and allocator.

The cells table, the matrix builder and `fit` read it. On a CPU the peak is the resident size of the
worker, on a GPU what is in use there, its context included. See docs/method.md, "Forecast of
memory".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from txtop.models import model_size
from txtop.models.dimensions import Dimensions, read_dimensions
from txtop.models.model_config import find_config, find_files
from txtop.models.pass_memory import PassShape, count_pass_bytes, count_window_mask_bytes
from txtop.models.purpose import detect_family
from txtop.plan import modes, requests
from txtop.plan.cell import Cell
from txtop.system.gpus import CONTEXT_BYTES

MIB = 1 << 20
# Python, torch and transformers after the first call: 388 to 406 MiB with torch 2.13 on a CPU.
PROCESS_BYTES = 394 * MIB
# Inductor, imported and at rest: 115 to 150 MiB.
COMPILER_BYTES = 130 * MIB
# torchao, imported.
QUANTISER_BYTES = 10 * MIB
# A scale or two of 16 bits for each group of 64.
SCALE_BYTES = 4 / 64
# What oneDNN keeps of products in half precision on a CPU; with experts each has shapes of its own.
HALF_BYTES = 24 * MIB
HALF_EXPERTS_BYTES = 100 * MIB
# Blocks below 32 MiB come from the C library's heap, where freed ones leave holes, the larger the
# blocks are; larger blocks are mapped and go back to the system.
MAPPED_FROM_BYTES = 33 * MIB
HEAP_SHARE = 0.5
# A decoder's keys and values stay in the holes that blocks of feed-forward layers left, so that
# the next layer's need new ones.
SPLIT_SHARE = 0.8
HEAP_BYTES, HEAP_BLOCKS = 60 * MIB, 5
MAPPED_LOSS_BYTES = 20 * MIB
# The caching allocator of a GPU rounds blocks up and keeps them.
DEVICE_SHARE = 0.06
# A product with int8 weights makes the matrix in the precision of the sums first, and packs it.
DEQUANTISED_COPIES = 2.2


@dataclass(frozen=True)
class MemoryForecast:
    """The parts of a cell's peak, in bytes.

    `working` is what a call holds at its highest, the cache included, and `allocator` what is lost
    to the granularity of allocation. `load_bytes` is the peak of the load where that is higher
    than what stays (int8).
    """

    process_bytes: int
    weight_bytes: int
    working_bytes: int
    allocator_bytes: int
    load_bytes: int = 0

    @property
    def peak_bytes(self) -> int:
        """Return the peak of the measured cell, as its event `memory` will state it."""
        return self.process_bytes + self.weight_bytes + self.working_bytes + self.allocator_bytes

    @property
    def needed_bytes(self) -> int:
        """Return the least memory with which the cell is loaded and runs."""
        return max(self.peak_bytes, self.process_bytes + self.load_bytes)


class _UnknownModel(Exception):
    """A forecast cannot be made yet: the model may come here later."""


def forecast_memory(
    cell: Cell, *, on_gpu: bool = False, process_bytes: int | None = None
) -> MemoryForecast | None:
    """Forecast the memory of `cell`; None if its model, or the length of its prompts, is unknown,
    and for a model in parts.

    A server is counted with the longest requests in every slot. `process_bytes` is what a worker
    was seen to take without weights, compiler and quantiser, if it was.
    """
    if cell.parallel != "none" or (cell.prompts is not None and cell.prompts.tokens is None):
        return None
    try:
        return _forecast(cell, on_gpu=on_gpu, process_bytes=process_bytes)
    except _UnknownModel:
        return None


@lru_cache(maxsize=4096)
def _forecast(cell: Cell, *, on_gpu: bool, process_bytes: int | None) -> MemoryForecast:
    """Forecast the memory of `cell`, or raise `_UnknownModel`, which the cache does not keep."""
    try:
        config = find_config(cell.model)
        if config is None:
            raise _UnknownModel
        family = detect_family(config, find_files(cell.model))
        size = read_dimensions(config, family)
        parameters = model_size.find_parameter_count(cell.model)
    except (OSError, ValueError):
        raise _UnknownModel from None
    if size is None:
        raise _UnknownModel
    if parameters is None:
        if cell.weights != "random" and model_size.has_weights(cell.model):
            raise _UnknownModel
        parameters = size.count_parameters()
    weights = count_weight_bytes(size, parameters, cell.precision, on_gpu=on_gpu)
    prompt, new = requests.compute_max_tokens(cell)
    shape = PassShape(
        batch=cell.slots,
        prompt=prompt,
        new=new,
        value_bytes=_get_value_bytes(cell.precision, on_gpu=on_gpu),
        eager=cell.attention == "eager",
        static=cell.cache == "static",
    )
    called = count_pass_bytes(size, shape)
    working = called + _count_dequantised(size, cell, shape.value_bytes)
    allocator = DEVICE_SHARE * working if on_gpu else _count_heap_loss(size, shape, called)
    if process_bytes is None:
        process_bytes = CONTEXT_BYTES if on_gpu else PROCESS_BYTES
    if not on_gpu:
        process_bytes += COMPILER_BYTES if cell.compile != "none" else 0
        process_bytes += 0 if modes.is_dense(cell.precision) else QUANTISER_BYTES
        if shape.value_bytes < 4:
            process_bytes += HALF_EXPERTS_BYTES if size.experts else HALF_BYTES
    return MemoryForecast(
        process_bytes=process_bytes,
        weight_bytes=weights,
        working_bytes=working,
        allocator_bytes=round(allocator),
        load_bytes=_count_load_bytes(size, parameters, cell, shape.value_bytes),
    )


def _count_heap_loss(size: Dimensions, shape: PassShape, called_bytes: int) -> float:
    """Return what holes in the heap add to a call, the larger the blocks that they were."""
    tokens, value = shape.batch * shape.prompt, shape.value_bytes
    state_bytes = tokens * size.width * value
    inner_bytes = tokens * size.inner * value * (2 * size.active if size.experts else 1)
    mask_bytes = count_window_mask_bytes(size, shape)
    share, block_bytes = HEAP_SHARE, state_bytes
    unused_bytes, heap_bytes = 0, called_bytes
    if size.family == "causal" and inner_bytes < MAPPED_FROM_BYTES:
        share, block_bytes = SPLIT_SHARE, max(state_bytes, inner_bytes)
        if mask_bytes >= MAPPED_FROM_BYTES:
            # While the mask is mapped the heap stays as large as a feed-forward layer made it.
            plain = replace(size, window=None)
            heap_bytes = count_pass_bytes(plain, shape) + shape.prompt**2
            unused_bytes = max(0, heap_bytes - (called_bytes - mask_bytes))
    if state_bytes >= MAPPED_FROM_BYTES:
        most = MAPPED_LOSS_BYTES
    else:
        most = HEAP_BYTES + HEAP_BLOCKS * block_bytes
    return unused_bytes + min(share * heap_bytes, most)


def _get_value_bytes(precision: str, *, on_gpu: bool) -> int:
    """Return the bytes of a value of the cache and the activations."""
    if modes.is_dense(precision):
        return int(modes.get_bits(precision) // 8)
    fixed = modes.find_base(precision, "cuda" if on_gpu else "cpu")
    return 2 if on_gpu or fixed else 4


def count_weight_bytes(
    size: Dimensions, parameters: int, precision: str, *, on_gpu: bool = False
) -> int:
    """Return the bytes of the weights as they are stored.

    int8 leaves the tables as they are, also the one that a head shares; 4 bits and bitsandbytes the
    head as well. T5 keeps in fp32 what leads out of a feed-forward layer.
    """
    if modes.is_dense(precision):
        kept = precision == "fp16" and size.family == "seq2seq"
        extra = 2 * size.count_feed_forward_outputs() if kept else 0
        return round(parameters * modes.get_bits(precision) / 8) + extra
    base = _get_value_bytes(precision, on_gpu=on_gpu)
    tables = size.vocabulary * size.width
    if size.family == "encoder" or size.model_type == "gpt2":
        tables += size.positions * size.width
    shared = size.vocabulary * size.width if size.tied and size.family != "encoder" else 0
    share = modes.get_bits(precision) / 8
    if modes.skips_head(precision):
        # The head stays: a shared table as it is, one of its own in the type of the sums.
        own = 0 if size.tied or size.family == "encoder" else size.vocabulary * size.width
        converted = max(0, parameters - tables - own)
        return (tables + own) * base + round(converted * (share + SCALE_BYTES))
    return tables * base + round(max(0, parameters - tables) * share) + shared


def _is_weight_only(size: Dimensions, precision: str) -> bool:
    """Return True if the products of `precision` are made in the precision of the sums."""
    recipe = precision.partition(":")[2]
    if recipe == "bnb":
        return False
    return precision.startswith("int8") and (
        recipe == "weight-only" or (not recipe and size.family != "encoder")
    )


def _count_dequantised(size: Dimensions, cell: Cell, value_bytes: int) -> int:
    if not _is_weight_only(size, cell.precision):
        return 0
    return round(DEQUANTISED_COPIES * size.largest_matrix * value_bytes)


def _count_load_bytes(size: Dimensions, parameters: int, cell: Cell, value_bytes: int) -> int:
    """Return the peak of a load that converts: all weights, and the matrix in the making."""
    if modes.is_dense(cell.precision):
        return 0
    return parameters * value_bytes + round(DEQUANTISED_COPIES * size.largest_matrix * value_bytes)
