"""The profiled steps of explained cells as a trace of Chrome's format, which Perfetto opens.

https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU describes it: times
are in microseconds, and slices of one track nest. A cell is a process, the host and the device are
its threads; phases stand one after the other, each within a slice of its own.
"""

from __future__ import annotations

from typing import Any

import msgspec

from txtop.analysis.metrics import FinalMetrics
from txtop.plan import labels
from txtop.protocol.events import TraceSlices
from txtop.sanitise import sanitise
from txtop.state.session import SessionState

TRACKS = ("host", "device")
# Perfetto takes thread 0, and a thread that has the number of its process or of another's, for one
# and the same track, and drops what overlaps.
IDS = 10
GAP_NS = 1_000_000
"""The gap between two phases."""


def to_chrome_trace(state: SessionState, _finals: FinalMetrics) -> bytes:
    """Return the trace of a session; without explanations it holds no slice."""
    events: list[dict[str, Any]] = []
    begins: dict[str, int] = {}
    for (cell, _), trace in state.traces.items():
        process = IDS * (list(state.cells).index(cell) + 1)
        if cell not in begins:
            begins[cell] = 0
            name = sanitise(labels.format_short_label(state.cells[cell].cell))
            events += _name_process(process, name)
        begins[cell] += _add_phase(events, trace, process, begins[cell]) + GAP_NS
    return msgspec.json.encode({"displayTimeUnit": "ms", "traceEvents": events}) + b"\n"


def _name_process(process: int, name: str) -> list[dict[str, Any]]:
    threads = [
        _name("thread_name", title, process, process + 1 + track)
        for track, title in enumerate(TRACKS)
    ]
    return [_name("process_name", name, process, process + 1), *threads]


def _name(what: str, name: str, process: int, thread: int) -> dict[str, Any]:
    return {"ph": "M", "pid": process, "tid": thread, "name": what, "args": {"name": name}}


def _add_phase(
    events: list[dict[str, Any]], trace: TraceSlices, process: int, begin_ns: int
) -> int:
    """Add the slices of a phase that begins at `begin_ns`. Return its duration."""
    whole_ns = max((start + ns for _, start, ns, _ in trace.slices), default=0)
    events.append(_build_slice(trace.phase, "phase", process, 0, begin_ns, whole_ns))
    for place, start_ns, ns, track in trace.slices:
        name = trace.names[place]
        kind = "module" if name.startswith("module:") else TRACKS[min(track, 1)]
        events.append(_build_slice(name, kind, process, track, begin_ns + start_ns, ns))
    return whole_ns


def _build_slice(
    name: str, kind: str, process: int, track: int, start_ns: int, ns: int
) -> dict[str, Any]:
    return {
        "ph": "X", "name": name, "cat": kind, "pid": process, "tid": process + 1 + track,
        "ts": start_ns / 1e3, "dur": ns / 1e3,
    }  # fmt: skip
