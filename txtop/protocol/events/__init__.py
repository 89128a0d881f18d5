"""The vocabulary of a session: facts, one JSON object a line, each with its producer's clock.

Everything else (percentiles, verdicts, time left) is derived from these by `state` and `stats`.
`t_ns` is monotonic per producer and segment; wall time appears in header, segment and ended alone.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from txtop.plan.plan import Plan
from txtop.protocol.events.base import Event, Name, Natural, Ns, Real, Text, WallS
from txtop.protocol.events.base import Role as Role
from txtop.protocol.events.loading import Geometry as Geometry
from txtop.protocol.events.loading import Kernels as Kernels
from txtop.protocol.events.loading import Load as Load
from txtop.protocol.events.loading import Peaks as Peaks
from txtop.protocol.events.loading import Workload as Workload
from txtop.protocol.events.serving import Lanes as Lanes
from txtop.protocol.events.serving import Offered as Offered
from txtop.protocol.events.serving import Request as Request
from txtop.sanitise import inert_json

SCHEMA = (1, 4)
MAX_LINE_BYTES = 1 << 20

Status = Literal["ok", "oom", "failed", "timeout", "skipped", "cancelled"]
Action = Literal["pause", "resume", "skip", "stop", "marker"]


class Machine(msgspec.Struct, kw_only=True, frozen=True):
    """The machine as the runner found it, without torch and without NVML."""

    hostname: Name
    os: Name
    cpu: Name
    cores_physical: Natural
    cores_logical: Natural
    memory_bytes: Natural
    python: Name
    features: tuple[Name, ...] = ()
    memory_limit_bytes: Natural | None = None


class Header(Event, kw_only=True, tag="header"):
    schema: tuple[Natural, Natural]
    session: Name
    name: Name | None = None
    wall_s: WallS
    plan: Plan
    workload_sha256: Name
    machine: Machine
    versions: dict[Name, Name]
    seed: Natural
    boot_id: Name
    margin: Real | None = None


class Segment(Event, kw_only=True, tag="segment"):
    """A writer opened or reopened the log."""

    boot_id: Name
    wall_s: WallS
    pid: Natural
    torn_bytes: Natural = 0


class CellRejected(Event, kw_only=True, tag="cell_rejected"):
    """Refused before anything was measured: unknown model, prompt too long, no such precision."""

    cell: Name
    reason: Text
    hint: Text = ""


class CellStarted(Event, kw_only=True, tag="cell_started"):
    """A worker begins with a cell. `goes_on`: in place of one that died in the middle of an A/B;
    what was measured stays."""

    cell: Name
    worker: Name
    shares_weights: bool = False
    goes_on: bool = False


class Progress(Event, kw_only=True, tag="progress"):
    """Bytes of a download or of weights read so far; `total` is null where unknown."""

    cell: Name
    what: Literal["download", "load"]
    done: Natural
    total: Natural | None = None


class Phase(Event, kw_only=True, tag="phase"):
    """A worker enters a phase: import resolve config weights convert to_device first_forward
    compile, then peaks (the probe), kernels (the profiled pass), idle."""

    cell: Name
    name: Name


class Steps(Event, kw_only=True, tag="steps"):
    """Durations of consecutive tokens of one open iteration; step 0 is the time to first token."""

    cell: Name
    index: Natural
    first: Natural
    gaps_ns: list[Ns]


class Iteration(Event, kw_only=True, tag="iteration"):
    """One call of generate() or forward(). `tokens` is per sequence; TPOT is derived, never stored.

    `lag` is set when the streamer was a step late: TTFT and ITL are then withheld.
    `invalid` counts the logits that were NaN or Inf (looked at outside measured iterations).
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


class Block(Event, kw_only=True, tag="block"):
    """`count` measured iterations from `first` on in which the machine was not itself: why, and
    whether they count all the same (`kept`), for want of more repeats."""

    cell: Name
    first: Natural
    count: Natural
    kept: bool
    reasons: list[Name]


class Round(Event, kw_only=True, tag="round"):
    """One block of an A/B: the arms in the `order` they took turns, which is the same backwards,
    and the iterations of each. One that is not `kept` counts for nothing, for these reasons.

    `paired` where turns are so long that few blocks are to be had: each arm has one, not two.
    `reloaded` where the arms do not fit beside each other: each turn is then a load of its own.
    """

    order: list[Name]
    iterations: dict[Name, list[Natural]]
    kept: bool
    paired: bool = False
    reloaded: bool = False
    reasons: list[Name] = []


class Comparing(Event, kw_only=True, tag="comparing"):
    """The output of `cell` is being held against that of `reference`: steps done so far."""

    cell: Name
    reference: Name
    done: Natural
    total: Natural


