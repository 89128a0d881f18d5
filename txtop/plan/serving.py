"""How work reaches a model: in full batches, or as requests to a server."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

Scenario = Literal["static", "single", "dynamic", "continuous"]
SCENARIOS: tuple[str, ...] = get_args(Scenario)
LengthKind = Literal["fixed", "uniform", "lognormal", "pairs"]
MAX_MS = 1e9
Ms = Annotated[float, Meta(gt=0, le=MAX_MS)]
PositiveInt = Annotated[int, Meta(ge=1, le=1_000_000)]
MAX_PAIRS = 10_000


class Slo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a user is promised: a request that keeps every bound counts as goodput."""

    ttft_ms: Ms | None = None
    tpot_ms: Ms | None = None
    e2e_ms: Ms | None = None

    def words(self) -> str:
        """`ttft 200 ms, tpot 50 ms`."""
        bounds = msgspec.structs.asdict(self)
        return ", ".join(
            f"{name.removesuffix('_ms')} {ms:g} ms" for name, ms in bounds.items() if ms is not None
        )


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """The load that is offered to a server, and what it may do with it.

    Requests come at `rate` a second (Poisson), or at that `share` of what the server was found to
    answer a second (by the cell of the plan that differs in its load alone), or from `concurrency`
    clients, each of which asks again as soon as it has its answer. Of prompt and new tokens the
    cell's lengths are the mean of a `uniform` or `lognormal` distribution; `pairs` (prompt, new)
    are taken in their order, over and over.
    A dynamic batch holds at most `max_batch` requests and waits for more of them for at most
    `max_wait_ms`; continuous batching has that many in a step.
    """

    requests: Annotated[int, Meta(ge=1, le=100_000)] = 150
    rate: Annotated[float, Meta(gt=0, le=1e6)] | None = None
    share: Annotated[float, Meta(gt=0, le=100)] | None = None
    concurrency: PositiveInt | None = None
    max_batch: PositiveInt = 8
    max_wait_ms: Annotated[float, Meta(ge=0, le=1e7)] = 20.0
    lengths: LengthKind = "fixed"
    pairs: Annotated[tuple[tuple[PositiveInt, PositiveInt], ...], Meta(max_length=MAX_PAIRS)] = ()
    slo: Slo | None = None

    @property
    def open_loop(self) -> bool:
        """Whether requests come whatever the server does."""
        return self.concurrency is None
