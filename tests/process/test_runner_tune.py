"""A race: blocks are dealt until one is named, failures cost a candidate, a kill costs nothing."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.fake_run import FAKE, Run
from support.waiting import wait_until
from txtop.analysis.tuning import find_result
from txtop.export.text.tuning import format_tuning
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Plan
from txtop.plan.tuning import CallLimit, LimitedTime, Tuning
from txtop.protocol import events
from txtop.runner import (
    output_run,
    tune_run,
    turn_energy,
    worker_client,
    worker_pool,
)
from txtop.runner.block_validity import Disturbances
from txtop.runner.conductor import Conductor
from txtop.runner.worker_pool import PooledWorker
from txtop.session.reader import read_all
from txtop.session.verify import verify_log
from txtop.state.fold import fold_all
from txtop.state.session import SessionState
from txtop.stats.race import Measure, Race, Stage, choose_arms, choose_step


@pytest.fixture(autouse=True, scope="module")
def _short_blocks() -> Iterator[None]:
    """Deal blocks of a hundredth of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tune_run, "BLOCK_NS", 10_000_000)
        yield


def build_plan(model: str = "ok", *caches: str, **rules: object) -> Plan:
    cells = expand_matrix(
        models=[model],
        precisions=["fp32", "bf16"],
        batch_sizes=[1, 4],
        cache=list(caches),
        sequence_lengths=[8],
        new_tokens=[4],
        weights=["random"],
    )
    tuning = Tuning(default=cells[0].id, **{"budget_s": 0.3, **rules})  # type: ignore[arg-type]
    return Plan(cells=cells, warmup=2, fidelity_positions=0, profile="none", tuning=tuning)


def name_winner(state: SessionState) -> tuple[str, int]:
    """Return what tells the fastest from the others: both caches are as fast."""
    result = find_result(state)
    assert result is not None
    return result.winner.cell.precision, result.winner.cell.batch_size