class Fidelity(Event, kw_only=True, tag="fidelity"):
    """How far the output of `cell` is from that of `reference`, on the same fixed input.

    KL(reference || cell) in nats over `positions` next-token distributions; `top1` is at how many
    of them the likeliest token is the same; `floor` is the mean KLD of the reference against a
    second pass of itself. Of the true token: the ratio of perplexities (cell over reference; null
    without trained weights and text) and the RMS of the difference of its probability.
    `divergence` counts the tokens before the first that differs when both write freely, null where
    none of `written` does; `texts` are what they wrote: in common, then each. Encoders have cosines
    in place of all that, over `positions` tokens. `invalid` counts NaN and Inf in the output of
    `cell`; then, or where it `failed`, there are no figures. `same_model` says that vocabulary and
    architecture are one.
    """

    cell: Name
    reference: Name
    weights: Literal["pretrained", "random"] = "random"
    same_model: bool = True
    input_sha256: Name = ""
    text: bool = False
    positions: Natural = 0
    failed: Text = ""
    invalid: Natural = 0
    kld: Real | None = None
    kld_stderr: Real | None = None
    kld_median: Real | None = None
    kld_p99: Real | None = None
    kld_max: Real | None = None
    floor: Real | None = None
    top1: Natural | None = None
    perplexity_ratio: Real | None = None
    rms_probability: Real | None = None
    divergence: Natural | None = None
    written: Natural = 0
    texts: tuple[Text, Text, Text] | None = None
    cosine_pooled: Real | None = None
    cosine_tokens: Real | None = None
    cosine_tokens_min: Real | None = None
    notes: list[Text] = []


class Memory(Event, kw_only=True, tag="memory"):
    """Peaks of a cell, in bytes; the device's are null without one."""

    cell: Name
    host_bytes: Natural | None = None
    allocated_bytes: Natural | None = None
    reserved_bytes: Natural | None = None
    device_bytes: Natural | None = None


class Foreign(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A process that computes on a GPU and is not of the run; its owner is nobody's business."""

    pid: Natural
    name: Name = ""
    memory_bytes: Natural | None = None


class Telemetry(Event, kw_only=True, tag="telemetry"):
    """One sample of one device: `host`, or a GPU's UUID. A field that cannot be read is null, one
    that is read less often is absent. `versions` of a GPU's software come with its first sample,
    the `foreign` processes that are seen on it whenever they change: null is as before.
    """

    device: Name
    label: Name = ""
    values: dict[Name, Real | None]
    versions: dict[Name, Name] = {}
    foreign: tuple[Foreign, ...] | None = None


class Control(Event, kw_only=True, tag="control"):
    """Somebody asked for something; what came of it is another event."""

    who: Name
    action: Action
    label: Name = ""


class CellFinished(Event, kw_only=True, tag="cell_finished"):
    cell: Name
    status: Status
    stopped_by: Name = ""
    reason: Text = ""
    hint: Text = ""
    phase: Name = ""
    n: Natural = 0
    half_width: Real | None = None
    wanted_bytes: Natural | None = None
    exit_code: int | None = None
    stderr: list[Text] = []


class Log(Event, kw_only=True, tag="log"):
    text: Text
    level: Literal["info", "warning", "error"] = "info"
    cell: Name | None = None


class Marker(Event, kw_only=True, tag="marker"):
    label: Name = ""


class Gap(Event, kw_only=True, tag="gap"):
    """A producer was silent: its series has a hole here, not zeros."""

    producer: Name
    reason: Text


class Ended(Event, kw_only=True, tag="ended"):
    reason: Literal["done", "stopped", "failed"]
    wall_s: WallS
    statistics_version: Natural
    sha256: Name


AnyEvent = (
    Header
    | Segment
    | CellRejected
    | CellStarted
    | Progress
    | Phase
    | Load
    | Peaks
    | Workload
    | Kernels
    | Steps
    | Iteration
    | Block
    | Offered
    | Request
    | Lanes
    | Round
    | Comparing
    | Fidelity
    | Memory
    | Telemetry
    | Control
    | CellFinished
    | Log
    | Marker
    | Gap
    | Ended
)


class BadLine(ValueError):
    """A line that is no event of this schema; the text says why."""


class _Peek(msgspec.Struct):
    kind: str


_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
_peek = msgspec.json.Decoder(_Peek)
KINDS = frozenset(t.__struct_config__.tag for t in AnyEvent.__args__)


def encode(event: AnyEvent) -> bytes:
    """One line, newline included. Non-finite floats become null (msgspec's rule)."""
    return inert_json(msgspec.json.encode(event)) + b"\n"


def decode_lines(lines: bytes) -> list[AnyEvent] | None:
    """Decodes lines that are all events of this version; null where one is not."""
    try:
        return _decoder.decode_lines(lines)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def decode(line: bytes) -> AnyEvent | None:
    """Decodes one untrusted line; null for a kind that a newer minor version may have added.

    Raises `BadLine` for anything else that is not an event: junk, wrong types, out of bounds,
    bad UTF-8, nesting too deep, a line over 1 MiB.
    """
    if len(line) > MAX_LINE_BYTES:
        raise BadLine(f"longer than {MAX_LINE_BYTES} bytes")
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        try:
            known = _peek.decode(line).kind in KINDS
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            known = True
        if not known:
            return None
        raise BadLine(str(error)[:200] or type(error).__name__) from None
