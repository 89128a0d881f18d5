"""Events of explaining a cell: where the time of a prefill and of a decode step goes."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from txtop.protocol.events.base import Event, Name, Natural, Ns, Real, Text

PhaseName = Literal["prefill", "decode", "forward"]
Shares = Annotated[float, Meta(ge=0, le=1)]
EXPLAINING = "where the time goes: "
"""The beginning of the lines of the log that say what an explanation is at."""


class StepPart(msgspec.Struct, kw_only=True, frozen=True):
    """The part of a step that modules of one kind take, their own modules left out.

    `kind` is attention, mlp, norm, head, embedding, cache or rest within the model, compiled for
    compiled code, and outside of it sampling (operators) and loop (the Python of generate()). Of
    `ns`, on the host, `operators_ns` passed in operators, the rest in Python between them.
    `device_ns` is the time of the kernels they launched. `read_bytes`, `written_bytes` and `flops`
    are those of the operators' tensors; None if they were not counted.
    """

    kind: Name
    ns: Ns
    operators_ns: Ns = 0
    device_ns: Ns = 0
    calls: Real = 0.0
    read_bytes: Natural | None = None
    written_bytes: Natural | None = None
    flops: Natural | None = None


class ModuleTime(msgspec.Struct, kw_only=True, frozen=True):
    """The time of one module in a step: `ns` with all that it calls, `own_ns` without modules."""

    path: Name
    kind: Name
    ns: Ns
    own_ns: Ns
    device_ns: Ns = 0
    calls: Real = 1.0


class OperatorTime(msgspec.Struct, kw_only=True, frozen=True):
    """The time of one operator in one kind of module in a step, operators within left out."""

    name: Name
    kind: Name
    ns: Ns
    device_ns: Ns = 0
    calls: Real


class KernelTime(msgspec.Struct, kw_only=True, frozen=True):
    """The time of one kernel of a device in a step."""

    name: Name
    ns: Ns
    calls: Real


class PhaseExplanation(msgspec.Struct, kw_only=True, frozen=True):
    """A step of one phase and its parts, as the mean of `steps` profiled ones.

    `step_ns` passed without a profiler, `profiled_ns` with it, and `clocked_ns` with a clock alone
    that times each module (0 if none did): of each a quarter of the steps were faster, since a
    neighbour on the machine only ever adds. `median_ns` is that of the steps without any. A
    profiled step has `profiler_events`, each of which adds `event_ns`, measured apart: that is
    taken off where it falls, before the profile divides the time of modules. That is multiplied by
    `scale`, which is 1 as far as the machine repeats itself, so that `parts` add up to `step_ns`.
    Of the steps of a
    device, it computes for `busy_ns`, copies to and from the host for `transfers_ns`, and the host
    waits for it for `waits_ns`. `synchronisations` are the values that the host reads from tensors
    in a step, those within the model being at `sync_sites`. `converted_bytes` are written in a step
    by turning weights of 8 bits or fewer into floats.
    """

    name: PhaseName
    steps: Natural
    step_ns: Ns
    median_ns: Ns
    profiled_ns: Ns
    clocked_ns: Ns = 0
    profiler_events: Real
    event_ns: Real
    scale: Real = 1.0
    parts: list[StepPart]
    modules: list[ModuleTime] = []
    operators: list[OperatorTime] = []
    kernels: list[KernelTime] = []
    busy_ns: Ns | None = None
    transfers_ns: Ns | None = None
    waits_ns: Ns | None = None
    launches: Real | None = None
    synchronisations: Real = 0.0
    sync_sites: list[Name] = []
    converted_bytes: Natural = 0


class Explanation(Event, kw_only=True, tag="explanation"):
    """Where the time of a cell goes, from a process of its own.

    If the pass `failed` there are no `phases`; with `may_pass` `resume` tries again. The model ran
    with `threads` on `cores` that the process may use. `attention` is the kernel that ran in the
    first phase. `padded_share` of the prompt's positions are padding. The compiler left
    `graph_breaks` and compiled again `recompilations` times. `took_s` runs from the start of that
    process to here.
    """

    cell: Name
    phases: list[PhaseExplanation] = []
    threads: Natural = 0
    cores: Natural = 0
    attention: Name = ""
    padded_share: Shares = 0.0
    graph_breaks: Natural = 0
    recompilations: Natural = 0
    notes: list[Text] = []
    took_s: Real = 0.0
    failed: Text = ""
    may_pass: bool = False


class TraceSlices(Event, kw_only=True, tag="trace"):
    """The profiled slices of one step of a phase, for a trace and a flame graph.

    Each slice is a place in `names`, its start and duration in ns, and its track: 0 for the host,
    1 for the kernels of the device. Those of one track nest. A name that begins with `module:`
    is a module of the model. `left_out` slices were too many.
    """

    cell: Name
    phase: PhaseName
    names: list[Text]
    slices: list[tuple[Natural, Ns, Ns, Natural]]
    left_out: Natural = 0
