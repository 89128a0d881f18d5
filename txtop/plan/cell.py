"""What is measured: a cell is one configuration of a model, a device and a load."""

from __future__ import annotations

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
Positive = Annotated[int, Meta(ge=1, le=1_000_000)]
Count = Annotated[int, Meta(ge=0, le=10_000_000)]

PRECISIONS: tuple[str, ...] = get_args(Precision)
ATTENTIONS: tuple[str, ...] = get_args(Attention)
COMPILES: tuple[str, ...] = get_args(Compile)
CACHES: tuple[str, ...] = get_args(Cache)


# What a loaded model takes with each call; any other field of a cell needs a worker of its own.
_OF_A_GRAPH = ("compile", "cache", "batch_size", "sequence_length", "new_tokens")
_OF_A_CALL = ("id", "scenario", "serving", *_OF_A_GRAPH)


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
        """Name what a worker has to load: cells with equal groups share one.

        The kernels behind sdpa are chosen for each call, so they share. A compiled cell has a
        worker of its own: after a second shape the compiler makes sizes dynamic, and the code
        measured would depend on what was measured before.
        """
        kept = [field for field in self.__struct_fields__ if field not in _OF_A_CALL]
        if self.compile != "none":
            kept += _OF_A_GRAPH
        parts = {field: getattr(self, field) for field in kept}
        parts["attention"] = self.attention.partition(":")[0]
        return "|".join(map(str, parts.values()))

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
