"""Define the shape of the JSON export, schema txtop/1.

The docstrings are the descriptions in the JSON Schema that `txtop export` prints, so they address
its readers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Optional

import msgspec

from txtop.export.explained import ExplanationExport
from txtop.plan.knobs import KNOBS
from txtop.plan.plan import Plan
from txtop.plan.serving import Serving
from txtop.protocol.events import Machine, PartMemory
from txtop.stats.summary import Summary

EXPORT_SCHEMA: Literal["txtop/1"] = "txtop/1"


class Tool(msgspec.Struct, kw_only=True):
    """The CPU seconds of each of txtop's own processes that was watched."""

    runner_cpu_s: float | None = None
    sampler_cpu_s: float | None = None
    screens_cpu_s: float | None = None


class Session(msgspec.Struct, kw_only=True):
    """The header of a session, its end, and the version of the statistics behind the figures."""

    id: str
    name: str | None
    schema: tuple[int, int]
    wall_s: float
    plan: Plan
    workload_sha256: str
    machine: Machine
    versions: dict[str, str]
    seed: int
    margin: float | None
    boot_ids: list[str]
    ended: Literal["done", "stopped", "failed"] | None
    statistics_version: int
    recomputed: str | None = None
    tool: Tool


class FidelityExport(msgspec.Struct, kw_only=True):
    """The distance of an output from that of the cell `reference`.

    A figure that means nothing, or is not above the floor, is None; `notes` say why. Cosines are
    those of an encoder.
    """

    reference: str
    badge: str
    positions: int
    kld: float | None
    kld_stderr: float | None
    kld_median: float | None
    kld_p99: float | None
    kld_max: float | None
    kld_floor: float | None
    top1: float | None
    top1_ci95: tuple[float, float] | None
    ppl_ratio: float | None
    rms_probability: float | None
    first_divergence: int | None
    tokens_written: int
    cosine_pooled: float | None
    cosine_tokens: float | None
    cosine_tokens_min: float | None
    unknown: list[str]
    sentences: int = 0
    cosine_embedding: float | None = None
    similarity_rank: float | None = None
    similarity_rms: float | None = None
    pooled_by: str = ""
    input_sha256: str
    notes: list[str]


class ComparisonExport(msgspec.Struct, kw_only=True):
    """Arm `b` against arm `a` of an A/B, by their ids.

    `ratio` is the speed of b over a by `metric`; `ci95` holds at every look, `fixed_ci95` for this
    number of blocks alone. `verdict` is None if an arm could not be measured, and `won` counts the
    blocks in which b was faster. Where an arm has several `starts`, the intervals are over those
    that are complete, and `won` counts them.
    """

    a: str
    b: str
    metric: str
    ratio: float | None
    ci95: tuple[float, float] | None
    fixed_ci95: tuple[float, float] | None
    margin: float
    verdict: Literal["faster", "slower", "equivalent", "inconclusive"] | None
    blocks: int
    blocks_discarded: int
    starts: int
    won: int
    wilcoxon_p: float | None
    fidelity: FidelityExport | None
    notes: list[str]
    accuracy: list[AccuracyExport] = []


class RequestsExport(msgspec.Struct, kw_only=True):
    """The measured requests of a cell that served: sent = answered + unanswered.

    `offered_per_s` is None for closed-loop clients, who ask again when they are answered.
    """

    offered_per_s: float | None
    sent: int
    answered: int
    unanswered: int


class TokensExport(msgspec.Struct, kw_only=True):
    """The tokens of the answered requests; prompts without padding."""

    prompt: int
    output: int


class DevicePhaseExport(msgspec.Struct, kw_only=True):
    """One step of a phase: `host_ms` on the clock, and `busy_ms` of them in which the GPU computed.

    `busy_share` is the one over the other, `kernels` and `launches` are counts in a step.
    """

    steps: int
    host_ms: float
    busy_ms: float
    busy_share: float | None
    kernels: float
    launches: float


class DeviceTimeExport(msgspec.Struct, kw_only=True):
    """The time of the GPU in a cell's steps, read in a process of its own.

    An encoder's forward pass is its `prefill`. `measured_in` is the id of the cell that was
    profiled: another one may do the same step at other lengths.
    """

    measured_in: str
    prefill: DevicePhaseExport | None
    decode: DevicePhaseExport | None
    launch_bound: bool | None
    failed: str


