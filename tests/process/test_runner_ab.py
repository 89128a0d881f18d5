"""An A/B conducted with fake workers over the real pipe: blocks, verdicts and failures."""

from __future__ import annotations

import fcntl
import threading
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from support.fake_run import Run, statuses
from support.waiting import wait_until
from txtop.analysis.metrics import FinalMetrics
from txtop.export import json
from txtop.forecast import memory_fit
from txtop.options import ab_plan
from txtop.options.ab_plan import ABOptions
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.protocol.events import ABBlock
from txtop.runner import ab_run, control_protocol
from txtop.runner.block_validity import MAX_REPEATS, Disturbances
from txtop.session.reader import read_all
from txtop.state.ab import ABTest
from txtop.state.fold import fold, fold_all
from txtop.state.pending_work import find_missing_cells
from txtop.state.session import SessionState
from txtop.stats.sequential import adjust_holm, compute_signed_rank_p
from txtop.system import gpus
from txtop.system.free_memory import deduct_reserve

AB = ({"precision": "fp32"}, {"precision": "bf16"})


@pytest.fixture(autouse=True)
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten turns to 10 ms: five requests of the faster arm."""
    monkeypatch.setattr("txtop.runner.ab_run.TURN_NS", 10_000_000)
    monkeypatch.setattr("txtop.runner.ab_run.RELOADED_TURN_NS", 10_000_000)


def arms_plan(model: str = "ok", knobs: tuple[dict[str, str], ...] = AB, **rules: object) -> Plan:
    chosen: dict[str, object] = {"warmup": 1, **rules}
    return ab_plan.build_ab_plan(model, knobs, {}, ABOptions(**chosen))  # type: ignore[arg-type]


def conduct(folder: Path, plan: Plan) -> tuple[Run, list[events.AnyEvent]]:
    run = Run(folder / "s", plan)
    run.run()
    assert run.ended is not None and run.ended[1]
    return run, read_all(run.folder)[0]


def ab_test_of(state: SessionState) -> ABTest:
    assert state.ab_test is not None
    return state.ab_test


def rounds(stream: list[events.AnyEvent]) -> list[ABBlock]:
    return [e for e in stream if isinstance(e, ABBlock)]


def test_blocks_are_palindromes_and_a_large_effect_is_decided_at_the_tenth(tmp_path: Path) -> None:
    run, stream = conduct(tmp_path, arms_plan())
    ab_test = ab_test_of(run.state)
    assert run.ended == ("done", True) and statuses(run.state) == ["ok", "ok"]
    assert ab_test.verdict("B") == "faster" and ab_test.kept_blocks == 10
    assert ab_test.look("B").ratio == pytest.approx(2, rel=0.01)
    played = ["".join(block.order) for block in rounds(stream)]
    assert set(played) == {"AB", "BA"}, "the order is drawn anew"
    order = [e.cell for e in stream if isinstance(e, events.Iteration) and e.role == "measured"]
    (requests,) = {len(places) for b in rounds(stream) for places in b.iterations.values()}
    assert requests >= 8 and requests % 2 == 0, "as many requests in each turn of each arm"
    turns = [name for i, name in enumerate(order) if i % (requests // 2) == 0]
    blocks = ["".join(turns[i : i + 4]) for i in range(0, len(turns), 4)]
    assert blocks == [half + half[::-1] for half in played]
    assert {c.finished.stopped_by for c in run.state.cells.values() if c.finished} == {"decided"}


def test_live_and_played_are_the_same(tmp_path: Path) -> None:
    run, stream = conduct(tmp_path, arms_plan(blocks=4))
    played = fold_all(stream)
    assert json.to_json(played, FinalMetrics()) == json.to_json(run.state, FinalMetrics())
    assert ab_test_of(played).sequences["B"].looks == ab_test_of(run.state).sequences["B"].looks
    assert ab_test_of(played).kept_blocks == 4 and ab_test_of(played).verdict("B") is None
    assert ab_test_of(played).verdict("B", over=True) == "inconclusive"


def test_outputs_are_compared_before_anything_is_timed(tmp_path: Path) -> None:
    _, stream = conduct(tmp_path, arms_plan(blocks=2))
    kinds = [type(e) for e in stream]
    assert kinds.index(events.Fidelity) < kinds.index(events.CellStarted)
    fidelity = next(e for e in stream if isinstance(e, events.Fidelity))
    assert (fidelity.cell, fidelity.reference, fidelity.positions) == ("B", "A", 2048)
    assert fidelity.texts is not None and "\x1b" not in fidelity.texts[0]
    _, stream = conduct(tmp_path / "none", arms_plan(blocks=2, fidelity_positions=0))
    assert events.Fidelity not in [type(e) for e in stream]


def test_the_more_precise_arm_is_the_reference_wherever_it_stands(tmp_path: Path) -> None:
    run, _ = conduct(tmp_path, arms_plan(knobs=(AB[1], AB[0]), blocks=2))
    assert list(run.state.fidelity) == [("A", "B")]
    assert run.state.output_of("B", "A") is run.state.output_of("A", "B") is not None


def test_three_arms_take_turns_in_one_order_each_against_the_first(tmp_path: Path) -> None:
    knobs = (*AB, {"precision": "int8"})
    run, stream = conduct(tmp_path, arms_plan(knobs=knobs, blocks=12))
    ab_test = ab_test_of(run.state)
    assert {s.alpha for s in ab_test.sequences.values()} == {0.025}
    assert ab_test.verdict("B") == "faster" and ab_test.verdict("C") == "equivalent"
    assert "measurable" in ab_test.words("C")
    assert {"".join(sorted(b.order)) for b in rounds(stream)} == {"ABC"}
    assert len({tuple(b.order) for b in rounds(stream)}) > 2
    alone = {name: compute_signed_rank_p(s.differences) for name, s in ab_test.sequences.items()}
    assert ab_test.p_values() == dict(zip("BC", adjust_holm(alone.values()), strict=True))


@pytest.mark.fault(4)
def test_a_worker_that_is_killed_is_replaced_and_the_open_block_counts_for_nothing(
    tmp_path: Path,
) -> None:
    run, stream = conduct(tmp_path, arms_plan("mortal"))
    ab_test = ab_test_of(run.state)
    assert run.ended == ("done", True) and statuses(run.state) == ["ok", "ok"]
    assert ab_test.verdict("B") == "faster" and ab_test.kept_blocks == 10
    discarded = [b for b in rounds(stream) if not b.kept]
    assert [b.reasons for b in discarded] == [["B: the worker killed by SIGKILL"]] * 2
    assert run.state.cells["B"].worker == "worker:5"
    lost = {i for b in discarded for i in b.iterations.get("B", [])}
    assert lost and lost <= run.state.cells["B"].samples.discarded
    kept = {i for b in rounds(stream) if b.kept for i in b.iterations["B"]}
    assert kept == set(run.state.cells["B"].samples.kept())
    assert kept & set(run.state.cells["B"].samples.discarded) == set()
    roles = Counter(run.state.cells["B"].samples.role)
    assert roles["first"] == roles["warmup"] == 3, "each worker warms up"


def test_a_worker_that_always_dies_costs_its_arm(tmp_path: Path) -> None:
    knobs = ({"precision": "fp32"}, {"model": "aborts"}, {"precision": "bf16"})
    run, _ = conduct(tmp_path, arms_plan(knobs=knobs))
    assert statuses(run.state) == ["ok", "failed", "ok"]
    ab_test = ab_test_of(run.state)
    assert ab_test.verdict("C") == "faster" and ab_test.verdict("B", over=True) is None
    assert ab_test.explain_no_verdict("B") == "B failed" and run.state.failed == 1


def test_an_arm_whose_output_is_nan_is_not_measured_and_no_speed_is_claimed(
    tmp_path: Path,
) -> None:
    knobs = ({"precision": "fp32"}, {"model": "nan", "precision": "bf16"})
    run, stream = conduct(tmp_path, arms_plan(knobs=knobs))
    ab_test = ab_test_of(run.state)
    assert statuses(run.state) == ["skipped", "rejected"]
    assert ab_test.verdict("B", over=True) is None and "INVALID" in ab_test.words("B")
    assert run.state.cells["B"].invalid and run.state.failed == 1
    assert not rounds(stream)


@pytest.mark.parametrize("knob", [{"model": "absent"}, {"speculative": "assistant=absent"}])
def test_a_model_that_the_hub_lacks_is_refused_before_anything_loads(
    tmp_path: Path, knob: dict[str, str]
) -> None:
    run, stream = conduct(tmp_path, arms_plan(knobs=({"precision": "fp32"}, knob)))
    assert statuses(run.state) == ["skipped", "rejected"]
    assert run.state.cells["B"].reason == "absent is nowhere"
    kinds = (events.ModelLoaded, events.Phase, events.Fidelity, events.FidelityProgress)
    assert not [event for event in stream if isinstance(event, kinds)]


def test_a_device_that_torch_was_not_built_for_is_refused_before_anything_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session may be resumed where there is none."""
    knobs = ({"precision": "fp32"}, {"device": "cuda"})
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(gpus, "explain_absent_device", lambda device: "")
        plan = arms_plan(knobs=knobs)
    monkeypatch.setattr("txtop.system.torch_build.has_cuda", lambda: False)
    run, stream = conduct(tmp_path, plan)
    assert statuses(run.state) == ["skipped", "rejected"]
    assert run.state.cells["B"].reason == "no cuda device: torch is built without CUDA"
    kinds = (events.ModelLoaded, events.Phase, events.Fidelity, events.FidelityProgress)
    assert not [event for event in stream if isinstance(event, kinds)]


