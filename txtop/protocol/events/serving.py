"""Events of serving scenarios: the traffic, its requests, and the state of the server."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from txtop.protocol.events.base import Event, Name, Natural, Ns, Real, Role

MAX_RUNNING = 4096
RunningRequest = tuple[Natural, Natural, Natural]


class OfferedLoad(Event, kw_only=True, tag="offered"):
    """The traffic of a cell begins or has ended.

    `sent` of `requests` requests were sent by then. Without a `rate` there are `clients`, each of
    which asks again when it is answered.
    """

    cell: Name
    requests: Natural
    rate: Real | None = None
    clients: Natural | None = None
    sent: Natural = 0


class Request(Event, kw_only=True, tag="request"):
    """One request is answered. Times are on the monotonic clock that runner and worker share.

    `arrival_ns` is its scheduled arrival, `sent_ns` when it was sent, `start_ns` when the server
    began with it, `first_ns` when its first token was on the host (None for an encoder, and if the
    streamer was a step late), `end_ns` its last. `gaps_ns` are those between its tokens, whose ids
    as int64 have the `output_sha256`. `batch` counts the requests that started together, itself
    included; 0 if requests join one by one. `computed` is the number of token positions computed
    for it, padding included. `cached` of its prompt tokens came from a prefix cache.
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
    cached: Natural = 0
    lag: bool = False
    invalid: Natural = 0


class ServerStatus(Event, kw_only=True, tag="lanes"):
    """The queue and the running requests of a server at this moment.

    Each running request is a triple: its number, the tokens it has, the tokens it asks for.
    `kv_used` is the share of the KV cache's blocks in use, None without a pool of blocks.
    """

    cell: Name
    waiting: Natural
    running: Annotated[list[RunningRequest], Meta(max_length=MAX_RUNNING)] = []
    slots: Natural
    kv_used: Annotated[float, Meta(ge=0, le=1)] | None = None
