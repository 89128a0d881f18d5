"""Blocks in which the machine was disturbed are detected, repeated up to three times, reported."""

from __future__ import annotations

import pytest

from support import streams
from support.batch_cell import conduct, exported, plan_with
from txtop.analysis import contention
from txtop.protocol import events
from txtop.runner import block_validity
from txtop.runner.block_validity import MAX_REPEATS, MachineReadings
from txtop.state.cell import CellState
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState, WatchedDevice

S = 1_000_000_000
CALM: dict[str, float | None] = {
    "throttle_reasons": 0.0, "foreign_processes": 0.0, "sm_clock_mhz": 1980.0,
    "temperature_c": 50.0,
}  # fmt: skip


def device(**series: list[float]) -> WatchedDevice:
    """Return readings five times a second from 0 s on."""
    session = SessionState()
    fold(session, streams.stream()[0])
    start = streams.stream()[0].t_ns
    for i in range(max(map(len, series.values()))):
        values = {name: read[i] for name, read in series.items()}
        fold(session, events.Telemetry(t_ns=start + i * S // 5, device="d", values=dict(values)))
    return session.devices["d"]


def find_disturbances(
    readings: MachineReadings, since_ns: int, from_ns: int, to_ns: int
) -> list[str]:
    return block_validity.find_disturbances(readings, since_ns, from_ns, to_ns).reasons


def test_a_calm_machine_spoils_nothing() -> None:
    gpu = device(throttle_reasons=[0.0, 4.0, 0.0], sm_clock_mhz=[1980.0, 1700.0, 1980.0])
    host = device(swapped_in_bytes=[5e9, 5e9, 5e9])
    assert find_disturbances(MachineReadings(gpu, host), 0, 0, S) == []
    assert find_disturbances(MachineReadings(None, None), 0, 0, S) == []


def test_each_reason_is_named() -> None:
    calm, late = [0.0] * 3, [0.0] * 6
    throttled = MachineReadings(device(throttle_reasons=[*calm, 0x20 + 0x40]), None)
    assert find_disturbances(throttled, 0, S // 5, S) == [
        "throttled: thermal",
        "throttled: hardware thermal",
    ]
    assert find_disturbances(throttled, 0, 0, S // 10) == []
    crowded = MachineReadings(device(foreign_processes=[1.0, 1.0, 1.0, 2.0]), None)
    assert find_disturbances(crowded, 0, S // 2, S) == ["another process came to this GPU"]
    assert find_disturbances(crowded, S, S, 2 * S) == []  # it was there when the cell began
    slow = MachineReadings(
        device(throttle_reasons=late, sm_clock_mhz=[1980.0] * 5 + [1800.0]), None
    )
    assert find_disturbances(slow, 0, S, 2 * S) == ["clock fell from 1980 to 1800 MHz"]
    paging = MachineReadings(None, device(swapped_in_bytes=[0.0, 0.0, 0.0, 2e6]))
    assert find_disturbances(paging, 0, S // 2, S) == ["paging: memory was swapped in"]
    lost = MachineReadings(None, None, (S // 2,))
    assert find_disturbances(lost, 0, 0, S) == ["the GPU stopped answering"]
    assert find_disturbances(lost, 0, S, 2 * S) == []


def test_a_short_block_is_judged_by_the_readings_around_it() -> None:
    gpu = device(throttle_reasons=[0.0, 0x8, 0.0, 0.0, 0.0])
    between = S // 4
    assert find_disturbances(MachineReadings(gpu, None), 0, between, between + S // 100)
    assert not find_disturbances(
        MachineReadings(gpu, None), 0, between + S // 2, between + S // 2 + S // 100
    )


def run(throttled_s: tuple[float, float], **changed: object) -> tuple[SessionState, CellState]:
    def gpu(s: float) -> dict[str, float | None]:
        low, high = throttled_s
        return {**CALM, "throttle_reasons": 64.0 if low <= s < high else 0.0}

    session, state, _ = conduct(plan_with(warmup=0, **changed), lambda i: 400.0, gpu)
    return session, state


def test_a_spoiled_block_is_repeated_and_counts_for_nothing() -> None:
    session, state = run((2.0, 2.3), iterations=10)
    assert len(state.samples.kept()) == 10 and state.samples.discarded
    cell = exported(session)
    assert cell.metrics["e2e_ms"].n == 10
    (note,) = [n for n in cell.notes if "block" in n]
    assert note.endswith("repeated: throttled: hardware thermal")


def test_three_repeats_are_the_most_and_the_rest_is_kept_with_a_word() -> None:
    session, state = run((1.0, 1e9), iterations=10)
    assert sum(not b.kept for b in state.blocks) == MAX_REPEATS
    assert len(state.samples.kept()) == 10
    assert any("kept: throttled: hardware thermal" in n for n in exported(session).notes)
    assert len(state.samples.role) < 20


def test_a_spoiled_last_block_is_repeated_too() -> None:
    _, state = run((4.0, 4.1), iterations=10)
    assert len(state.samples.kept()) == 10 and state.samples.discarded


@pytest.mark.parametrize("device_id", [None, "GPU-2"])
def test_a_cell_elsewhere_is_left_alone(device_id: str | None) -> None:
    session = fold_all(streams.stream()[:1])
    hot = {**CALM, "throttle_reasons": 64.0}
    fold(session, events.Telemetry(t_ns=streams.stream()[0].t_ns, device="GPU-1", values=hot))
    assert find_disturbances(MachineReadings.from_session(session, device_id), 0, 0, S) == []


@pytest.mark.parametrize(("neighbours", "spoils"), [("ignore", False), ("", True)])
def test_neighbours_spoil_no_block_where_they_are_to_be_ignored(
    neighbours: str, spoils: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(block_validity.NEIGHBOURS_VARIABLE, neighbours)
    taken = [events.Contention(kind="waited", size=0.5)]
    monkeypatch.setattr(contention, "find_contention", lambda *_: taken)
    readings = MachineReadings(gpu=None, host=WatchedDevice())
    assert bool(block_validity.find_disturbances(readings, 0, 0, 1).contention) is spoils


def test_what_was_taken_from_a_block_of_several_is_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its cells waited 20 and 40 %: one figure, and what is no contention beside it."""
    parts = iter(
        block_validity.Disturbances([reason, *map(contention.describe_contention, taken)], taken)
        for reason, taken in (
            ("paging", [events.Contention(kind="waited", size=0.2)]),
            ("paging", [events.Contention(kind="waited", size=0.4)]),
        )
    )
    monkeypatch.setattr(block_validity, "find_disturbances", lambda *_: next(parts))
    state = fold_all(streams.stream())
    first, second, *_ = state.cells
    told = block_validity.find_block_disturbances(state, {first: 0, second: 0}, 0)
    assert told.reasons == ["paging", "waited 30 % for a processor"]
    assert [contention.describe_contention(one) for one in told.contention] == told.reasons[1:]
