"""Events of one cell, from the worker that measures it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from txtop.plan.cell import Cell
from txtop.plan.parallel import MAX_RANKS
from txtop.protocol.events.base import Event, Name, Natural, Ns, Real, Role, Text
from txtop.system.device_names import Place

CellStatus = Literal["ok", "oom", "failed", "timeout", "skipped", "cancelled"]


class CellRejected(Event, kw_only=True, tag="cell_rejected"):
    """A cell was refused before measuring: unknown model, prompt too long, no such precision.

    With `may_pass` the reason lies outside the plan, as a model that is not here now: `resume`
    tries again.
    """

    cell: Name
    reason: Text
    hint: Text = ""
    may_pass: bool = False


class Probe(Event, kw_only=True, tag="probe"):
    """A cell that a search adds to those of the plan.

    `forecast_bytes` is the peak that is expected of it, corrected by the probes before.
    """

    added: Cell
    forecast_bytes: Natural | None = None


class CellStarted(Event, kw_only=True, tag="cell_started"):
    """A worker begins a cell, in one of the plan's places if it has any.

    With `goes_on` it replaces one that died during an A/B, and what was measured stays.
    """

    cell: Name
    worker: Name
    shares_weights: bool = False
    goes_on: bool = False
    place: Place = ""


class IsolationProgress(Event, kw_only=True, tag="isolating"):
    """The check of what neighbours cost `places` goes on: `done` of `rounds`, 0 while they load."""

    places: tuple[Place, ...]
    done: Natural = 0
    rounds: Natural = 0


class Isolation(Event, kw_only=True, tag="isolation"):
    """The cost of its neighbours to a place: the time of work beside them over that alone.

    `ratio` is that of `rounds` pairs of blocks, with its 95 % interval. A place is slowed if all of
    the interval is above 1 + `margin`. If the check `failed` there is none.
    """

    place: Place
    rounds: Natural
    margin: Real
    ratio: Real | None = None
    ci95: tuple[Real, Real] | None = None
    failed: Text = ""


class Progress(Event, kw_only=True, tag="progress"):
    """Bytes of a download, or of weights, read so far; `total` is None if unknown.

    Those of a load come now and then from the runner, which sees what the silent worker reads, and
    `cpu_s`, the CPU time that its load and compilation have used so far.
    """

    cell: Name
    what: Literal["download", "load"]
    done: Natural
    total: Natural | None = None
    cpu_s: Real | None = None


class Phase(Event, kw_only=True, tag="phase"):
    """A worker enters a phase.

    The names are, in order: import resolve config weights convert to_device first_forward compile,
    then peaks (the probe), kernels (the profiled pass), idle.
    """

    cell: Name
    name: Name


class TokenTimings(Event, kw_only=True, tag="steps"):
    """Durations of consecutive steps of one open iteration; step 0 is the time to first token.

    A step is one token, but in speculative decoding.
    """

    cell: Name
    index: Natural
    first: Natural
    gaps_ns: list[Ns]


class Iteration(Event, kw_only=True, tag="iteration"):
    """One call of generate() or forward().

    `tokens` is per sequence; TPOT is derived, never stored. `lag` is set if the streamer was a step
    late: TTFT and ITL are then withheld. `invalid` counts the logits that were NaN or Inf (looked
    at outside measured iterations). `steps`, the passes of the model, is set where one may
    yield several tokens. In all but measured iterations `drafted` counts the tokens that were
    drafted and could have been kept, and `cache_bytes` what the KV cache took at the end, each
    storage once. With prompts of a file `prompt_tokens` are those of the whole batch without its
    padding, and `padded_to` is the length that each of its sequences was padded to. Only older
    recordings have `device_prefill_ns` and `device_decode_ns`, spans between events of a CUDA
    device.
    """

    cell: Name
    index: Natural
    role: Role
    start_ns: Ns
    e2e_ns: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    ttft_ns: Ns | None = None
    tokens: Natural = 0
    encoder_ns: Ns | None = None
    device_prefill_ns: Ns | None = None
    device_decode_ns: Ns | None = None
    lag: bool = False
    invalid: Natural = 0
    steps: Natural | None = None
    drafted: Natural | None = None
    cache_bytes: Natural | None = None
    prompt_tokens: Natural | None = None
    padded_to: Natural | None = None


class Speculation(Event, kw_only=True, tag="speculation"):
    """The tokens of speculative decoding beside those of plain greedy decoding, in untimed calls.

    Of `compared` tokens the first that differs is at `differs_at`, None if all are equal. There the
    logit of the plain token exceeds that of the other one by `margin` in a pass of its own.
    """

    cell: Name
    compared: Natural
    differs_at: Natural | None = None
    margin: float | None = None


class PartMemory(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Peaks of memory of a further rank, or on a further GPU of one process, in bytes."""

    host_bytes: Natural | None = None
    allocated_bytes: Natural | None = None
    reserved_bytes: Natural | None = None
    device_bytes: Natural | None = None


class Memory(Event, kw_only=True, tag="memory"):
    """Peaks of a cell's memory in bytes; those of a device are None without one.

    Of a model over several devices they are those of rank 0, or of the first GPU; `parts` are the
    others in their order.
    """

    cell: Name
    host_bytes: Natural | None = None
    allocated_bytes: Natural | None = None
    reserved_bytes: Natural | None = None
    device_bytes: Natural | None = None
    parts: Annotated[list[PartMemory], Meta(max_length=MAX_RANKS)] = []


class DevicePhase(msgspec.Struct, kw_only=True, frozen=True):
    """One step of a phase, as the mean of `steps` of them.

    `host_ns` passed on the clock, without a profiler; in `busy_ns` of them the device computed:
    the union of its kernels and of its copies within its own memory, from a profiled pass. It ran
    `kernels`, for which the host made `launches`: one for all the kernels of a graph. In
    `communication_ns` one of those that exchange data with other ranks ran, or waited for them.
    """

    steps: Natural
    host_ns: Ns
    busy_ns: Ns
    kernels: Real
    launches: Real
    communication_ns: Ns = 0


class DeviceTime(Event, kw_only=True, tag="device_time"):
    """The time in which a GPU computes in one step of a cell, from a process of its own.

    An encoder's forward pass is its `prefill`. If the pass `failed` there are no figures; with
    `may_pass` `resume` tries again. `took_s` runs from the start of that process to here.
    """

    cell: Name
    prefill: DevicePhase | None = None
    decode: DevicePhase | None = None
    took_s: Real = 0.0
    failed: Text = ""
    may_pass: bool = False


class CellFinished(Event, kw_only=True, tag="cell_finished"):
    """The end of a cell: its status, the rule that stopped it, and the details of a failure.

    `n` counts measured iterations or answered requests; `half_width` is that of the headline metric
    as a share. `phase` is where a failure happened, `wanted_bytes` the allocation that failed, and
    `stderr` the last lines of a worker that died. `sticky` if the worker must not be used again,
    `busy` if another process has the device for itself.
    """

    cell: Name
    status: CellStatus
    stopped_by: Name = ""
    reason: Text = ""
    hint: Text = ""
    phase: Name = ""
    n: Natural = 0
    half_width: Real | None = None
    wanted_bytes: Natural | None = None
    exit_code: int | None = None
    stderr: list[Text] = []
    sticky: bool = False
    busy: bool = False