class ChangedItemExport(msgspec.Struct, kw_only=True):
    """An item that cell and reference answered differently; `line` is that of the file."""

    line: int
    asked: str
    right: str
    reference_answer: str
    answer: str
    gained: bool


class AccuracyExport(msgspec.Struct, kw_only=True):
    """The accuracy in a task, and its difference from that of the cell `reference`.

    Shares of 1, of pairs of sentences Spearman's correlations. `ci95` holds at every look, but for
    pairs; `deciding_items` is the number with which a loss of `margin` would be found in 95 % of
    sessions. Without a reference the figures of the difference are None, and so is `verdict`
    without an interval: `reason` says why there is none.
    """

    task: str
    kind: str
    sha256: str
    items: int
    answered: int
    accuracy: float | None
    failed: str = ""
    reference: str | None = None
    reference_accuracy: float | None = None
    difference: float | None = None
    ci95: tuple[float, float] | None = None
    compared: int = 0
    gained: int | None = None
    lost: int | None = None
    margin: float | None = None
    deciding_items: int | None = None
    verdict: str | None = None
    reason: str = ""
    changed: list[ChangedItemExport] = []


class RanksExport(msgspec.Struct, kw_only=True):
    """The spread of a model over several devices, or processes on a CPU: `count` of them.

    `communication` are the shares of prefill and decode step in which data was exchanged, empty if
    that was not read. `memory` has the peaks of each part but the first, which the cell's own
    metrics are.
    """

    count: int
    communication: list[float]
    memory: list[PartMemory]


class CellFacts(msgspec.Struct, kw_only=True):
    """One cell: its configuration, its end and its figures.

    `status` is rejected or unfinished if no `cell_finished` was recorded. A cell that served
    requests has its load in `serving`; its `batch_size` is then 1 and means nothing. From
    `capability` to `power_limit_w` only a GPU has a value; the limit is the last one read. A cell
    measured beside others has a `place`.
    `device_settings` are a GPU's as NVML reads them once (docs/sessions.md), its memory in bytes.
    `equal_to_plain` says whether speculative decoding gave the tokens of plain greedy decoding in a
    check of its own, and `differs_at` the first that differs. With `experts` in a layer a token
    passes through `experts_per_token` of them, `active_parameters` in all. A model that is spread
    over several devices has `ranks`. A candidate of a race has the reason for which it `left`, and
    its `speed`: how many times as good as today's default it is, in the blocks that both have.
    """

    id: str
    model: str
    family: str | None
    weights: str | None
    drawn: list[str]
    model_class: str | None
    precision: str
    recipe: str | None
    converted_share: float | None
    scheme: str | None
    products: dict[str, int]
    weight_bytes: int | None
    product_kernels: list[str]
    dequantises: bool | None
    attention: str
    kernels: dict[str, str | None]
    device: str
    place: str | msgspec.UnsetType = msgspec.UNSET
    device_name: str | None
    device_id: str | None
    capability: str | None
    cudnn: str | None
    driver: str | None
    power_limit_w: float | None
    environment: dict[str, str]
    scenario: str
    serving: Serving | None
    requests: RequestsExport | None
    tokens: TokensExport | None
    batch_size: int
    sequence_length: int
    new_tokens: int | None
    compile: str
    cache: str
    threads: int | None
    status: str
    reason: str
    stopped_by: str
    steady: bool | None
    invalid: bool
    busy: bool
    fidelity: FidelityExport | None
    notes: list[str]
    metrics: dict[str, Summary]
    device_time: DeviceTimeExport | None = None
    device_memory_bytes: float | None = None
    device_settings: dict[str, str] = {}
    equal_to_plain: bool | None = None
    differs_at: int | None = None
    experts: int | None = None
    experts_per_token: int | None = None
    active_parameters: int | None = None
    accuracy: list[AccuracyExport] = []
    ranks: RanksExport | msgspec.UnsetType = msgspec.UNSET
    left: str | msgspec.UnsetType | None = msgspec.UNSET
    speed: float | msgspec.UnsetType | None = msgspec.UNSET


# Knobs that were added after the first version of the schema follow its fields.
LATER = tuple(knob for knob in KNOBS if knob.field not in CellFacts.__struct_fields__)
if TYPE_CHECKING:

    class CellExport(CellFacts):
        def __init__(self, **facts: Any) -> None: ...
