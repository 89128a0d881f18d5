"""The part of the vocabulary that serving scenarios add: requests, and the lanes they move on."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from txtop.protocol.events.base import Event, Name, Natural, Ns, Real, Role

MAX_RUNNING = 4096
RunningRequest = tuple[Natural, Natural, Natural]


class OfferedLoad(Event, kw_only=True, tag="offered"):
    """The load that a cell is measured under begins, or has ended: `sent` requests of `requests`
    were then let go. Without a `rate` so many clients ask, each again when it is answered."""

    cell: Name
    requests: Natural
    rate: Real | None = None
    clients: Natural | None = None
    sent: Natural = 0


class Request(Event, kw_only=True, tag="request"):
    """One request is answered. Times are on the monotonic clock that runner and worker share.

    `arrival_ns` is when it was meant to come, `sent_ns` when it was let go, `start_ns` when it was
    taken to work, `first_ns` when its first token was on the host (null for an encoder, and where
    the streamer was a step late), `end_ns` its last. `gaps_ns` are those between its tokens, whose
    ids as int64 have the `output_sha256`. `batch` counts the requests that were taken to work with
    it, itself included; 0 where each joins alone. `computed` are the token positions computed for
    it, padding included.
    """

    cell: Name
    index: Natural
    role: Role
    arrival_ns: Ns
    sent_ns: Ns
    start_ns: Ns
    end_ns: Ns
    first_ns: Ns | None = None
    prompt_tokens: Natural
    tokens: Natural = 0
    gaps_ns: list[Ns] = []
    batch: Natural = 0
    computed: Natural = 0
    output_sha256: Name = ""
    lag: bool = False
    invalid: Natural = 0


class ServerStatus(Event, kw_only=True, tag="lanes"):
    """Who waits and who is served at this moment: of each running request its number, the tokens it
    has and those it wants. `kv_used` is the share of the KV cache's blocks in use, null where there
    is no such pool."""

    cell: Name
    waiting: Natural
    running: Annotated[list[RunningRequest], Meta(max_length=MAX_RUNNING)] = []
    slots: Natural
    kv_used: Annotated[float, Meta(ge=0, le=1)] | None = None