@pytest.mark.fault(22)
def test_arms_that_do_not_fit_beside_each_other_are_loaded_for_each_turn(tmp_path: Path) -> None:
    plan = msgspec.structs.replace(arms_plan("crowded"), budget_s=1.0)
    run, stream = conduct(tmp_path, plan)
    ab_test = ab_test_of(run.state)
    assert statuses(run.state) == ["ok", "ok"] and ab_test.reloaded
    assert ab_test.kept_blocks == 5, "at least five loads an arm, whatever the budget"
    assert ab_test.verdict("B") == "faster" and "indicative" in ab_test.words("B")
    loads = Counter(e.cell for e in stream if isinstance(e, events.ModelLoaded))
    # Two turns of one arm that follow each other share a load.
    assert min(loads.values()) >= 5
    assert "each turn is a load of its own" in str([line.text for line in run.state.log])


def test_arms_take_turns_on_a_gpu_that_admits_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TXTOP_FAKE_GPU", str(tmp_path / "gpu"))
    run, _ = conduct(tmp_path, msgspec.structs.replace(arms_plan("exclusive"), budget_s=1.0))
    ab_test = ab_test_of(run.state)
    assert statuses(run.state) == ["ok", "ok"] and ab_test.reloaded
    assert ab_test.verdict("B") == "faster" and "indicative" in ab_test.words("B")
    (line,) = [line.text for line in run.state.log if "each turn is a load of its own" in line.text]
    assert "admit one process alone" in line


