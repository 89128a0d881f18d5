"""Steps that are bound by launches: in notes, in the export and on the screen."""

from __future__ import annotations

import json as plain_json
from typing import Any

import msgspec
import pytest

from support import streams
from txtop.analysis import device_time
from txtop.analysis.metrics import FinalMetrics
from txtop.analysis.notes import build_cell_notes
from txtop.export import csv, json
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.cell_detail.detail import build_cell_detail
from txtop.ui.models.view import build_view


def phase(busy_ns: int, host_ns: int = 2_000_000) -> events.DevicePhase:
    return events.DevicePhase(
        steps=8, host_ns=host_ns, busy_ns=busy_ns, kernels=312.0, launches=310.0
    )


def session(
    decode: events.DevicePhase | None,
    prefill: events.DevicePhase | None = None,
    family: str = "causal",
    failed: str = "",
    **knobs: Any,
) -> SessionState:
    """Fold two cells that differ in their lengths, of which the first was profiled."""
    first = Cell(id="c1", model="gpt2", **knobs)
    longer = msgspec.structs.replace(first, id="c2", sequence_length=512)
    made = streams.stream(Plan(cells=(first, longer), iterations=12, warmup=1))
    for event in made:
        if isinstance(event, events.ModelLoaded):
            event.family, event.device = family, "cuda"  # type: ignore[assignment]
    state = fold_all(made)
    at = made[-1].t_ns
    time = events.DeviceTime(t_ns=at, cell="c1", prefill=prefill, decode=decode, failed=failed)
    fold(state, time)
    return state


@pytest.mark.parametrize(
    ("busy_ns", "sentence"),
    [
        (680_000, "GPU busy 34 % of a decode step: launch-bound"),
        (999_000, "GPU busy 50 % of a decode step: launch-bound"),
        (1_000_000, "GPU busy 50 % of a decode step"),
        (1_840_000, "GPU busy 92 % of a decode step"),
        (2_040_000, "GPU busy 100 % of a decode step"),
    ],
)
def test_a_step_that_waits_more_than_it_computes_is_launch_bound(
    busy_ns: int, sentence: str
) -> None:
    state = session(phase(busy_ns))
    step = device_time.find_busy_step(state, state.cells["c1"])
    assert step is not None and step.sentence == sentence


@pytest.mark.parametrize(
    ("family", "knobs", "remedy"),
    [
        ("causal", {}, "--compile reduce-overhead --cache static, or a larger batch"),
        ("causal", {"cache": "static"}, "--compile reduce-overhead, or a larger batch"),
        ("causal", {"compile": "reduce-overhead", "cache": "static"}, "a larger batch"),
        ("encoder", {}, "--compile reduce-overhead, or a larger batch"),
    ],
)
def test_the_remedy_is_one_that_is_not_in_use(
    family: str, knobs: dict[str, Any], remedy: str
) -> None:
    state = session(phase(100_000), phase(100_000), family, **knobs)
    notes = build_cell_notes(state, state.cells["c1"], FinalMetrics())
    assert next(n for n in notes if "launch-bound" in n).endswith(f"launch-bound; {remedy} helps")


def test_an_encoder_has_a_forward_pass_and_no_word_on_other_lengths() -> None:
    state = session(None, phase(1_500_000), "encoder")
    step = device_time.find_busy_step(state, state.cells["c1"])
    assert step is not None and step.sentence == "GPU busy 75 % of a forward pass"
    assert device_time.find_busy_step(state, state.cells["c2"]) is None


def test_a_pass_that_failed_is_a_note() -> None:
    state = session(None, failed="the profiler of torch saw no kernel")
    assert device_time.find_busy_step(state, state.cells["c1"]) is None
    notes = build_cell_notes(state, state.cells["c1"], FinalMetrics())
    assert "no time of the GPU: the profiler of torch saw no kernel" in notes


def test_the_export_has_host_and_device_of_each_phase() -> None:
    state = session(phase(680_000), phase(9_000_000, 10_000_000))
    first, second = plain_json.loads(json.to_json(state, FinalMetrics()))["cells"]
    decode = {
        "steps": 8,
        "host_ms": 2.0,
        "busy_ms": 0.68,
        "busy_share": 0.34,
        "kernels": 312.0,
        "launches": 310.0,
    }
    assert first["device_time"]["decode"] == decode
    assert first["device_time"]["prefill"]["busy_share"] == 0.9
    assert first["device_time"]["launch_bound"] is True
    assert second["device_time"]["measured_in"] == "c1"
    assert second["device_time"]["prefill"] is None
    heading = csv.to_csv(state, FinalMetrics()).decode().splitlines()[0].split(",")
    assert "device_decode_busy_share" in heading and "device_time" not in heading
    nothing = fold_all(streams.stream())
    assert (
        plain_json.loads(json.to_json(nothing, FinalMetrics()))["cells"][0]["device_time"] is None
    )
    heading = csv.to_csv(nothing, FinalMetrics()).decode().splitlines()[0]
    assert "device_prefill_" not in heading and "device_decode_" not in heading


def test_the_screen_has_the_share() -> None:
    state = session(phase(680_000))
    hero = build_view(state).hero
    row = hero.rows[-1]
    assert (row.label, row.value, row.unit, row.tail) == ("GPU busy", "34", "%", "launch-bound")
    detail = build_cell_detail(state, "c2", FrameCache())
    assert detail is not None
    facts = {fact.label: fact.text for group in detail.groups for fact in group.said}
    assert facts["GPU busy"] == (
        "34 % of a decode step: 0.68 of 2.0 ms, 312 kernels in 310 launches,"
        " at 128 tokens in, 32 out"
    )
    assert "GPU busy" not in [row.label for row in build_view(fold_all(streams.stream())).hero.rows]
