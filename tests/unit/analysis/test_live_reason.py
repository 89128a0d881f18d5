"""The live reason: with evidence alone, and the nearest one first."""

from __future__ import annotations

import pytest

from support.explanations import session
from txtop.analysis import live_reason
from txtop.analysis.live_reason import find_live_reason
from txtop.analysis.roofline import RooflinePosition
from txtop.protocol.events import DevicePhase, DeviceTime
from txtop.state.session import SessionState


def reason(state: SessionState) -> str:
    return find_live_reason(state, state.cells["c1"], lambda _: 1.0)


def place(monkeypatch: pytest.MonkeyPatch, **facts: object) -> None:
    position = RooflinePosition(source="measured", **facts)  # type: ignore[arg-type]
    monkeypatch.setattr(live_reason, "compute_position", lambda *_: position)


def test_without_evidence_it_is_silent() -> None:
    assert reason(session()) == ""


def test_memory_and_arithmetic_from_their_shares_on(monkeypatch: pytest.MonkeyPatch) -> None:
    state = session()
    place(monkeypatch, mbu=59.0, share=59.0, bound="memory bandwidth")
    assert reason(state) == ""
    place(monkeypatch, mbu=60.0, share=60.0, bound="memory bandwidth")
    assert reason(state) == "memory-bound: MBU 60 %"
    place(monkeypatch, share=70.0, bound="arithmetic")
    assert reason(state) == "compute-bound: 70 % of the peak"
    place(monkeypatch, mbu=80.0, error=True)
    assert reason(state) == "", "a share that is wrong is no evidence"


def test_a_gpu_that_waits_for_launches_goes_before(monkeypatch: pytest.MonkeyPatch) -> None:
    state = session(device="cuda")
    place(monkeypatch, mbu=70.0)
    step = DevicePhase(steps=8, host_ns=1000, busy_ns=340, kernels=100, launches=100)
    state.device_times["c1"] = DeviceTime(t_ns=5, cell="c1", decode=step)
    assert reason(state) == "launch-bound: GPU busy 34 % of a step"