else:
    CellExport = msgspec.defstruct(
        "CellExport",
        [(knob.field, Optional[knob.type]) for knob in LATER],  # noqa: UP045
        bases=(CellFacts,),
        namespace={"__doc__": CellFacts.__doc__},
        kw_only=True,
    )


class Series(msgspec.Struct, kw_only=True):
    """One telemetry series while cells were measuring; n counts samples."""

    n: int
    mean: float | None
    median: float | None
    min: float | None
    max: float | None


class DeviceExport(msgspec.Struct, kw_only=True):
    """The telemetry of one device by the name of the series."""

    label: str
    series: dict[str, Series]


class TelemetryExport(msgspec.Struct, kw_only=True):
    """The telemetry of all devices, and the gaps in it as text."""

    devices: dict[str, DeviceExport]
    gaps: list[str]


class EdgeExport(msgspec.Struct, kw_only=True):
    """An edge of `txtop fit`: the cell that ran with the most, and the one that did not with the
    fewest. `knob` grew, by `step`. `found` if they are one step apart for want of memory, or all
    ran up to the end of the search. `spread` is by how much of the knob another search may differ.
    """

    knob: str
    step: int
    ran: str | None
    failed: str | None
    found: bool
    spread: int
    limit_bytes: float | None
    headroom_bytes: float | None
    reason: str
    forecast_bytes: dict[str, int | None]


class ConfirmationExport(msgspec.Struct, kw_only=True):
    """The winner of a race beside another candidate, in fresh blocks of both.

    `ratio` is how many times as good the winner is, with its interval. `verdict` is None while it
    is open: the run goes on, or was stopped.
    """

    against: str
    blocks: int
    ratio: float
    ci95: tuple[float, float] | None
    verdict: str | None
    notes: list[str]


class CandidateExport(msgspec.Struct, kw_only=True):
    """A candidate of a race: why it `left` and against which other, None if it stayed.

    `ratio` is how many times as good as the winner it is: in the confirmation if both are in it,
    else in the race. It has `blocks` in the race. `against_ratio` is the same beside the one for
    which it left, in the race alone.
    """

    cell: str
    left: str | None
    against: str | None
    detail: str
    blocks: int
    ratio: float | None
    ci95: tuple[float, float] | None
    against_ratio: float | None
    against_ci95: tuple[float, float] | None


class BindingExport(msgspec.Struct, kw_only=True):
    """The nearest candidate beyond a limit; `ratio` as in a candidate, None if it was not timed."""

    limit: str
    cell: str
    detail: str
    ratio: float | None
    ci95: tuple[float, float] | None


class ExceededExport(msgspec.Struct, kw_only=True):
    """A limit that the candidate `cell` does not keep, and what it reaches of it."""

    limit: str
    cell: str
    detail: str
    reached_ms: float | None
    most_ms: float


class TuningExport(msgspec.Struct, kw_only=True):
    """The race of `txtop tune`. `value` is the objective of the winner, in `unit`.

    Where nobody keeps the limits, `nearest` has those that the nearest is over, the furthest first.
    `measured_s` is of `budget_s`, that was given or that the race has found, None before it has;
    it includes the `blocks_discarded`. `serve` is the server's command and `python` the program of
    the winner, empty without one.
    """

    objective: str
    unit: str
    margin: float
    default: str
    winner: str | None
    runner_up: str | None
    value: float | None
    shows_difference: bool | None
    confirmations: list[ConfirmationExport]
    candidates: list[CandidateExport]
    bindings: list[BindingExport]
    nearest: list[ExceededExport]
    measured_s: float
    budget_s: float | None
    blocks_discarded: int
    serve: str
    python: str


class Export(msgspec.Struct, kw_only=True):
    """The top level of the export."""

    schema: Literal["txtop/1"]
    session: Session
    cells: list[CellExport]
    comparisons: list[ComparisonExport]
    telemetry: TelemetryExport
    edges: list[EdgeExport] | msgspec.UnsetType = msgspec.UNSET
    explanations: list[ExplanationExport] | msgspec.UnsetType = msgspec.UNSET
    tuning: TuningExport | msgspec.UnsetType = msgspec.UNSET


def build_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the export."""
    return msgspec.json.schema(Export)
