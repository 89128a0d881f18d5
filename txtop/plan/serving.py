"""Ways for work to reach a model: in full batches, or as requests to a server."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

Scenario = Literal["static", "single", "dynamic", "continuous"]
SCENARIOS: tuple[str, ...] = get_args(Scenario)
LengthKind = Literal["fixed", "uniform", "lognormal", "pairs"]
MAX_MS = 1e9
MAX_NUMBER = 1_000_000
Ms = Annotated[float, Meta(gt=0, le=MAX_MS)]
Positive = Annotated[int, Meta(ge=1, le=MAX_NUMBER)]
MAX_PAIRS = 10_000


class Slo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Bounds on latency, in ms; a request within every one that is set counts as goodput."""

    ttft_ms: Ms | None = None
    tpot_ms: Ms | None = None
    e2e_ms: Ms | None = None

    def words(self) -> str:
        """Return the bounds that are set as `ttft 200 ms, tpot 50 ms`."""
        bounds = msgspec.structs.asdict(self)
        return ", ".join(
            f"{name.removesuffix('_ms')} {ms:g} ms" for name, ms in bounds.items() if ms is not None
        )


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """The load offered to a server, and the bounds of its batches.

    Requests arrive at `rate` per second (Poisson), or at `share` of the server's measured capacity
    (from the closed-loop cell of the plan that differs in its load alone), or from `concurrency`
    clients, each of which asks again as soon as it is answered. The cell's prompt and new tokens
    are the means of a `uniform` or `lognormal` distribution of `lengths`; `pairs` of (prompt, new)
    are taken in order, over and over. `requests` is the number of requests to answer.

    A dynamic batch holds at most `max_batch` requests and waits at most `max_wait_ms` for more of
    them; continuous batching runs at most `max_batch` in a step.
    """

    requests: Annotated[int, Meta(ge=1, le=100_000)] = 150
    rate: Annotated[float, Meta(gt=0, le=1e6)] | None = None
    share: Annotated[float, Meta(gt=0, le=100)] | None = None
    concurrency: Positive | None = None
    max_batch: Positive = 8
    max_wait_ms: Annotated[float, Meta(ge=0, le=1e7)] = 20.0
    lengths: LengthKind = "fixed"
    pairs: Annotated[tuple[tuple[Positive, Positive], ...], Meta(max_length=MAX_PAIRS)] = ()
    slo: Slo | None = None

    @property
    def open_loop(self) -> bool:
        """Return whether requests arrive independently of the server's answers."""
        return self.concurrency is None
