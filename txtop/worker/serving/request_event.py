"""The `request` event, built here for both servers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from time import perf_counter_ns

from txtop.plan.requests import RequestShape
from txtop.protocol import commands
from txtop.protocol.events import Request


def build_request_event(
    request: commands.Arrive,
    shape: RequestShape,
    *,
    start_ns: int,
    times_ns: Sequence[int],
    end_ns: int,
    computed: int,
    tokens: int,
    batch: int = 0,
    lag: bool = False,
    invalid: int = 0,
    output_sha256: str,
    cached: int = 0,
) -> Request:
    """Build the event of an answered request.

    `times_ns` are the times of its tokens. If they are empty, because the server does not know
    them, the request ends at `end_ns`.
    """
    return Request(
        t_ns=perf_counter_ns(),
        cell=request.cell,
        index=request.index,
        role=request.role,
        arrival_ns=request.arrival_ns,
        sent_ns=request.sent_ns,
        start_ns=start_ns,
        first_ns=times_ns[0] if times_ns else None,
        end_ns=times_ns[-1] if times_ns else end_ns,
        prompt_tokens=shape.prompt_tokens,
        tokens=tokens,
        gaps_ns=[b - a for a, b in pairwise(times_ns)],
        batch=batch,
        computed=computed,
        lag=lag,
        invalid=invalid,
        output_sha256=output_sha256,
        cached=cached,
    )
