"""What is measured: a cell is one configuration, a plan the cells and how long each may take."""

from __future__ import annotations

import hashlib
from itertools import product
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from txtop.plan.serving import Scenario, Serving

Precision = Literal[
    "fp32", "fp16", "bf16", "int8", "int8:weight-only", "int8:dynamic", "int8:torch-dynamic"
]
Attention = Literal[
    "eager",
    "sdpa",
    "sdpa:flash",
    "sdpa:efficient",
    "sdpa:math",
    "sdpa:cudnn",
    "flash_attention_2",
    "flash_attention_3",
    "flex",
]
Compile = Literal["none", "default", "reduce-overhead", "max-autotune"]
Cache = Literal["dynamic", "static"]
Weights = Literal["auto", "pretrained", "random"]
Device = Literal["auto", "cpu", "cuda", "xpu", "mps"]
Load = tuple[Scenario, Serving | None]
GATE_LEAST = 20
Positive = Annotated[int, Meta(ge=1, le=1_000_000)]
Count = Annotated[int, Meta(ge=0, le=10_000_000)]

PRECISIONS: tuple[str, ...] = get_args(Precision)
ATTENTIONS: tuple[str, ...] = get_args(Attention)
COMPILES: tuple[str, ...] = get_args(Compile)
CACHES: tuple[str, ...] = get_args(Cache)


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One configuration. `sequence_length` counts prompt tokens (T5: of the encoder's input).

    But for `static`, where every iteration is one full batch, requests come one by one and the cell
    says how in `serving`.
    """

    id: str
    model: str
    precision: Precision = "fp32"
    attention: Attention = "sdpa"
    batch_size: Positive = 1
    sequence_length: Positive = 128
    new_tokens: Positive = 32
    device: Device = "auto"
    threads: Positive | None = None
    weights: Weights = "auto"
    compile: Compile = "none"
    cache: Cache = "dynamic"
    scenario: Scenario = "static"
    serving: Serving | None = None

    @property
    def group(self) -> str:
        """Cells with equal groups share one loaded worker.

        The kernels behind sdpa are chosen for each call, so they share. A compiled cell has a
        worker of its own: after a second shape the compiler makes sizes dynamic, and the code
        measured would depend on what was measured before.
        """
        loaded = (self.model, self.precision, self.attention.partition(":")[0], self.device)
        parts: tuple[object, ...] = (*loaded, self.threads or "default", self.weights)
        if self.compile != "none":
            parts += (self.compile, self.cache, self.batch_size)
            parts += (self.sequence_length, self.new_tokens)
        return "|".join(map(str, parts))

    @property
    def model_name(self) -> str:
        """The last part of a path or of a Hub name."""
        return self.model.rstrip("/").rpartition("/")[2] or self.model

    @property
    def slots(self) -> int:
        """How many sequences are at work at once: those of a batch, or what a server holds."""
        if self.serving is None:
            return self.batch_size
        return 1 if self.scenario == "single" else self.serving.max_batch

    @property
    def asks_all(self) -> bool:
        """Whether clients ask again as soon as they are answered."""
        return self.serving is not None and not self.serving.open_loop

    @property
    def server(self) -> Cell:
        """What it is without its load."""
        serving = self.serving and msgspec.structs.replace(
            self.serving, requests=1, rate=None, share=None, concurrency=None, slo=None
        )
        return msgspec.structs.replace(self, id="", serving=serving)

    @property
    def offered(self) -> str:
        """`dynamic 4/s`, `continuous 8 clients`; empty where whole batches are measured."""
        serving = self.serving
        if serving is None:
            return ""
        if serving.share is not None:
            return f"{self.scenario} at {serving.share:.0%}"
        if serving.rate is not None:
            return f"{self.scenario} {serving.rate:g}/s"
        clients = serving.concurrency or 1
        return f"{self.scenario} {clients} client{'s' if clients > 1 else ''}"

    @property
    def work(self) -> str:
        """The load where there is one, else `batch 8`."""
        return self.offered or f"batch {self.batch_size}"

    @property
    def short(self) -> str:
        """`gpt2 bf16 batch 8`, and what is not as by default: for logs and notes."""
        words = [self.model_name, self.precision, self.work]
        words += [f"length {self.sequence_length}"] if self.sequence_length != 128 else []
        words += [self.attention] if self.attention != "sdpa" else []
        words += [f"compile {self.compile}"] if self.compile != "none" else []
        words += ["static cache"] if self.cache != "dynamic" else []
        words += [f"threads {self.threads}"] if self.threads else []
        return " ".join(words)


class Allowed(msgspec.Struct, frozen=True, kw_only=True):
    """What a repository may do on this machine; nothing, unless a flag allowed it.

    `pickles`: weights are read from pickled files. `remote_code`: its own classes are run.
    """

    pickles: bool = False
    remote_code: bool = False


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The cells in the order they are measured, and the rule that ends each of them.

    `iterations` measures exactly that many; without it a cell runs at least 10 iterations and
    3 s, then until its interval is narrow enough or `budget_s` is spent. `warmup` is that many
    iterations, null the gate of `stats.warmup`. `timeout_s` ends a cell that takes longer as a
    whole, loading included.

    With a `margin` the cells are the arms of an A/B: they take turns, the others are held against
    the first, and `budget_s` is what they measure together. The margin is the smallest difference
    in speed that matters, as a share; `iterations` are then blocks. `fidelity_positions` is how
    many next-token distributions are compared to tell what a faster precision costs.
    """

    cells: tuple[Cell, ...]
    iterations: Positive | None = None
    warmup: Count | None = None
    budget_s: Annotated[float, Meta(gt=0, le=86_400)] = 30.0
    seed: Count = 0
    preset: str | None = None
    scale: Literal["full", "smoke"] = "full"
    timeout_s: Annotated[float, Meta(gt=0, le=864_000)] | None = None
    cost_per_hour: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    allowed: Allowed = Allowed()
    margin: Annotated[float, Meta(gt=0, le=1)] | None = None
    fidelity_positions: Annotated[int, Meta(ge=0, le=1_000_000)] = 2048

    @property
    def fixed_iterations(self) -> int | None:
        """How many iterations each cell measures, where that was asked for."""
        return self.iterations if self.margin is None else None

    @property
    def expected_warmup(self) -> int:
        """Warm-up iterations to reckon with: the count asked for, or the least the gate needs."""
        return GATE_LEAST if self.warmup is None else self.warmup

    def warmup_requests(self, cell: Cell) -> int:
        """How many requests a server answers before its load: as asked for, or two full batches."""
        return 2 * cell.slots if self.warmup is None else self.warmup

    def capacity_of(self, cell: Cell) -> Cell | None:
        """The cell whose clients find out how much the server of `cell` can answer."""
        return next((c for c in self.cells if c.asks_all and c.server == cell.server), None)

    @property
    def groups(self) -> list[list[Cell]]:
        """Cells that share weights, together, in the order of their first appearance."""
        found: dict[str, list[Cell]] = {}
        for cell in self.cells:
            found.setdefault(cell.group, []).append(cell)
        return list(found.values())


def matrix(
    *,
    models: list[str],
    precisions: list[Precision],
    attention: list[Attention],
    batch_sizes: list[int],
    sequence_lengths: list[int],
    new_tokens: list[int],
    device: Device = "auto",
    threads: list[int] | None = None,
    weights: Weights = "auto",
    compiles: list[Compile] | None = None,
    caches: list[Cache] | None = None,
    loads: list[Load] | None = None,
) -> tuple[Cell, ...]:
    """Every combination, each once, model first: cells that share weights stand together."""
    pools: list[int | None] = list(threads or []) or [None]
    graphs: list[Compile] = list(compiles or []) or ["none"]
    stores: list[Cache] = list(caches or []) or ["dynamic"]
    offers: list[tuple[Load, int]] = [
        (load, batch)
        for load in loads or [("static", None)]
        for batch in (batch_sizes if load[1] is None else [1])
    ]
    knobs = product(
        models,
        attention,
        pools,
        precisions,
        graphs,
        stores,
        sequence_lengths,
        new_tokens,
        offers,
    )
    return tuple(
        Cell(
            id=f"c{number:03d}",
            model=model,
            precision=precision,
            attention=kernel,
            batch_size=batch,
            sequence_length=length,
            new_tokens=tokens,
            device=device,
            threads=thread,
            weights=weights,
            compile=compiled,
            cache=cache,
            scenario=scenario,
            serving=serving,
        )
        for number, (
            model,
            kernel,
            thread,
            precision,
            compiled,
            cache,
            length,
            tokens,
            ((scenario, serving), batch),
        ) in enumerate(dict.fromkeys(knobs), start=1)
    )


def workload_hash(plan: Plan) -> str:
    """sha256 of what the cells ask of the machine, without ids, threads and device."""
    skipped = ("id", "threads", "device")
    cells = []
    for cell in plan.cells:
        asked = msgspec.structs.asdict(cell)
        if cell.serving is None:
            del asked["scenario"], asked["serving"]
        else:
            asked["serving"] = msgspec.structs.replace(cell.serving, slo=None)
        cells.append({k: v for k, v in sorted(asked.items()) if k not in skipped})
    body = msgspec.json.encode({"cells": cells, "seed": plan.seed})
    return hashlib.sha256(body).hexdigest()