def test_a_gpu_that_is_held_by_another_process_fails_the_first_arm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TXTOP_FAKE_GPU", str(tmp_path / "gpu"))
    with (tmp_path / "gpu").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        run, _ = conduct(tmp_path, arms_plan("exclusive"))
    assert statuses(run.state) == ["failed", "failed"]
    assert run.state.cells["A"].reason == "busy"


def test_memory_of_the_whole_device_is_withheld_as_it_holds_all_arms(tmp_path: Path) -> None:
    _, stream = conduct(tmp_path, arms_plan(blocks=2))
    sizes = {"allocated_bytes": 1 << 30, "reserved_bytes": 2 << 30, "device_bytes": 9 << 30}
    for event in stream:
        if isinstance(event, events.Memory):
            for name, size in sizes.items():
                setattr(event, name, size)
    for cell in json.build_export(fold_all(stream), FinalMetrics()).cells:
        assert cell.metrics["peak_memory_reserved_bytes"].mean == 2 << 30
        assert "peak_memory_device_bytes" not in cell.metrics
        assert any("holds all arms" in note for note in cell.notes)


def test_room_is_looked_for_before_the_second_arm_is_loaded() -> None:
    plan = ab_plan.build_ab_plan("gpt2-large", AB, {}, ABOptions())
    state = fold_all([])
    state.cells = {c.id: fold_all([_header(plan)]).cells[c.id] for c in plan.cells}
    assert memory_fit.find_memory_shortage(state, plan.cells[0], plan.cells[1]) is None, (
        "nothing is known"
    )
    values: dict[str, float | None] = {"ram_total_bytes": 8e9, "ram_used_bytes": 1e9}
    fold(state, events.Telemetry(t_ns=1, device="host", values=values))
    assert memory_fit.find_memory_shortage(state, plan.cells[0], plan.cells[1]) is None
    values = {"ram_total_bytes": 8e9, "ram_used_bytes": 7e9}
    fold(state, events.Telemetry(t_ns=2, device="host", values=values))
    short = memory_fit.find_memory_shortage(state, plan.cells[0], plan.cells[1])
    assert short is not None and short[0] > short[1] == deduct_reserve(1e9)


