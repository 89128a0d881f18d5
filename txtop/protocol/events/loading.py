"""Events of loading: the model, the device it is on, and the inputs it is given."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from txtop.plan.model_names import Family
from txtop.plan.parallel import MAX_RANKS
from txtop.plan.prompt_file import MAX_PROMPTS
from txtop.protocol.events.base import Event, Name, Natural, Real, Text

Share = Annotated[float, Meta(ge=0, le=1)]


class Geometry(msgspec.Struct, kw_only=True, frozen=True):
    """The dimensions of a loaded decoder or encoder that its speed depends on.

    Heads have one size in every layer. `dtype` is the one that matrices are multiplied in;
    `value_bytes` is the size of such a value, beside int8 that of the dtype of sums and cache.
    `position_parameters` are multiplied with every position, `sequence_parameters` once a sequence
    (the output head, of which generate() asks the last position alone; a pooler); tables that are
    only looked up are in neither. A decode step reads `step_bytes` of weights whatever the batch,
    and `row_bytes` of tables for each sequence. `window` is the longest reach of attention in any
    layer, None if every layer reaches back to the start. If `routed`, all of this counts the
    experts of one token.
    """

    layers: Natural
    heads: Natural
    kv_heads: Natural
    head_dim: Natural
    dtype: Name
    value_bytes: Natural
    position_parameters: Natural
    sequence_parameters: Natural = 0
    step_bytes: Natural
    row_bytes: Natural = 0
    window: Natural | None = None
    routed: bool = False


class ModelLoaded(Event, kw_only=True, tag="load"):
    """A worker is ready.

    `load_s` runs from the start of the worker's process until here, less the phase `resolve`: a
    download is never part of a load. `recipe` names the way a quantised precision was made.
    `converted_share` is the bytes of matrix-product weights that it converted over the bytes of all
    of them, as they were before. `capability` is that of an NVIDIA GPU, as 9.0. `environment` are
    settings and variables that bend numbers, empty in older recordings. `compile_cache` says
    whether the compiler found its graphs on the disk. `drawn` are the modules and weights that were
    not in the files of `partial` weights and are seeded random values, 50 at most. `model_class` is
    the class that is measured, empty in older recordings. `assistant_parameters` and
    `assistant_bytes` are the sizes of a model that drafts tokens, which no other figure counts.
    `experts` is the number of experts in a layer, of which a token passes through
    `experts_per_token` and thus through `active_parameters` of the model; None without experts.
    `resident_bytes` is the worker's resident size then, weights included, and `mapped_bytes` what
    it had mapped beyond that, as libraries and stacks that it never touches. `scheme` is that of a
    checkpoint that is stored quantised. `products` are the bytes of matrix-product weights as they
    are stored, by the class of module and, in brackets, of its weight. `weight_bytes` is the sum
    over all storages. `ranks` is the number of devices, or of processes on a CPU, over which the
    model is spread; parameters and weights are those of all. `context` is the longest in tokens
    that the configuration states.
    """

    cell: Name
    worker: Name
    load_s: Real
    phases: dict[Name, Real]
    family: Family
    weights: Literal["pretrained", "partial", "random"]
    source: Name
    parameters: Natural
    weight_bytes: Natural
    page_cache: Literal["cold", "warm", "unknown"] = "unknown"
    device: Name
    device_name: Name
    device_id: Name | None = None
    threads: Natural
    attention: Name
    recipe: Name = ""
    converted_share: Share | None = None
    geometry: Geometry | None = None
    versions: dict[Name, Name]
    notes: list[Text] = []
    capability: Name = ""
    environment: dict[Name, Name] = {}
    compile_cache: Literal["cold", "warm", "part", ""] = ""
    drawn: list[Name] = []
    model_class: Name = ""
    assistant_parameters: Natural = 0
    assistant_bytes: Natural = 0
    experts: Natural | None = None
    experts_per_token: Natural | None = None
    active_parameters: Natural | None = None
    resident_bytes: Natural | None = None
    mapped_bytes: Natural | None = None
    scheme: Name = ""
    products: dict[Name, Natural] = {}
    ranks: Annotated[int, Meta(ge=1, le=MAX_RANKS)] = 1
    context: Natural | None = None


class DevicePeaks(Event, kw_only=True, tag="peaks"):
    """The peaks of a device with `threads` threads: memory bandwidth, and dense FLOP/s by dtype.

    They are published ones (`table`), or those that a short `probe` reached on this machine.
    `device` is the `device_id` of the load, or its `device_name` if it has none. `cache_bytes` is
    the size of a GPU's cache: for a model that fits into it, memory is no bound.
    """

    device: Name
    threads: Natural
    source: Literal["table", "probe"]
    bandwidth_bytes_per_s: Annotated[float, Meta(gt=0, le=1e30)]
    flops_per_s: dict[Name, Annotated[float, Meta(gt=0, le=1e30)]]
    cache_bytes: Natural = 0


class Workload(Event, kw_only=True, tag="workload"):
    """The inputs of a cell exist. Their hash tells if two sessions can be compared.

    `kv_blocks` is the size of the KV cache of continuous batching, in blocks. `prompt_tokens` are
    those of each prompt of a file, in its order; of a server, of each turn. `new_tokens` are what
    these ask for, empty where no line says so.
    """

    cell: Name
    inputs_sha256: Name
    threads: Natural
    notes: list[Text] = []
    kv_blocks: Natural | None = None
    prompt_tokens: Annotated[list[Natural], Meta(max_length=MAX_PROMPTS)] = []
    new_tokens: Annotated[list[Natural], Meta(max_length=MAX_PROMPTS)] = []


class Kernels(Event, kw_only=True, tag="kernels"):
    """The kernels that ran in one untimed, profiled pass.

    Attention has None if none was identified. `products` are the operators that multiplied
    quantised weights; if it `dequantises` there were none, and dense products in every call.
    `communication` are the shares, 0 to 1, of the prefill and of a decode step (or of an encoder's
    pass) in which rank 0 exchanged data with other ranks or waited for them; empty where that was
    not read.
    """

    cell: Name
    prefill: Name | None = None
    decode: Name | None = None
    products: list[Name] = []
    dequantises: bool = False
    communication: Annotated[list[Share], Meta(max_length=2)] = []
