"""The search of `txtop tune`: its objective, and the limits that a configuration must keep."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, get_args

import msgspec
from msgspec import Meta

Rate = Literal["tokens_per_s", "sequences_per_s", "decode_tokens_per_s"]
RATES: tuple[Rate, ...] = get_args(Rate)
"""The objectives that are maximised."""
LimitedTime = Literal["ttft", "tpot", "e2e"]
TIMES: tuple[LimitedTime, ...] = get_args(LimitedTime)
Objective = Literal[Rate, LimitedTime, "cost", "energy"]
FloorBand = Literal["lossless-like", "minor", "visible"]
FLOORS: tuple[FloorBand, ...] = get_args(FloorBand)
DEFAULT_FLOOR: FloorBand = "minor"


class Traits(NamedTuple):
    """The unit and the words of an objective, and how it is measured.

    `as_good` reads one way alone: 1.2x as cheap costs less. Its cost is a `time` of a call, `per`
    unit of work; None where a meter reads it. The `metric` of a cell states it, empty where none
    does. A call must make `least_tokens`: an encoder makes none.
    """

    unit: str
    goal: str
    as_good: str
    time: LimitedTime | None
    per: Literal["call", "sequence", "token"]
    metric: str = ""
    least_tokens: int = 0


OBJECTIVES: dict[Objective, Traits] = {
    "tokens_per_s": Traits("tok/s", "most tokens/s", "as fast", "e2e", "token", "tokens_per_s", 1),
    "sequences_per_s": Traits(
        "seq/s", "most sequences/s", "as fast", "e2e", "sequence", "sequences_per_s"
    ),
    "decode_tokens_per_s": Traits(
        "tok/s", "most decoded tokens/s", "as fast", "tpot", "sequence", "decode_tokens_per_s", 2
    ),
    "tpot": Traits("ms", "lowest TPOT", "as fast in TPOT", "tpot", "call", "tpot_ms", 2),
    "ttft": Traits("ms", "lowest TTFT", "as fast in TTFT", "ttft", "call", "ttft_ms", 1),
    "e2e": Traits("ms", "lowest time per call", "as fast", "e2e", "call", "e2e_ms"),
    "cost": Traits("$/Mtok", "lowest cost", "as cheap", "e2e", "token"),
    "energy": Traits("J/tok", "lowest energy", "as frugal", None, "token"),
}
MINIMISED = tuple(name for name in OBJECTIVES if name not in RATES)


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