def test_the_second_arm_is_weighed_on_the_device_that_it_asks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpus, "explain_absent_device", lambda device: "")
    arms = ({"device": "cpu"}, {"device": "cuda:1"}, {"device": "GPU-a"}, {"device": "xpu"})
    plan = ab_plan.build_ab_plan("gpt2-large", arms, {}, ABOptions())
    state = fold_all([_header(plan)])
    used = {"host": 1e9, "GPU-a": 1e9, "GPU-b": 7e9}
    for name, size in used.items():
        kind = "ram" if name == "host" else "memory"
        values: dict[str, float | None] = {f"{kind}_total_bytes": 8e9, f"{kind}_used_bytes": size}
        fold(state, events.Telemetry(t_ns=1, device=name, label="L4", values=values))
    shortages = [memory_fit.find_memory_shortage(state, plan.cells[0], cell) for cell in plan.cells]
    assert [shortage and shortage[1] for shortage in shortages] == [
        None,
        pytest.approx(1e9),
        None,
        None,
    ]


def _header(plan: Plan) -> events.SessionHeader:
    from support import streams

    header = streams.stream(plan)[0]
    assert isinstance(header, events.SessionHeader)
    return header


def test_requests_that_take_long_come_in_pairs_and_are_judged_by_their_own_rule(
    tmp_path: Path,
) -> None:
    """Ten palindromes of turns of at least 10 and 20 ms are 0.6 s."""
    run, stream = conduct(tmp_path, arms_plan(budget_s=0.5))
    ab_test = ab_test_of(run.state)
    assert all(b.paired for b in rounds(stream))
    order = [e.cell for e in stream if isinstance(e, events.Iteration) and e.role == "measured"]
    assert order.count("A") == order.count("B")
    assert ab_test.verdict("B") == "faster" and ab_test.first_look == 3 <= ab_test.kept_blocks < 10
    assert "assumes normally distributed noise" in ab_test.words("B")


