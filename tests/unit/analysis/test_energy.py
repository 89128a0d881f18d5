"""Energy, power and utilisation of a cell, from telemetry whose sums can be done by hand."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from support import streams
from txtop.analysis.energy import compute_idle, summarise_device
from txtop.analysis.metrics import FinalMetrics
from txtop.export import json
from txtop.export.text import table
from txtop.formatting import format_figure
from txtop.protocol import events
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState

S = 1_000_000_000
GPU = "GPU-1"
Values = dict[str, float | None]


def session(
    values_at: Callable[[float], Values],
    device: str = GPU,
    name: str = GPU,
    ends: tuple[int, ...] = (25, 30, 35, 40, 45),
) -> SessionState:
    """Return ten seconds of telemetry: the first cell loads at 3 s, measures from 4 s to 9 s.

    An iteration of 1 s ends at each of the ticks `ends`.
    """
    header, segment = streams.stream()[:2]
    start = header.t_ns
    state = fold_all([header, segment])
    for tick in range(51):
        at = start + tick * S // 5
        fold(state, events.Telemetry(t_ns=at, device=device, values=values_at(tick / 5)))
        if tick == 15:
            fold(state, events.CellStarted(t_ns=at, cell="c001", worker="worker:1"))
            fold(state, events.Phase(t_ns=at, cell="c001", name="to_device"))
            load = streams.load(at, "c001")
            on = None if device == "host" else name
            fold(state, msgspec.structs.replace(load, device_id=on))
        if tick in ends:
            made = events.Iteration(
                t_ns=at, cell="c001", index=tick // 5 - 5, role="measured", start_ns=at - S,
                e2e_ns=S, ttft_ns=S // 2, tokens=10,
            )  # fmt: skip
            fold(state, made)
    return state


def idle_then_busy(s: float) -> Values:
    """Return 50 W until 3 s, then 250 W, by the counter and by the power alike."""
    return {"power_w": 50.0 if s < 3 else 250.0, "energy_j": 50 * min(s, 3) + 250 * max(0, s - 3)}


def energy(state: SessionState) -> dict[str, float | None]:
    metrics = summarise_device(state, state.cells["c001"])
    return {k: v.mean for k, v in metrics.items() if k.startswith("energy")}


def test_joules_per_token_gross_and_net() -> None:
    state = session(idle_then_busy)
    tokens = 5 * 10 * state.cells["c001"].cell.batch_size
    metrics = energy(state)
    assert metrics["energy_j_per_token"] == pytest.approx(250 * 5 / tokens, rel=0.001)
    assert metrics["energy_net_j_per_token"] == pytest.approx(200 * 5 / tokens, rel=0.02)
    net = summarise_device(state, state.cells["c001"])["energy_net_j_per_token"]
    assert net.notes == ["idle: before anything was loaded, without a context"]
    assert compute_idle(state, GPU).watts == pytest.approx(50, rel=0.02)


def test_power_alone_is_integrated_and_says_so() -> None:
    state = session(lambda s: {"power_w": idle_then_busy(s)["power_w"]})
    metric = summarise_device(state, state.cells["c001"])["energy_j_per_token"]
    assert metric.mean == pytest.approx(
        energy(session(idle_then_busy))["energy_j_per_token"], rel=0.01
    )
    assert metric.notes == ["from integrated power"]


@pytest.mark.parametrize(("ends", "reason"), [((25,), "shorter than 2 s"), ((25, 30), "")])
def test_power_and_utilisation_of_a_short_cell_are_withheld(
    ends: tuple[int, ...], reason: str
) -> None:
    state = session(lambda s: {"power_w": 250.0, "utilization": 99.0}, ends=ends)
    summaries = summarise_device(state, state.cells["c001"])
    for name in ("power_w", "gpu_utilization"):
        assert (summaries[name].mean is None, summaries[name].n == 0) == (bool(reason),) * 2
        assert ("shorter than 2 s" in summaries[name].notes) == bool(reason)


def test_the_processor_of_a_cell_without_gpu() -> None:
    metrics = energy(session(idle_then_busy, device="host"))
    assert set(metrics) == {"energy_j_per_token", "energy_net_j_per_token"}
    assert metrics["energy_net_j_per_token"]
    state = session(idle_then_busy, device="host")
    net = summarise_device(state, state.cells["c001"])["energy_net_j_per_token"]
    assert net.notes == ["idle: before the first worker"]


def test_what_was_not_read_is_absent_or_null_with_its_reason() -> None:
    assert energy(session(lambda s: {"utilization": 99.0})) == {}
    late = session(lambda s: idle_then_busy(s) if s > 3 else {"power_w": None, "energy_j": None})
    metrics = summarise_device(late, late.cells["c001"])
    assert metrics["energy_j_per_token"].mean is not None
    (note,) = metrics["energy_net_j_per_token"].notes
    assert note.startswith("idle: ")
    ended = session(lambda s: idle_then_busy(s) if s < 6 else {"power_w": None, "energy_j": None})
    assert summarise_device(ended, ended.cells["c001"])["energy_j_per_token"].mean is None


@pytest.mark.parametrize("device", [GPU, "host"])
def test_idle_power_of_an_ab_ends_where_outputs_are_compared(device: str) -> None:
    """50 W until 3 s; then 400 W while outputs are compared; the arms load from 8 s on."""
    arms = msgspec.structs.replace(streams.plan(), margin=0.02)
    header, segment = streams.stream(arms)[:2]
    state = fold_all([header, segment])
    for tick in range(51):
        at, s = header.t_ns + tick * S // 5, tick / 5
        values: Values = {"power_w": 50.0 if s <= 3 else 400.0}
        fold(state, events.Telemetry(t_ns=at, device=device, values=values))
        if 15 <= tick < 35:
            progress = events.FidelityProgress(
                t_ns=at, cell="c002", reference="c001", done=tick, total=99
            )
            fold(state, progress)
        if tick == 40:
            fold(state, events.CellStarted(t_ns=at, cell="c001", worker="worker:2"))
            fold(state, events.Phase(t_ns=at, cell="c001", name="to_device"))
    idle = compute_idle(state, device)
    assert idle.watts == pytest.approx(50)
    assert idle.seconds == pytest.approx(3)


def test_idle_power_of_the_host_ends_with_the_first_worker() -> None:
    header, segment = streams.stream()[:2]
    state = fold_all([header, segment])
    for tick in range(40):
        at, s = header.t_ns + tick * S // 5, tick / 5
        values: Values = {"power_w": 50.0 if s <= 3 else 400.0}
        fold(state, events.Telemetry(t_ns=at, device="host", values=values))
        if tick in (5, 15):
            process = f"process:{'worker:1' if tick == 15 else 'runner'}"
            fold(state, events.Telemetry(t_ns=at, device=process, values={"cpu_s": 1.0}))
    fold(state, events.CellStarted(t_ns=header.t_ns + 8 * S, cell="c001", worker="worker:1"))
    assert compute_idle(state, "host").watts == pytest.approx(50)


def test_a_part_of_a_gpu_is_found_by_its_own_name() -> None:
    state = session(idle_then_busy, device="MIG-1", name="GPU-1")
    assert state.gpu("GPU-1") == "MIG-1" and state.gpu("GPU-2") is None and state.gpu(None) is None
    assert energy(state)["energy_j_per_token"]


def test_table_and_export_state_the_energy() -> None:
    state, finals = session(idle_then_busy), FinalMetrics()
    heading = table.list_columns(state)
    row = dict(zip([name for name, _ in heading], table.build_rows(state, finals)[0], strict=True))
    assert (row["energy"], row["J per"]) == (
        format_figure(energy(state)["energy_j_per_token"]),
        "tok",
    )
    metrics = json.build_export(state, finals).cells[0].metrics
    assert metrics["energy_net_j_per_token"].unit == "J/tok"
    without = session(lambda s: {"utilization": 9.0})
    assert "energy" not in [name for name, _ in table.list_columns(without)]


def test_versions_of_the_driver_are_in_the_export() -> None:
    state = session(idle_then_busy)
    sample = events.Telemetry(t_ns=S, device=GPU, values={}, versions={"nvidia_driver": "550.1"})
    fold(state, sample)
    assert json.build_export(state, FinalMetrics()).session.versions["nvidia_driver"] == "550.1"


@pytest.mark.parametrize("lost_s", [0.4, 4.0])
def test_joules_of_what_takes_turns_are_over_the_calls_that_count(lost_s: float) -> None:
    """Four turns of 3 s with 100 W each, and one of a block that was cut off or repeated."""
    header, segment = streams.stream(msgspec.structs.replace(streams.plan(), margin=0.02))[:2]
    begun = events.CellStarted(t_ns=header.t_ns, cell="c001", worker="worker:1")
    state = fold_all([header, segment, begun, streams.load(header.t_ns, "c001", device_id=GPU)])
    turns = {at + 3.0: 3.0 for at in (2, 6, 10, 14)} | {20 + lost_s: lost_s}
    for tick in range(150):
        at, s = header.t_ns + tick * S // 5, tick / 5
        values: Values = {"power_w": 900.0 if s > 19 else 100.0}
        fold(state, events.Telemetry(t_ns=at, device=GPU, values=values))
        if s in turns:
            e2e_ns, i = round(turns[s] * S), len(state.cells["c001"].samples)
            made = events.Iteration(
                t_ns=at, cell="c001", index=i, role="measured", start_ns=at - e2e_ns,
                e2e_ns=e2e_ns, ttft_ns=S // 10, tokens=10,
            )  # fmt: skip
            fold(state, made)
            order, places = ["c001", "c002"], {"c001": [i]}
            fold(state, events.ABBlock(t_ns=at, order=order, iterations=places, kept=s < 19))
    joules = summarise_device(state, state.cells["c001"])["energy_j_per_token"]
    tokens = 4 * 10 * state.cells["c001"].cell.batch_size
    assert joules.mean == pytest.approx(100 * 12 / tokens), joules.notes
