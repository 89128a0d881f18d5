"""A session of one cell whose bytes and FLOPs are known."""

from __future__ import annotations

from typing import Any

from support import streams
from txtop.protocol import events
from txtop.protocol.events import AnyEvent, Geometry
from txtop.state.fold import fold_all
from txtop.state.session import SessionState

# gpt2 in fp32: see tests/unit/stats/test_roofline.py.
GPT2 = Geometry(
    layers=12,
    heads=12,
    kv_heads=12,
    head_dim=64,
    dtype="fp32",
    value_bytes=4,
    position_parameters=85_056_000,
    sequence_parameters=38_597_376,
    step_bytes=494_613_504,
    row_bytes=3_072,
)
PEAKS: dict[str, Any] = {
    "device": "A CPU",
    "threads": 1,
    "source": "probe",
    "bandwidth_bytes_per_s": 50e9,
    "flops_per_s": {"fp32": 4e12},
}


def told(
    *, geometry: Geometry | None = GPT2, peaks: dict[str, Any] | None = PEAKS, **load: object
) -> SessionState:
    """Return a cell of batch 2, 8 prompt and 4 new tokens; TTFT is 20 ms, gaps are 12 to 23 ms."""
    plan = streams.plan(("gpt2",))
    made: list[AnyEvent] = []
    for event in streams.stream(plan):
        if isinstance(event, events.ModelLoaded):
            event = streams.load(event.t_ns, event.cell, geometry=geometry, **load)
        made.append(event)
        if isinstance(event, events.ModelLoaded) and peaks is not None:
            made.append(events.DevicePeaks(t_ns=event.t_ns, **peaks))
    return fold_all(made)