def test_a_pause_inside_a_block_discards_it(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", arms_plan(blocks=20)).start()
    wait_until(lambda: run.state.ab_test and run.state.ab_test.kept_blocks >= 1)
    run.conductor.control.handle(control_protocol.ControlRequest(do="pause", who="t"))
    wait_until(lambda: run.state.paused)
    run.conductor.control.handle(control_protocol.ControlRequest(do="resume", who="t"))
    assert run.join() == ("done", True)
    ab_test = ab_test_of(run.state)
    assert [b.reasons for b in ab_test.blocks if not b.kept] in ([["paused"]], [])
    assert ab_test.kept_blocks == 20


def test_a_pause_before_the_first_call_of_a_block_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_block, paused = ab_run.ABRun._run_block, []

    def run_block_after_a_pause(ab: ab_run.ABRun, order: list[ab_run.ArmRun]) -> None:
        if len(paused) < 2:
            paused.append(order)
            ab._control.paused = True
            threading.Timer(0.05, setattr, (ab._control, "paused", False)).start()
        run_block(ab, order)

    monkeypatch.setattr(ab_run.ABRun, "_run_block", run_block_after_a_pause)
    run, _ = conduct(tmp_path, arms_plan(blocks=3))
    assert len(paused) == 2 and [b.kept for b in ab_test_of(run.state).blocks] == [True] * 3


def test_skip_ends_the_comparison_and_keeps_what_is_known(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", arms_plan(blocks=100)).start()
    wait_until(lambda: run.state.ab_test and run.state.ab_test.kept_blocks >= 11)
    run.ask("skip")
    assert run.join() == ("done", True)
    assert statuses(run.state) == ["ok", "ok"]
    assert ab_test_of(run.state).verdict("B") == "faster"
    assert ab_test_of(run.state).blocks[-1].reasons == ["skip"]
    assert run.state.cells["A"].memory is not None


def test_a_skip_after_the_last_block_is_said_to_do_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_block = ab_run.ABRun._record_block

    def skip_after_the_last(ab: ab_run.ABRun, *what: object) -> None:
        record_block(ab, *what)  # type: ignore[arg-type]
        if ab._ab.kept_blocks == 3:
            run.ask("skip")

    monkeypatch.setattr(ab_run.ABRun, "_record_block", skip_after_the_last)
    run = Run(tmp_path / "s", arms_plan(blocks=3))
    run.run()
    assert statuses(run.state) == ["ok", "ok"]
    assert all(own.memory is not None for own in run.state.cells.values())
    assert "nothing was skipped: the skip came too late" in [line.text for line in run.state.log]


@pytest.mark.fault(36)
def test_a_stop_discards_the_open_block(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", arms_plan(blocks=100)).start()
    wait_until(lambda: run.state.ab_test and run.state.ab_test.kept_blocks >= 2)
    run.conductor.control.handle(control_protocol.ControlRequest(do="stop", who="t"))
    assert run.join() == ("stopped", True)
    assert statuses(run.state) == ["cancelled", "cancelled"]
    last = ab_test_of(run.state).blocks[-1]
    assert not last.kept and last.reasons == ["stop"]
    played = fold_all(read_all(run.folder)[0])
    for cell in played.cells.values():
        counted = {
            i for b in ab_test_of(played).blocks if b.kept for i in b.iterations[cell.cell.id]
        }
        assert set(cell.samples.kept()) == counted


def test_a_comparison_whose_worker_dies_costs_its_badge_alone(tmp_path: Path) -> None:
    run, _ = conduct(tmp_path, arms_plan("mute", blocks=2))
    assert statuses(run.state) == ["ok", "ok"]
    output = run.state.output_of("B", "A")
    assert output is not None and "SIGABRT" in output.failed


def test_an_interrupted_comparison_begins_anew(tmp_path: Path) -> None:
    from txtop.runner.conductor import Conductor

    run = Run(tmp_path / "s", arms_plan(blocks=12)).start()
    wait_until(lambda: run.state.ab_test and run.state.ab_test.kept_blocks >= 2)
    run.conductor.control.handle(control_protocol.ControlRequest(do="stop", who="t"))
    run.join()
    from support.fake_run import FAKE

    again = Conductor(None, run.folder, worker=FAKE, sampler=None)
    assert again.run() == ("done", True)
    ab_test = ab_test_of(again.recorder.state)
    assert ab_test.kept_blocks == 12 and statuses(again.recorder.state) == ["ok", "ok"]
    stream = read_all(run.folder)[0]
    assert sum(isinstance(e, events.Fidelity) for e in stream) == 1, "the outputs are known"


def list_loads(stream: list[events.AnyEvent]) -> list[str]:
    return [e.cell for e in stream if isinstance(e, events.CellStarted)]


def test_each_start_has_fresh_workers_and_who_loads_first_alternates(tmp_path: Path) -> None:
    run, stream = conduct(tmp_path, arms_plan(blocks=2, starts=5))
    ab_test = ab_test_of(run.state)
    assert statuses(run.state) == ["ok", "ok"] and ab_test.verdict("B") == "faster"
    assert ab_test.sequences["B"].n == 5 and ab_test.kept_blocks == 10
    assert "".join(list_loads(stream)) == "ABBAABBAAB"
    workers = {e.worker for e in stream if isinstance(e, events.CellStarted)}
    assert len(workers) == 10
    ends = [block.ends_start for block in rounds(stream)]
    assert ends == [False, True] * 5
    roles = Counter(run.state.cells["B"].samples.role)
    assert roles["first"] == roles["warmup"] == 5, "each worker warms up"
    played = fold_all(stream)
    assert json.to_json(played, FinalMetrics()) == json.to_json(run.state, FinalMetrics())


def test_a_large_effect_is_decided_by_the_fourth_start(tmp_path: Path) -> None:
    run, stream = conduct(tmp_path, arms_plan(starts=8))
    assert ab_test_of(run.state).verdict("B") == "faster"
    assert {c.finished.stopped_by for c in run.state.cells.values() if c.finished} == {"decided"}
    assert len(list_loads(stream)) == 8 and ab_test_of(run.state).kept_blocks == 40


def test_a_start_takes_its_part_of_the_budget(tmp_path: Path) -> None:
    run, stream = conduct(tmp_path, arms_plan(knobs=(AB[0], AB[0]), starts=4, budget_s=0.8))
    ab_test = ab_test_of(run.state)
    assert len(ab_test.units) == 4 and ab_test.kept_blocks < 40
    longest_s = max(e.e2e_ns for e in stream if isinstance(e, events.Iteration)) / 1e9
    block = max(sum(map(len, b.iterations.values())) for b in rounds(stream))
    assert run.state.sum_measured_s() <= 0.8 + 4 * block * longest_s


def test_on_a_busy_machine_each_start_repeats_its_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = Disturbances(["others"], [events.Contention(kind="others", size=1.0)])
    monkeypatch.setattr("txtop.runner.ab_run.find_block_disturbances", lambda *_: taken)
    _, stream = conduct(tmp_path, arms_plan(blocks=2, starts=4))
    repeated = [0]
    for block in rounds(stream):
        repeated[-1] += not block.kept
        repeated += [0] * block.ends_start
    first, *later, _ = repeated
    assert first == MAX_REPEATS and len(later) == 3 and all(later)


def cut_after_block(folder: Path, count: int) -> None:
    """Leave what is on the disk where the run is killed in the block after these."""
    log = folder / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    ends = [i for i, line in enumerate(lines) if b'"round"' in line]
    log.write_bytes(b"".join(lines[: ends[count - 1] + 3]) + b'{"t":"iter')


@pytest.mark.fault(36)
@pytest.mark.parametrize("killed", [False, True])
def test_starts_that_are_complete_outlive_an_interruption(tmp_path: Path, killed: bool) -> None:
    from support.fake_run import FAKE
    from txtop.runner.conductor import Conductor

    run = Run(tmp_path / "s", arms_plan(blocks=3, starts=6)).start()
    if not killed:
        wait_until(lambda: run.state.ab_test and run.state.ab_test.kept_blocks >= 7)
        run.conductor.control.handle(control_protocol.ControlRequest(do="stop", who="t"))
    run.join()
    if killed:
        cut_after_block(run.folder, 7)
    before = ab_test_of(fold_all(read_all(run.folder)[0]))
    again = Conductor(None, run.folder, worker=FAKE, sampler=None)
    assert again.run() == ("done", True)
    state = again.recorder.state
    ab_test = ab_test_of(state)
    assert statuses(state) == ["ok", "ok"] and ab_test.sequences["B"].n == 6
    done = before.sequences["B"].differences
    assert ab_test.sequences["B"].differences[: len(done)] == done and len(done) >= 2
    assert ab_test.kept_blocks == 18, "the open start goes on where it was"
    kept = {i for b in ab_test.blocks if b.kept for i in b.iterations["A"]}
    assert set(state.cells["A"].samples.kept()) == kept
    stream = read_all(run.folder)[0]
    assert sum(block.kept for block in rounds(stream)) == 18, "no block is measured again"
    played = fold_all(stream)
    assert json.to_json(played, FinalMetrics()) == json.to_json(state, FinalMetrics())


def resume(folder: Path) -> tuple[SessionState, list[events.AnyEvent]]:
    """Go on with a session. Return its state and the events of the run that went on."""
    from support.fake_run import FAKE
    from txtop.runner.conductor import Conductor

    again = Conductor(None, folder, worker=FAKE, sampler=None)
    assert again.run() == ("done", True)
    stream = read_all(folder)[0]
    since = max(i for i, event in enumerate(stream) if isinstance(event, events.Segment))
    return again.recorder.state, stream[since:]


@pytest.mark.parametrize("starts", [1, 5])
def test_an_arm_that_failed_is_measured_by_the_run_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, starts: int
) -> None:
    """The third worker dies: of three arms C in the first start, of two B in the second."""
    knobs = AB if starts > 1 else (*AB, {"precision": "int8"})
    plan = arms_plan("mortal", knobs, blocks=4, starts=starts, fidelity_positions=0)
    with monkeypatch.context() as once:
        once.setattr("txtop.runner.ab_run.MAX_DEATHS", 1)
        run, _ = conduct(tmp_path, plan)
    failed = "B" if starts > 1 else "C"
    assert run.state.cells[failed].status == "failed"
    done = ab_test_of(run.state).sequences["B"].differences
    state, _ = resume(run.folder)
    ab_test = ab_test_of(state)
    assert set(statuses(state)) == {"ok"} and not ab_test.out
    own = ab_test.sequences[failed]
    assert own.n == (starts if starts > 1 else 4)
    assert starts == 1 or (own.differences[: len(done)] == done and done)
    assert not find_missing_cells(state)


def test_an_arm_that_failed_catches_up_on_the_starts_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("txtop.runner.ab_run.MAX_DEATHS", 1)
    plan = arms_plan(
        "mortal", (*AB, {"precision": "int8"}), blocks=4, starts=4, fidelity_positions=0
    )
    run, _ = conduct(tmp_path, plan)
    assert statuses(run.state) == ["ok", "failed", "failed"]
    state, _ = resume(run.folder)
    counts = {name: s.n for name, s in ab_test_of(state).sequences.items()}
    assert set(statuses(state)) == {"ok"} and counts == {"B": 5, "C": 4}


def test_an_arm_that_found_no_memory_alone_does_not_come_again(tmp_path: Path) -> None:
    """Nobody waits for its verdict either: the two others are decided, not out of budget."""
    run, _ = conduct(tmp_path, arms_plan(knobs=(AB[0], {"model": "oom"}, AB[1])))
    cut_after_block(run.folder, 1)
    state, stream = resume(run.folder)
    assert set(list_loads(stream)) == {"A", "C"} and ab_test_of(state).out == {"B": "oom"}
    assert statuses(state) == ["ok", "oom", "ok"]
    assert {c.finished.stopped_by for c in state.cells.values() if c.finished} == {"", "decided"}


def test_a_complete_ab_of_starts_is_not_loaded_again(tmp_path: Path) -> None:
    run, _ = conduct(tmp_path, arms_plan(blocks=2, starts=5))
    cut_after_block(run.folder, 10)
    state, stream = resume(run.folder)
    assert not list_loads(stream) and statuses(state) == ["ok", "ok"]
    for name, cell in state.cells.items():
        assert cell.samples.kept() == run.state.cells[name].samples.kept()
    assert ab_test_of(state).look("B") == ab_test_of(run.state).look("B")


def test_a_run_that_goes_on_loads_the_arms_in_the_order_of_its_start(tmp_path: Path) -> None:
    run, _ = conduct(tmp_path, arms_plan(blocks=2, starts=5))
    cut_after_block(run.folder, 7)
    _, stream = resume(run.folder)
    assert "".join(list_loads(stream)) == "BAAB"


def test_where_each_turn_is_a_load_each_block_is_a_start(tmp_path: Path) -> None:
    run, stream = conduct(tmp_path, arms_plan("crowded", starts=6))
    ab_test = ab_test_of(run.state)
    assert ab_test.reloaded and ab_test.verdict("B") == "faster"
    assert ab_test.sequences["B"].n == ab_test.kept_blocks == 4
    since = next(i for i, e in enumerate(stream) if isinstance(e, ABBlock))
    assert len(list_loads(stream[since:])) == 3 * 3, (
        "A B B A: no load is shared with the next block"
    )


def test_a_run_that_goes_on_where_each_turn_is_a_load_loads_for_each_turn(tmp_path: Path) -> None:
    """The arms fit beside each other by now: their starts would be of two kinds."""
    run, _ = conduct(tmp_path, arms_plan("crowded", starts=6))
    cut_after_block(run.folder, 2)
    done = ab_test_of(run.state).sequences["B"].differences[:2]
    state, _ = resume(run.folder)
    ab_test = ab_test_of(state)
    assert all(block.reloaded for block in ab_test.blocks) and ab_test.verdict("B") == "faster"
    assert ab_test.sequences["B"].differences[:2] == done


@pytest.mark.fault(4)
def test_a_worker_that_is_killed_within_a_start_is_replaced_and_the_start_goes_on(
    tmp_path: Path,
) -> None:
    run, stream = conduct(tmp_path, arms_plan("mortal", blocks=3, starts=4))
    ab_test = ab_test_of(run.state)
    assert statuses(run.state) == ["ok", "ok"] and ab_test.verdict("B") == "faster"
    blocks = rounds(stream)
    lost = [block.reasons for block in blocks if not block.kept]
    assert lost == [["B: the worker killed by SIGKILL"]] * 2 and not blocks[1].kept
    assert [b.ends_start for b in blocks if b.kept] == [False, False, True] * 4
    assert ab_test.sequences["B"].n == 4 and ab_test.kept_blocks == 12
    assert "".join(list_loads(stream)) == "ABBBBAABBA", "B has three workers in its first start"
    for name, cell in run.state.cells.items():
        kept = {i for b in blocks if b.kept for i in b.iterations[name]}
        assert set(cell.samples.kept()) == kept


def test_a_run_that_was_stopped_before_outputs_were_compared_compares_them_later(
    tmp_path: Path,
) -> None:
    from support.fake_run import FAKE
    from txtop.plan.matrix import expand_matrix
    from txtop.runner.conductor import Conductor
    from txtop.state.pending_work import find_pending_comparisons

    cells = expand_matrix(
        models=["ok"],
        precisions=["bf16", "fp32"],
        attention=["sdpa"],
        batch_sizes=[1, 2],
        sequence_lengths=[8],
        new_tokens=[4],
    )
    plan = Plan(cells=cells, iterations=3, warmup=1)
    run = Run(tmp_path / "s", plan)
    run.run()
    stream = read_all(run.folder)[0]
    (fidelity,) = [e for e in stream if isinstance(e, events.Fidelity)]
    # Both batches of bf16 have one comparison, made when the whole model was over.
    assert plan.cells[0].id == fidelity.cell and fidelity.reference == "c003"
    assert max(e.seq for e in stream if isinstance(e, events.CellFinished)) < fidelity.seq
    assert run.state.output_of("c002") is run.state.output_of("c001") is not None
    assert run.state.output_of("c003") is None and not find_pending_comparisons(run.state)

    half = tmp_path / "half"
    half.mkdir()
    log = (run.folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    cut = next(i for i, line in enumerate(log) if b'"comparing"' in line)
    (half / "events.jsonl").write_bytes(b"".join(log[:cut]))
    before = fold_all(read_all(half)[0])
    assert not find_missing_cells(before) and len(find_pending_comparisons(before)) == 1
    again = Conductor(None, half, worker=FAKE, sampler=None)
    assert again.run() == ("done", True)
    assert not find_pending_comparisons(again.recorder.state) and again.recorder.state.output_of(
        "c002"
    )
