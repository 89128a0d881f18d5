"""The search of `txtop tune`: its objective, and the limits that a configuration must keep."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Objective = Literal[
    "tokens_per_s",
    "sequences_per_s",
    "decode_tokens_per_s",
    "tpot",
    "ttft",
    "e2e",
    "cost",
    "energy",
]
LimitedTime = Literal["ttft", "tpot", "e2e"]
FloorBand = Literal["lossless-like", "minor", "visible"]
DEFAULT_FLOOR: FloorBand = "minor"
UNITS: dict[Objective, str] = {
    "tokens_per_s": "tok/s",
    "sequences_per_s": "seq/s",
    "decode_tokens_per_s": "tok/s",
    "tpot": "ms",
    "ttft": "ms",
    "e2e": "ms",
    "cost": "$/Mtok",
    "energy": "J/tok",
}
"""The unit in which each objective is read."""
RATES = ("tokens_per_s", "sequences_per_s", "decode_tokens_per_s")
"""The objectives that are maximised."""


class CallLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A bound on a time that a `share` of the calls must keep: 0.9 for p90."""

    time: LimitedTime
    share: Annotated[float, Meta(gt=0, lt=1)] = 0.9
    most_ms: Annotated[float, Meta(gt=0, le=1e9)]

    @property
    def quantile(self) -> str:
        """Return what is bounded, as `TTFT p90`."""
        return f"{self.time.upper()} p{100 * self.share:.4g}"

    def format(self) -> str:
        """Format the limit as `TTFT p90 below 200 ms`."""
        return f"{self.quantile} below {self.most_ms:,g} ms"


class Tuning(msgspec.Struct, frozen=True, kw_only=True):
    """The search of `txtop tune` among the cells of the plan.

    `default` is the cell with today's defaults. No output may be further from the reference than
    the band `floor` or than `floor_kld` (mean KLD in nats), None for any. In no task may the
    accuracy differ from that of the reference by less than `min_accuracy`, as -0.01, None for any.
    `memory_bytes` is the
    memory of the machine to deploy to, None for what is free here. `margin` is the smallest
    difference that matters, as a share of 1. `budget_s` is the time of measuring in all, None for
    20 % of what a sweep of the cells would measure.
    """

    objective: Objective = "tokens_per_s"
    default: str = ""
    limits: tuple[CallLimit, ...] = ()
    floor: FloorBand | None = DEFAULT_FLOOR
    floor_kld: Annotated[float, Meta(gt=0, le=1e3)] | None = None
    min_accuracy: Annotated[float, Meta(ge=-1, le=1)] | None = None
    memory_bytes: Annotated[int, Meta(gt=0)] | None = None
    margin: Annotated[float, Meta(gt=0, le=1)] = 0.02
    budget_s: Annotated[float, Meta(gt=0, le=864_000)] | None = None
