"""The machine's panel: what is read now, and what is not read any more."""

from __future__ import annotations

from support import streams
from txtop.protocol.events import Gap, Telemetry
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState
from txtop.ui.models.machine import STALLED, build_machine

S = 1_000_000_000
BUSY: dict[str, float | None] = {"utilization": 99.0, "power_w": 500.0}


def test_utilisation_is_never_shown_without_power() -> None:
    header = streams.stream()[0]
    values: dict[str, float | None] = {"utilization": 99.0, "power_w": None, "foreign_processes": 2}
    told = Telemetry(t_ns=header.t_ns, device="GPU-1", label="Fake", values=values)
    (gpu,) = build_machine(fold_all([header, told])).gpus
    assert [(g.label, g.value) for g in gpu.gauges] == [("GPU 0", "99"), ("power", "N/A")]
    assert [(f.label, f.value) for f in gpu.facts] == [("others", "2 others here")]


def watched() -> SessionState:
    header = streams.stream()[0]
    start = header.t_ns
    told = [
        Telemetry(t_ns=start + S, device=name, label=name, values=values)
        for name, values in (("host", {"cpu_percent": 50.0}), ("GPU-1", BUSY), ("GPU-2", BUSY))
    ]
    return fold_all([header, *told])


def gap(state: SessionState, producer: str, after_s: int) -> None:
    t_ns = streams.stream()[0].t_ns + after_s * S
    fold(state, Gap(t_ns=t_ns, producer=producer, reason="silent"))


def values(state: SessionState) -> list[list[str]]:
    view = build_machine(state)
    return [[g.value for g in rows] for rows in (view.host, *(gpu.gauges for gpu in view.gpus))]


def test_what_is_not_read_any_more_is_not_shown_as_if_it_were() -> None:
    state = watched()
    assert values(state) == [["50"], ["99", "500"], ["99", "500"]]
    gap(state, "GPU-2", 2)
    assert values(state) == [["50"], ["99", "500"], ["—", "—"]]
    assert [f.value for f in build_machine(state).gpus[1].facts] == ["not answering"]
    gap(state, "gpu", 3)
    assert values(state) == [["50"], ["—", "—"], ["—", "—"]]
    gap(state, "sampler", 4)
    assert values(state) == [["—"], ["—", "—"], ["—", "—"]]
    assert build_machine(state).title == STALLED


def test_what_answers_again_is_shown_again() -> None:
    state = watched()
    gap(state, "sampler", 2)
    t_ns = streams.stream()[0].t_ns + 5 * S
    fold(state, Telemetry(t_ns=t_ns, device="host", values={"cpu_percent": 40.0}))
    assert values(state)[0] == ["40"] and build_machine(state).title != STALLED