def list_blocks(folder: Path) -> list[events.RaceBlock]:
    return [e for e in read_all(folder)[0] if isinstance(e, events.RaceBlock)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(tmp_path_factory.mktemp("race") / "s", build_plan("ok", "dynamic", "static"))
    run.run()
    return run


def test_the_fastest_is_named_and_confirmed(finished: Run) -> None:
    assert finished.ended == ("done", True)
    result = find_result(finished.state)
    assert result is not None
    assert name_winner(finished.state) == ("bf16", 4)
    assert result.outcome.gain == "faster" and result.outcome.shows_difference
    # Both caches are as fast, so that the runner-up is confirmed, too.
    assert len(result.outcome.arms) == 3 and result.outcome.close == "equivalent"
    stages = {block.stage for block in list_blocks(finished.folder)}
    assert stages == {"race", "confirm"}
    assert {own.status for own in finished.state.cells.values()} == {"ok"}
    begins = [line.text for line in finished.state.log if line.text.startswith("confirming ")]
    assert len(begins) == 1 and begins[0].endswith(": each in a fresh process")
    assert begins[0].count(" · ") == 6, "three candidates, named by what differs"
    assert not verify_log(finished.folder).wrong


def test_a_log_folds_to_the_state_of_the_run(finished: Run) -> None:
    again, live = fold_all(read_all(finished.folder)[0]), finished.state
    assert again.race is not None and live.race is not None
    assert again.race.race == live.race.race


def test_cells_that_share_weights_share_a_worker(finished: Run) -> None:
    started = [e for e in read_all(finished.folder)[0] if isinstance(e, events.CellStarted)]
    raced = started[:8]
    assert len({e.worker for e in raced}) == 2
    confirmed = {e.worker for e in started} - {e.worker for e in raced}
    result = find_result(finished.state)
    assert result is not None and len(confirmed) == len(result.outcome.arms)


def test_a_race_that_was_cut_off_repeats_no_block(finished: Run, tmp_path: Path) -> None:
    """Cut the log as a kill does, in the middle of the race, then of the confirmation."""
    lines = (finished.folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    blocks = [i for i, line in enumerate(lines) if b'"kind":"race_block"' in line]
    confirms = [i for i in blocks if b'"stage":"confirm"' in lines[i]]
    for place in (blocks[len(blocks) // 3], confirms[1]):
        folder = tmp_path / f"s{place}"
        folder.mkdir()
        in_a_block = next(i for i in range(place, len(lines)) if b'"role":"measured"' in lines[i])
        (folder / "events.jsonl").write_bytes(b"".join(lines[: in_a_block + 1]))
        before = list_blocks(folder)
        assert Conductor(None, folder, worker=FAKE, sampler=None).run() == ("done", True)
        after = list_blocks(folder)
        assert after[: len(before)] == before
        dealt = [(b.stage, b.round, *b.iterations) for b in after if b.kept and b.stage == "race"]
        assert len(dealt) == len(set(dealt))
        state = fold_all(read_all(folder)[0])
        assert name_winner(state) == name_winner(finished.state)
        for name, cell in state.cells.items():
            counted = {i for b in after if b.kept for i in b.iterations.get(name, [])}
            measured = {i for i, role in enumerate(cell.samples.role) if role == "measured"}
            assert measured - cell.samples.discarded == counted, "no block left open counts"
        assert not verify_log(folder).wrong


@pytest.mark.parametrize(("model", "most"), [("holds-2", 2), ("rejects", 0)])
def test_a_candidate_that_fails_leaves(model: str, most: int, tmp_path: Path) -> None:
    """Those with a batch above `most` fail, and the others are raced."""
    run = Run(tmp_path / "s", build_plan(model))
    assert run.start().join() == ("done", True)
    assert run.state.race is not None
    failed = {
        name
        for name, own in run.state.race.race.candidates.items()
        if own.left is not None and own.left.why == "failed"
    }
    cells = run.state.cells
    assert failed == {name for name in cells if cells[name].cell.batch_size > most}
    assert (find_result(run.state) is None) == (not most)


def test_who_is_over_a_limit_is_not_named_though_it_is_the_fastest(tmp_path: Path) -> None:
    plan = build_plan()
    run = Run(tmp_path / "s0", plan)
    run.run()
    result = find_result(run.state)
    assert result is not None
    winner = result.winner
    # Half of what the fastest batch takes: batch 1 keeps it or nobody does.
    middle = sorted(winner.samples.e2e_ns)[len(winner.samples) // 2] / 1e6
    limited = msgspec.structs.replace(
        plan,
        tuning=msgspec.structs.replace(
            plan.tuning, limits=(CallLimit(time="e2e", share=0.9, most_ms=middle / 4),)
        ),
    )
    run = Run(tmp_path / "s1", limited)
    run.run()
    assert run.state.race is not None
    assert find_result(run.state) is None
    assert {o.left.why for o in run.state.race.race.candidates.values() if o.left} == {
        "over the limit"
    }


@pytest.mark.parametrize("model", ["emulates", "emulates-deaf"])
def test_a_first_call_that_is_longer_than_the_budget_is_cut_off(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bf16 it takes 10 s, of a budget of 0.4 s, in one step or several.

    A larger batch is no shorter, and is not even tried.
    """
    monkeypatch.setattr(tune_run, "WARMUP_BUDGET_S", 0.1)
    run = Run(tmp_path / "s", build_plan(model, budget_s=0.4)).start()
    assert run.join() == ("done", True)
    assert run.state.race is not None
    for name, own in run.state.race.race.candidates.items():
        cell = run.state.cells[name]
        is_slow = cell.cell.precision == "bf16"
        assert (own.left is not None and own.left.why == "too long") is is_slow
        assert cell.status == ("skipped" if is_slow else "ok")
        assert bool(cell.samples) is not is_slow, "its call was cut off"
        assert bool(cell.started_at_ns) is not (is_slow and cell.cell.batch_size == 4)
    assert name_winner(run.state) == ("fp32", 4)
    idle = [e for e in read_all(run.folder)[0] if isinstance(e, events.Phase) and e.name == "idle"]
    assert bool(idle) is (model == "emulates"), "else its worker was killed"
    assert not verify_log(run.folder).wrong


def test_a_comparison_that_is_skipped_is_no_judgement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its candidates were `below the floor`, and the advice was another one."""
    ask = output_run.OutputRun._ask

    def ask_and_skip(asked: Any, *what: Any) -> Any:
        asked._client.control.skip = True
        return ask(asked, *what)

    monkeypatch.setattr(output_run.OutputRun, "_ask", ask_and_skip)
    plan = build_plan("mute", floor="minor")
    cells = tuple(msgspec.structs.replace(cell, weights="auto") for cell in plan.cells)
    compared = msgspec.structs.replace(plan, cells=cells, fidelity_positions=8)
    run = Run(tmp_path / "s", compared)
    run.run()
    assert run.state.race is not None
    half = [name for name, own in run.state.cells.items() if own.cell.precision == "bf16"]
    left = [run.state.race.race.candidates[name].left for name in half]
    assert [own and own.why for own in left] == ["skipped"] * 2
    assert {run.state.cells[name].status for name in half} == {"skipped"}


@pytest.mark.parametrize("confirms", [False, True])
def test_a_skip_between_two_blocks_is_of_the_candidate_that_was_shown(
    confirms: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, skipped = tune_run.TuneRun._record, []

    def record_and_skip(race: tune_run.TuneRun, block: events.RaceBlock) -> None:
        record(race, block)
        if not skipped and (block.stage == "confirm") is confirms:
            skipped.append(race._recorder.state.current)
            assert race._control is run.conductor.control
            run.ask("skip")

    monkeypatch.setattr(tune_run.TuneRun, "_record", record_and_skip)
    run = Run(tmp_path / "s", build_plan())
    run.run()
    (name,) = skipped
    assert run.ended == ("done", True)
    assert [n for n, own in run.state.cells.items() if own.status == "skipped"] == [name]


@pytest.mark.parametrize("confirms", [False, True])
def test_the_candidate_on_the_screen_is_skipped_while_another_is_at_work(
    confirms: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture is older than the runner: three of twelve presses hit who was not shown."""
    take_turn, skipped = tune_run.TuneRun._take_turn, []

    def take_turn_as_another_is_shown(race: tune_run.TuneRun, *turn: Any) -> None:
        take_turn(race, *turn)
        at_work, stage = turn[1], turn[3]
        now = race._race.race
        arms = choose_arms(now) if confirms else now.running
        others = [n for n in arms if n != at_work and race._get_state(n).samples.role]
        if not skipped and others and (stage == "confirm") is confirms:
            assert race._recorder.state.current == at_work
            skipped.append(others[0])
            assert race._control is run.conductor.control
            run.ask("skip", others[0])

    monkeypatch.setattr(tune_run.TuneRun, "_take_turn", take_turn_as_another_is_shown)
    run = Run(tmp_path / "s", build_plan())
    run.run()
    (on_screen,) = skipped
    assert run.ended == ("done", True)
    assert [n for n, own in run.state.cells.items() if own.status == "skipped"] == [on_screen]
    told = read_all(run.folder)[0]
    (asked,) = (i for i, e in enumerate(told) if isinstance(e, events.Control))
    assert told[asked].cell == on_screen  # type: ignore[union-attr]
    assert on_screen not in [e.cell for e in told[asked:] if isinstance(e, events.Iteration)]
    assert not verify_log(run.folder).wrong


def test_a_default_that_left_the_race_is_skipped_as_it_is_loaded_to_be_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was loaded again: who had left was taken to be at work no more."""
    prepare, skipped = tune_run.TuneRun._prepare, []

    def prepare_one_skipped(race: tune_run.TuneRun, name: str, stage: Stage) -> PooledWorker:
        if stage == "confirm" and race._race.race.candidates[name].left and len(skipped) < 2:
            skipped.append(name)
            race._control.skip_of, race._control.skip = name, True
        return prepare(race, name, stage)

    monkeypatch.setattr(tune_run.TuneRun, "_prepare", prepare_one_skipped)
    run = Run(tmp_path / "s", build_plan(budget_s=1.0))
    run.run()
    assert run.ended == ("done", True) and run.state.race is not None
    (name,) = skipped
    left = run.state.race.race.candidates[name].left
    assert left is not None and left.why == run.state.cells[name].status == "skipped"


def test_a_skip_as_a_race_is_over_is_said_to_do_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def skip_at_the_end(race: Race, loaded: list[str]) -> object:
        step = choose_step(race, loaded)
        if step is None:
            run.ask("skip")
        return step

    monkeypatch.setattr(tune_run, "choose_step", skip_at_the_end)
    run = Run(tmp_path / "s", build_plan())
    run.run()
    assert all(own.status == "ok" for own in run.state.cells.values())
    texts = [line.text for line in run.state.log]
    assert "nothing was skipped: the skip came too late" in texts


@pytest.mark.parametrize("confirms", [False, True])
def test_who_is_skipped_leaves(
    confirms: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_turn, skipped = tune_run.TuneRun._take_turn, []

    def take_turn_of_one_skipped(race: tune_run.TuneRun, *turn: object) -> object:
        if not skipped and bool(race._race.race.confirmations) is confirms:
            skipped.append(turn[1])
            race._control.skip = True
        return take_turn(race, *turn)  # type: ignore[arg-type]

    monkeypatch.setattr(tune_run.TuneRun, "_take_turn", take_turn_of_one_skipped)
    run = Run(tmp_path / "s", build_plan())
    run.run()
    (name,) = skipped
    assert run.ended == ("done", True) and run.state.race is not None
    out = {n: own.left.why for n, own in run.state.race.race.candidates.items() if own.left}
    assert out[name] == "skipped" and [*out.values()].count("skipped") == 1
    assert run.state.cells[name].status == "skipped"
    assert "1 skipped" in format_tuning(run.state)[-1]
    told = read_all(run.folder)[0]
    at = next(i for i, e in enumerate(told) if isinstance(e, events.Standing) and e.cell == name)
    assert not any(isinstance(e, events.CellStarted) and e.cell == name for e in told[at:])
    result = find_result(run.state)
    assert result is not None and name not in result.outcome.arms


def list_uncounted(run: Run) -> set[tuple[str, int]]:
    """Return the calls in the figures of a recorded race that no block which counts has."""
    told = read_all(run.folder)[0]
    counted = {
        (name, i)
        for block in list_blocks(run.folder)
        if block.kept
        for name, places in block.iterations.items()
        for i in places
    }
    return {
        (name, i)
        for name, own in fold_all(told).cells.items()
        for i, role in enumerate(own.samples.role)
        if role == "measured" and i not in own.samples.discarded
    } - counted


@pytest.mark.parametrize("confirms", [False, True])
def test_calls_of_a_turn_that_a_stop_cut_off_are_in_no_figure(
    confirms: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_turn = tune_run.TuneRun._take_turn

    def take_turn_of_a_stop(race: tune_run.TuneRun, *turn: object) -> object:
        if bool(race._race.race.confirmations) is confirms and not race._control.stops:
            race._control.stop("t")
        return take_turn(race, *turn)  # type: ignore[arg-type]

    monkeypatch.setattr(tune_run.TuneRun, "_take_turn", take_turn_of_a_stop)
    run = Run(tmp_path / "s", build_plan())
    run.run()
    assert run.ended == ("stopped", True)
    last = list_blocks(run.folder)[-1]
    assert last.iterations and not last.kept and last.reasons == ["stopped"]
    assert not list_uncounted(run)
    stopped = {n: own.samples.discarded for n, own in run.state.cells.items()}
    monkeypatch.setattr(tune_run.TuneRun, "_take_turn", take_turn)
    assert Conductor(None, run.folder, worker=FAKE, sampler=None).run() == ("done", True)
    resumed = fold_all(read_all(run.folder)[0]).cells
    assert {n: own.samples.discarded for n, own in resumed.items()} == stopped
    assert not list_uncounted(run)


def test_calls_of_a_worker_that_dies_before_it_tells_its_memory_are_in_no_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_memory, killed = tune_run.TuneRun._read_memory, []

    def read_memory_of_one_killed(
        race: tune_run.TuneRun, pooled: PooledWorker, *state: object
    ) -> None:
        if not killed:
            killed.append(pooled)
            pooled.process.signal(signal.SIGKILL)
        read_memory(race, pooled, *state)  # type: ignore[arg-type]

    monkeypatch.setattr(tune_run.TuneRun, "_read_memory", read_memory_of_one_killed)
    run = Run(tmp_path / "s", build_plan())
    run.run()
    first = list_blocks(run.folder)[0]
    assert first.iterations and not first.kept and first.reasons == ["a worker was lost"]
    assert not list_uncounted(run)


def test_a_pause_inside_a_block_of_a_confirmation_discards_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the race has a single turn."""
    take_turn, paused = tune_run.TuneRun._take_turn, []

    def take_turn_before_a_pause(race: tune_run.TuneRun, *turn: object) -> object:
        stage = "confirm" if race._race.race.confirmations else "race"
        if stage not in paused:
            paused.append(stage)
            race._control.paused = True
            threading.Timer(0.05, setattr, (race._control, "paused", False)).start()
        return take_turn(race, *turn)  # type: ignore[arg-type]

    monkeypatch.setattr(tune_run.TuneRun, "_take_turn", take_turn_before_a_pause)
    run = Run(tmp_path / "s", build_plan())
    run.run()
    assert run.ended == ("done", True) and paused == ["race", "confirm"]
    blocks = list_blocks(run.folder)
    (lost,) = [block for block in blocks if not block.kept]
    assert lost.reasons == ["paused"]
    confirmed = [block for block in blocks if block.stage == "confirm"]
    assert confirmed.index(lost) == 1
    assert run.state.race is not None and not run.state.race.repeated
    assert not list_uncounted(run)


def test_each_load_and_turn_has_the_whole_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course: list[str] = []

    def note(owner: type, name: str, letter: str) -> None:
        method = getattr(owner, name)

        def noted(*arguments: object) -> object:
            course.append(letter)
            return method(*arguments)

        monkeypatch.setattr(owner, name, noted)

    note(worker_client.WorkerClient, "start_deadline", "deadline ")
    note(worker_client.WorkerClient, "load", "load ")
    note(tune_run.TuneRun, "_take_turn", "turn ")
    run = Run(tmp_path / "s", build_plan())
    run.run()
    assert run.ended == ("done", True)
    assert {*"".join(course).split("deadline ")} == {"", "load ", "turn ", "load turn "}


@pytest.mark.parametrize("confirms", [False, True])
def test_a_worker_that_dies_once_is_replaced(
    confirms: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_turn, killed = tune_run.TuneRun._take_turn, []

    def take_turn_of_one_killed(
        race: tune_run.TuneRun, pooled: PooledWorker, name: str, *places: object
    ) -> object:
        if not killed and bool(race._race.race.confirmations) is confirms:
            killed.append(name)
            pooled.process.signal(signal.SIGKILL)
        return take_turn(race, pooled, name, *places)  # type: ignore[arg-type]

    monkeypatch.setattr(tune_run.TuneRun, "_take_turn", take_turn_of_one_killed)
    run = Run(tmp_path / "s", build_plan())
    run.run()
    assert run.ended == ("done", True) and run.state.race is not None
    assert len(killed) == 1 and {own.status for own in run.state.cells.values()} == {"ok"}
    whys = {own.left.why for own in run.state.race.race.candidates.values() if own.left}
    assert "failed" not in whys and name_winner(run.state) == ("bf16", 4)
    assert len(run.state.race.race.confirmations) == 1
    (line,) = [line for line in run.state.log if "SIGKILL" in line.text]
    assert line.text == "the worker killed by SIGKILL: a fresh one is loaded"
    assert line.cell == killed[0]
    assert not list_uncounted(run)


def test_a_worker_that_dies_again_costs_the_candidate(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", build_plan("aborts"))
    run.run()
    assert run.ended == ("done", True) and find_result(run.state) is None
    started = [e.cell for e in read_all(run.folder)[0] if isinstance(e, events.CellStarted)]
    for name, own in run.state.cells.items():
        assert own.status == "failed" and started.count(name) == 2
        assert "killed by SIGABRT: line 59" in own.reason
        assert own.finished is not None and own.finished.stderr


def test_a_disturbed_block_costs_what_its_calls_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loads between turns are no measuring; a block that a stop cut off is no repeat."""
    asked: list[tuple[int, float, float]] = []

    def may_repeat(repeated: int, repeated_s: float, calls_s: float, **_: float) -> bool:
        asked.append((repeated, repeated_s, calls_s))
        return len(asked) % 2 == 1

    always = Disturbances(["clock fell from 2000 to 1000 MHz"])
    monkeypatch.setattr(tune_run, "may_repeat_in_race", may_repeat)
    monkeypatch.setattr(tune_run, "find_block_disturbances", lambda *_: always)
    run = Run(tmp_path / "s", build_plan(budget_s=0.1))
    run.run()
    assert run.ended == ("done", True) and run.state.race is not None
    e2e_ns = {name: own.samples.e2e_ns for name, own in run.state.cells.items()}
    took_s = [
        sum(e2e_ns[name][i] for name, places in block.iterations.items() for i in places) / 1e9
        for block in list_blocks(run.folder)
    ]
    assert len(asked) == len(took_s)
    for i, (repeated, repeated_s, calls_s) in enumerate(asked):
        assert (repeated, calls_s) == ((i + 1) // 2, took_s[i])
        assert repeated_s == pytest.approx(sum(took_s[:i:2]))


def test_arms_that_do_not_fit_beside_one_another_are_confirmed_in_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each turn then loads its arm again and is longer, which shows once they were loaded."""
    monkeypatch.setattr(worker_pool, "MAX_WORKERS", 1)
    monkeypatch.setattr(tune_run, "RELOADED_BLOCK_NS", 40_000_000)
    plan = build_plan(budget_s=1.0)
    alike = tuple(cell for cell in plan.cells if cell.precision == "fp32")
    run = Run(tmp_path / "s", msgspec.structs.replace(plan, cells=alike)).start()
    wait_until(lambda: run.state.race and run.state.race.race.confirmations)
    run.conductor.control.stop("the test")
    assert run.join() == ("stopped", True)
    assert all(b.paired for b in list_blocks(run.folder) if b.stage == "confirm")


@pytest.mark.parametrize("why", ["slower", "over the limit"])
def test_a_default_that_dies_as_it_is_confirmed_is_out(
    why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had left the race for what keeps nobody from being confirmed."""
    plan, killed, left_for = build_plan(budget_s=1.0), [], []
    finish = tune_run.TuneRun._record_standing

    def record(self: tune_run.TuneRun, name: str, given: str = "", *rest: str, **more: str) -> None:
        is_default = plan.tuning is not None and name == plan.tuning.default
        left_for.extend([given] * is_default)
        finish(self, name, why if is_default and given == "slower" else given, *rest, **more)

    monkeypatch.setattr(tune_run.TuneRun, "_record_standing", record)
    prepare = tune_run.TuneRun._prepare

    def prepare_and_kill(self: tune_run.TuneRun, name: str, stage: Stage) -> PooledWorker:
        pooled = prepare(self, name, stage)
        if stage == "confirm" and plan.tuning and name == plan.tuning.default:
            killed.append(name)
            pooled.process.process.kill()
            if len(killed) > 8:
                run.conductor.control.stop("the test")
        return pooled

    monkeypatch.setattr(tune_run.TuneRun, "_prepare", prepare_and_kill)
    run = Run(tmp_path / "s", plan).start()
    assert run.join() == ("done", True)
    assert run.state.race is not None and killed
    left = run.state.race.race.candidates[killed[0]].left
    assert left is not None and left.why == "failed" and left_for[0] == "slower"
    assert name_winner(run.state) == ("bf16", 4)


def test_who_makes_nan_leaves_before_its_first_block(tmp_path: Path) -> None:
    """Outputs are not compared: the calls of the warm-up show it."""
    run = Run(tmp_path / "s", build_plan("overflows"))
    run.run()
    assert run.state.race is not None
    left = {
        run.state.cells[name].cell.precision: own.left
        for name, own in run.state.race.race.candidates.items()
        if own.left is not None
    }
    assert left["bf16"].why == "below the floor" and "NaN" in left["bf16"].detail
    assert name_winner(run.state) == ("fp32", 4)
    assert {cell for block in list_blocks(run.folder) for cell in block.iterations} == {
        name for name, own in run.state.cells.items() if own.cell.precision == "fp32"
    }


def test_one_comparison_tells_that_weights_are_random(tmp_path: Path) -> None:
    """The outputs of bf16 and of int8 would else be compared with that of fp32, one by one."""
    cells = expand_matrix(
        models=["untrained"], precisions=["fp32", "bf16", "int8"], sequence_lengths=[8],
        new_tokens=[4],
    )  # fmt: skip
    plan = build_plan()
    plan = msgspec.structs.replace(
        plan,
        cells=cells,
        fidelity_positions=8,
        tuning=msgspec.structs.replace(plan.tuning, default=cells[0].id, budget_s=0.1),
    )
    run = Run(tmp_path / "s", plan)
    run.run()
    compared = [e for e in read_all(run.folder)[0] if isinstance(e, events.Fidelity)]
    assert len(compared) == 1 and run.ended == ("done", True)
    assert all(own.samples for own in run.state.cells.values())


def test_a_candidate_without_the_figure_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No energy is read here: the race ends, and nobody is named."""
    monkeypatch.setattr(turn_energy, "TURN_NS", 1_000_000)
    run = Run(tmp_path / "s", build_plan(objective="energy"))
    assert run.start().join() == ("done", True)
    assert find_result(run.state) is None


def test_a_race_that_goes_on_after_a_confirmation_has_turns_of_a_race(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of energy are longer in a confirmation; where an arm is out, others are raced again."""
    monkeypatch.setattr(turn_energy, "TURN_NS", 5_000_000)
    monkeypatch.setattr(turn_energy, "CONFIRMING_TURN_NS", 60_000_000)
    monkeypatch.setattr(turn_energy, "measure_joules", lambda *_: 1.0)
    choose, again = tune_run.choose_step, []

    def choose_one_again(race: Race, loaded: list[str]) -> object:
        arms = next(iter(race.confirmations), frozenset())
        if arms and not again:
            again.append(next(name for name in race.running if name in arms))
            return Measure("race", (again[0],), 99)
        return choose(race, loaded)

    monkeypatch.setattr(tune_run, "choose_step", choose_one_again)
    run = Run(tmp_path / "s", build_plan(objective="energy"))
    assert run.start().join() == ("done", True)
    (name,), blocks = again, list_blocks(run.folder)
    (late,) = [len(block.iterations[name]) for block in blocks if block.round == 99]
    confirmed = [len(block.iterations[name]) for block in blocks if block.stage == "confirm"]
    assert late < min(confirmed) / 3


@pytest.mark.parametrize("time", ["ttft", "tpot", "e2e"])
def test_who_cannot_be_judged_by_a_limit_leaves(time: LimitedTime, tmp_path: Path) -> None:
    """The streamer lags: no call has a TTFT, and none keeps a limit of it."""
    limit = CallLimit(time=time, share=0.9, most_ms=1e6)
    run = Run(tmp_path / "s", build_plan("lags", limits=(limit,)))
    assert run.start().join() == ("done", True)
    assert run.state.race is not None
    left = {own.left.detail for own in run.state.race.race.candidates.values() if own.left}
    is_judged = time == "e2e"
    assert (find_result(run.state) is not None) is is_judged
    assert (left == {f"no {time.upper()} is measured here"}) is not is_judged


def test_a_stop_ends_a_block_in_the_middle_of_a_long_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_client, "STOP_GRACE_S", 0.1)
    run = Run(tmp_path / "s", build_plan("deaf")).start()
    wait_until(lambda: any(cell.samples for cell in run.state.cells.values()))
    run.conductor.control.stop("the test")
    assert run.join() == ("stopped", True)
    assert list_blocks(run.folder) == []
