"""The result of a race: its report, its exports, its exit code."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from copy import copy
from dataclasses import replace
from typing import Any, Literal

import msgspec
import pytest

from support import race_session, streams
from txtop.analysis.ab_notes import ONE_START
from txtop.analysis.metrics import FinalMetrics, compute_cost
from txtop.analysis.tuning import (
    compute_figure,
    compute_quantile_ms,
    describe_reached,
    explain_below_floor,
    find_nearest,
    find_result,
    find_unit,
)
from txtop.cli.exit_code import EXIT_FAILED, EXIT_INCONCLUSIVE, choose_exit_code
from txtop.cli.progress_lines import describe_activity
from txtop.errors import UsageError
from txtop.export.formats import WRITERS
from txtop.export.text.table import ROUGH_NOTE, format_report
from txtop.export.text.tuning import (
    format_confirmations,
    format_spent,
    format_tuning,
    format_verdict,
    name_candidate,
)
from txtop.formatting import format_clock
from txtop.plan import labels
from txtop.plan.cell import Cell
from txtop.plan.tuning import CallLimit, Objective
from txtop.protocol import events
from txtop.state.cell import CellState, Samples
from txtop.state.fold import fold, fold_all
from txtop.state.quality import Quality, get_quality
from txtop.state.session import SessionState
from txtop.stats.departure import UNFIT
from txtop.stats.exceedance import Exceedance
from txtop.stats.sequential import FIRST_LOOK
from txtop.units import NS_PER_S


@pytest.fixture(scope="module")
def over() -> SessionState:
    return fold_all(list(race_session.Race().events()))


def test_the_report_says_what_to_deploy_and_how_sure_that_is(over: SessionState) -> None:
    text = format_report(over, FinalMetrics(), "night")
    assert "most tokens/s of gpt2, E2E p90 below 2,500 ms, quality at least minor, in 4 GiB" in text
    assert "bf16 · sdpa · b16" in text and "confirmed" in text
    assert "x as fast as today's default, fp32 · sdpa · b1 [" in text
    assert "3 blocks  95 %, assumes normal noise" in text
    assert "keeps: 32 of 32 calls within E2E 2,500 ms, output" in text
    gain = "11.9x as fast as today's default [10.56, 13.40]"
    brings = f"bf16 · sdpa · b32 would be {gain} (17 of 26 calls within it)"
    assert f"limited by E2E p90 below 2,500 ms: {brings}" in text
    assert (
        "limited by quality: int8" in text and "▲ visible 0.03), its speed was not measured" in text
    )
    assert "race: 24 candidates: " in text and "1 remaining, 1 over a limit so far" in text
    assert "txtop export night --format python" in text
    serve = "serve: OMP_NUM_THREADS=2 transformers serve openai-community/gpt2 --dtype bfloat16"
    assert serve in text, "a server that is told nothing takes every core"


def test_a_program_is_offered_only_where_there_is_one(over: SessionState) -> None:
    result, state = find_result(over), copy(over)
    assert result is not None
    cell = msgspec.structs.replace(result.winner.cell, parallel="tp=2")
    state.cells = over.cells | {cell.id: replace(result.winner, cell=cell)}
    text = format_report(state, FinalMetrics(), "night")
    assert "export night --format plan" in text and "--format python" not in text


@pytest.mark.parametrize(
    "objective", ["tokens_per_s", "decode_tokens_per_s", "ttft", "e2e", "cost"]
)
def test_the_objective_is_the_figure_of_the_table(over: SessionState, objective: Objective) -> None:
    tuning = msgspec.structs.replace(over.plan.tuning, objective=objective)
    plan = msgspec.structs.replace(over.plan, tuning=tuning, cost_per_hour=3.6)
    state = copy(over)
    state.header = msgspec.structs.replace(over.header, plan=plan)
    finals, key = FinalMetrics(), objective if objective.endswith("per_s") else f"{objective}_ms"
    raced = [own for own in over.cells.values() if own.over and own.samples.kept()]
    for own in raced:
        if objective == "cost":
            expected = compute_cost(own, finals.of(own), 3.6)["cost_per_million_tokens"].mean
        else:
            expected = finals.of(own)[key].mean
        assert compute_figure(state, own) == pytest.approx(expected, rel=1e-12)


@pytest.fixture
def metered(monkeypatch: pytest.MonkeyPatch) -> SessionState:
    """Return a race for the least energy, of calls that are long enough, on a host of 50 W."""
    monkeypatch.setattr(race_session, "MS", 5 * race_session.MS)
    header, *course = race_session.Race(upset=True).events()
    assert isinstance(header, events.SessionHeader)
    tuning = msgspec.structs.replace(header.plan.tuning, objective="energy")
    plan = msgspec.structs.replace(header.plan, tuning=tuning)
    read = [
        events.Telemetry(t_ns=at_ns, device="host", values={"energy_j": 50 * at_ns / NS_PER_S})
        for at_ns in range(0, course[-1].t_ns + NS_PER_S, NS_PER_S // 5)
    ]
    blocks = [
        msgspec.structs.replace(event, joules=dict.fromkeys(event.iterations, 1.0))
        if isinstance(event, events.RaceBlock)
        else event
        for event in course
    ]
    stream = sorted([*read, *blocks], key=lambda event: event.t_ns)
    return fold_all([msgspec.structs.replace(header, plan=plan), *stream])


def test_the_energy_of_a_candidate_is_that_of_the_table(metered: SessionState) -> None:
    """It is withheld of too few turns, with the reason."""
    export = json.loads(WRITERS["json"](metered, FinalMetrics()))
    tabled = {
        own["id"]: own["metrics"]["energy_j_per_token"] for own in export["cells"] if own["metrics"]
    }
    has_figure = set()
    for name, own in metered.cells.items():
        figure = compute_figure(metered, own)
        has_figure.add(figure is not None)
        expected = tabled[name]["mean"] if name in tabled else None
        assert figure == (expected and pytest.approx(expected))
    assert has_figure == {True, False}
    winner = export["tuning"]["winner"]
    assert export["tuning"]["value"] == pytest.approx(tabled[winner]["mean"])
    assert "no J/tok" not in "\n".join(format_tuning(metered))
    del metered.devices["host"].series["energy_j"][0][10:]
    del metered.devices["host"].series["energy_j"][1][10:]
    assert "no J/tok: neither energy nor power was read" in "\n".join(format_tuning(metered))


def test_a_default_that_is_faster_is_named_with_the_limit_that_it_does_not_keep() -> None:
    state = fold_all(list(race_session.Race().events()))
    result = find_result(state)
    assert result is not None and state.race is not None
    state.race.race.candidates[state.race.tuning.default].calls[0].over = 20
    slower = replace(result, outcome=replace(result.outcome, gain="slower", close=None))
    assert format_verdict(state, slower) == (
        "slower than today's default, which does not keep E2E p90 below 2,500 ms"
    )


def test_a_comparison_without_a_usable_interval_claims_no_95_percent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = fold_all(list(race_session.Race().events()))
    result = find_result(state)
    assert result is not None and state.race is not None
    assert "95 %" in format_confirmations(state, state.race, result)[0]
    monkeypatch.setattr("txtop.export.text.tuning.is_rough", lambda interval: True)
    line = format_confirmations(state, state.race, result)[0]
    assert line.endswith("too few for an interval") and "95 %" not in line and "[" not in line


def test_without_a_difference_it_is_said_once_and_whether_to_switch() -> None:
    state = fold_all(list(race_session.Race(upset=True).events()))
    result = find_result(state)
    assert result is not None and state.race is not None and result.outcome.gain == "faster"
    tuning = msgspec.structs.replace(state.race.tuning, objective="cost")
    race = replace(state.race, tuning=tuning)
    outcome = replace(result.outcome, gain="inconclusive", close="inconclusive")
    same = replace(result, outcome=outcome)
    assert format_verdict(state, same) == "no difference shown: today's default may stay"
    line, *_ = format_confirmations(state, race, same)
    assert "x as cheap as today's default, " in line and "no difference" not in line
    line = format_confirmations(
        state, race, replace(result, outcome=replace(outcome, gain="faster"))
    )[1]
    assert "no difference shown against the runner-up, " in line and "x as cheap [" in line
    alone = replace(same, outcome=replace(outcome, gain=None))
    assert format_verdict(state, alone).endswith(": not compared with today's default")
    itself = replace(same, outcome=replace(outcome, winner=tuning.default))
    assert format_verdict(state, itself) == "no difference shown"
    state = fold_all(list(race_session.Race().events()))
    assert state.race is not None
    state.race.race.candidates[tuning.default].calls[0].over = 20
    broken = "no difference shown, but today's default does not keep E2E p90 below 2,500 ms"
    assert format_verdict(state, same) == broken


def test_a_speed_of_one_block_is_marked_and_explained_and_has_its_interval_in_json() -> None:
    state = fold_all(list(race_session.Race().events()))
    assert state.race is not None
    race = state.race.race
    result = find_result(state)
    assert result is not None
    own = result.bindings[0].own.cell.id
    assert "≈" not in format_report(state, FinalMetrics(), "")
    for number in list(race.candidates[own].costs)[1:]:
        del race.candidates[own].costs[number]
    text = format_report(state, FinalMetrics(), "")
    assert (
        text.count("≈12x") == 2
        and f"{labels.format_short_label(state.cells[own].cell)}: {ROUGH_NOTE}" in text
    )
    assert "would be ≈12x as fast as today's default (17 of 26 calls" in text
    exported = json.loads(WRITERS["json"](state, FinalMetrics()))["tuning"]["bindings"]
    assert exported[0]["cell"] == own and exported[0]["ci95"] is None
    assert all(binding.keys() == exported[0].keys() for binding in exported)


def test_an_output_beyond_a_kld_says_what_the_figure_is(over: SessionState) -> None:
    state = copy(over)
    tuning = msgspec.structs.replace(over.plan.tuning, floor_kld=0.01)
    plan = msgspec.structs.replace(over.plan, tuning=tuning)
    state.header = msgspec.structs.replace(over.header, plan=plan)
    name = next(n for n, own in over.cells.items() if own.cell.precision == "int8")
    why = "its output differs from the reference by 0.03 nats (mean KLD)"
    assert explain_below_floor(state, name) == why


def test_the_winner_is_exported_with_those_that_left(over: SessionState) -> None:
    tuning = json.loads(WRITERS["json"](over, FinalMetrics()))["tuning"]
    result = find_result(over)
    assert result is not None
    assert tuning["winner"] == result.winner.cell.id
    assert tuning["shows_difference"] is True
    (confirmation, *_) = tuning["confirmations"]
    assert confirmation["against"] == tuning["default"] and confirmation["verdict"] == "faster"
    low, high = confirmation["ci95"]
    assert low < confirmation["ratio"] < high
    whys = {own["left"] for own in tuning["candidates"]}
    assert {"slower", "over the limit", "does not fit", "below the floor"} <= whys
    timed = [own for own in tuning["candidates"] if own["left"] == "below the floor"]
    assert timed and all(own["blocks"] == 0 for own in timed)
    compile(tuning["python"], "program.py", "exec")


def test_the_plan_and_the_program_are_those_of_the_winner(over: SessionState) -> None:
    plan = tomllib.loads(WRITERS["plan"](over, FinalMetrics()).decode())
    assert plan["precisions"] == ["bf16"] and plan["batch_sizes"] == [16]
    program = WRITERS["python"](over, FinalMetrics()).decode()
    assert '"openai-community/gpt2"' in program.replace("'", '"')
    assert "dtype=torch.bfloat16" in program and "(16, 128)" in program
    assert "txtop" not in program


def test_a_session_that_races_nothing_names_nobody() -> None:
    plan = msgspec.structs.replace(race_session.build_plan(), tuning=None)
    plain = fold_all([race_session.ui_events.header(plan)])
    for name in ("python", "plan"):
        with pytest.raises(UsageError, match=r"no configuration is named.* txtop tune MODEL"):
            WRITERS[name](plain, FinalMetrics())


@pytest.mark.parametrize(
    ("reason", "hint"), [("stopped", "txtop resume .* goes on"), ("done", "txtop show .* says why")]
)
def test_a_race_that_named_nobody_says_why(reason: Literal["done", "stopped"], hint: str) -> None:
    state = fold_all(list(race_session.Race(steps=0).events()))
    fold(
        state,
        events.SessionEnded(
            t_ns=state.clock_ns, reason=reason, wall_s=0.0, statistics_version=4, sha256=""
        ),
    )
    for name in ("python", "plan"):
        with pytest.raises(UsageError, match=f"named: nothing was measured: {hint}"):
            WRITERS[name](state, FinalMetrics())


def test_the_command_measures_the_winner_again(over: SessionState) -> None:
    text = format_report(over, FinalMetrics(), "night")
    line = next(line for line in text.splitlines() if "measure again:" in line)
    arguments = shlex.split(line.partition(": ")[2])
    assert arguments[:4] == ["txtop", "run", "--models", "gpt2"]
    assert arguments[arguments.index("--precisions") + 1] == "bf16"
    assert arguments[arguments.index("--batch-sizes") + 1] == "16"


def end(state: SessionState, reason: str = "done") -> SessionState:
    fold(
        state,
        events.SessionEnded(
            t_ns=state.clock_ns,
            reason=reason,
            wall_s=0.0,
            statistics_version=1,
            sha256="",  # type: ignore[arg-type]
        ),
    )
    return state


def test_exit_codes_of_a_race(over: SessionState) -> None:
    """Candidates that leave are no failure, nobody to name is one; 3 where nothing is confirmed."""
    assert choose_exit_code(over, recorded=True, last_line="") == 0
    header = race_session.ui_events.header(race_session.build_plan())
    nobody = end(fold_all([header]))
    assert choose_exit_code(nobody, recorded=True, last_line="") == EXIT_FAILED
    open_ = fold_all(list(race_session.Race().events()))
    assert open_.race is not None
    for left in (1, 0):
        for confirmation in open_.race.race.confirmations.values():
            del confirmation.blocks[left:]
        assert choose_exit_code(open_, recorded=True, last_line="") == EXIT_INCONCLUSIVE, left
    stopped = end(fold_all([header]), "stopped")
    assert choose_exit_code(stopped, recorded=True, last_line="") == 130


def test_a_winner_has_the_badge_of_the_table(
    over: SessionState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks come before the distance of outputs, in the result as in the table."""
    monkeypatch.setattr(Quality, "forms", ("the badge",))
    lines = format_report(over, FinalMetrics(), "night").splitlines()
    assert any("keeps:" in line and "output the badge" in line for line in lines)


def test_an_encoder_has_no_new_tokens_before_it_is_loaded_either() -> None:
    header = race_session.ui_events.header(race_session.build_plan())
    assert isinstance(header, events.SessionHeader)
    assert "32 new tokens" in format_report(fold_all([header]), FinalMetrics(), "")
    expected = {cell.id: events.Expected(family="encoder") for cell in header.plan.cells}
    told = fold_all([msgspec.structs.replace(header, expected=expected)])
    assert "new tokens" not in format_report(told, FinalMetrics(), "")


def test_a_comparison_says_how_long_it_takes_once_a_third_is_done() -> None:
    header = race_session.ui_events.header(race_session.build_plan())
    state = fold_all([header])
    reference, cell = list(state.cells)[:2]
    progress = []
    for at_s, done in ((10, 0), (40, 32), (70, 40)):
        at_ns = header.t_ns + at_s * NS_PER_S
        fold(
            state,
            events.FidelityProgress(
                t_ns=at_ns, cell=cell, reference=reference, done=done, total=100
            ),
        )
        progress.append(describe_activity(state).partition("its output, ")[2])
    assert progress == ["0 %", "32 %", "40 %, about 2 min left"]


def test_random_weights_have_one_wording_in_the_whole_report() -> None:
    """One candidate was compared, which told it; the others were loaded."""
    over = fold_all(list(race_session.Race(weights="random").events()))
    text = format_report(over, FinalMetrics(), "night")
    heading = next(line for line in text.splitlines() if line.startswith("most tokens/s"))
    assert heading == "most tokens/s of gpt2, E2E p90 below 2,500 ms, in 4 GiB:"
    assert "2,500 ms, memory" in text
    assert "not checked" not in text and "int8" in text
    for name, own in over.cells.items():
        assert get_quality(over, name).badge == "unknown", own.cell


def test_the_floor_of_random_weights_is_not_in_the_heading_before_anything_is_loaded() -> None:
    told = fold_all(list(race_session.Race(0, weights="random").events()))
    heading, *lines = format_tuning(told)
    assert not told.loads and "quality at least" not in heading
    assert "  not judged, as the weights are random: quality at least minor" in lines
    untold = fold_all([race_session.ui_events.header(race_session.build_plan())])
    assert "quality at least minor" in "\n".join(format_tuning(untold))


def test_the_html_report_says_what_to_deploy(over: SessionState) -> None:
    from txtop.export.html.page import render_page

    text = render_page(over, FinalMetrics(), "night").decode()
    assert "What to deploy" in text and "bf16 · sdpa · b16" in text
    assert "measure again: txtop run --models gpt2" in text and "txtop export night" in text
    assert "limited by E2E p90 below 2,500 ms" in text
    names = re.findall(
        r"<div class='?card.*?<div class=name>(.*?)</div>(.)", text.replace("\n", "")
    )
    assert over.race is not None
    race = over.race.race
    named = find_result(over)
    assert named is not None and names[0][0] == labels.format_short_label(named.winner.cell)
    ranked = [labels.format_short_label(over.cells[n].cell) for n in race.rank(race.candidates)]
    own = names[0][0]
    assert [name for name, _ in names[1:]] == [n for n in ranked if n != own][: len(names) - 1]
    assert text.count("named: confirmed") == 1


@pytest.mark.parametrize(("objective", "unit"), [("energy", "J/seq"), ("cost", "$/Mseq")])
def test_the_work_of_an_encoder_is_counted_in_sequences(objective: Objective, unit: str) -> None:
    encoder, decoder = (
        CellState(Cell(id="c001", model="m"), load=streams.load(0, "c001", family=family))
        for family in ("encoder", "causal")
    )
    assert find_unit(objective, encoder) == unit
    assert find_unit(objective, decoder) == unit.replace("seq", "tok") == find_unit(objective, None)


def test_a_race_that_was_stopped_says_neither_limits_nor_an_end() -> None:
    plan = race_session.build_plan()
    plan = msgspec.structs.replace(plan, tuning=msgspec.structs.replace(plan.tuning, limits=()))
    stopped = end(fold_all([race_session.ui_events.header(plan)]), "stopped")
    text = format_report(stopped, FinalMetrics(), "night")
    assert "no configuration can be named: nothing was measured" in text
    assert "0 still in, 24 not timed" in text and "0 left" not in text


def test_those_that_are_in_and_were_not_timed_are_counted_apart() -> None:
    state = end(fold_all(list(race_session.Race(steps=5).events())), "stopped")
    assert state.race is not None
    race = state.race.race
    timed = [name for name in race.running if race.candidates[name].costs]
    keeping, untimed = sum(map(race.keeps_limits, timed)), len(race.running) - len(timed)
    assert 0 < keeping < len(timed) and untimed
    over = f"{len(timed) - keeping} over a limit so far"
    counts = f"{keeping} still in, {over}, {untimed} not timed"
    assert counts in format_report(state, FinalMetrics(), "night")


def test_the_memory_that_a_winner_keeps_looks_unlike_the_one_asked_for(over: SessionState) -> None:
    result = find_result(over)
    assert result is not None and result.winner.peak_bytes is not None and over.race is not None
    tuning = msgspec.structs.replace(
        over.race.tuning, memory_bytes=round(result.winner.peak_bytes) + (1 << 20)
    )
    state = copy(over)
    state.race = replace(over.race, tuning=tuning)
    (kept,) = (line for line in format_tuning(state) if "keeps:" in line)
    figures = re.search(r"memory ([\d.]+) of ([\d.]+) GiB", kept)
    assert figures is not None and float(figures[1]) < float(figures[2])


def test_a_budget_that_the_race_found_is_stated_from_then_on_and_over_it_too() -> None:
    plan = race_session.build_plan()
    tuning = msgspec.structs.replace(plan.tuning, budget_s=None)
    header = race_session.ui_events.header(msgspec.structs.replace(plan, tuning=tuning))
    race = fold_all([header]).race
    assert race is not None
    names, at = list(race.race.candidates), race.race
    for name in names[:-1]:
        at.add_block(name, 0, 0.0, 1.0)
        assert format_spent(race) == f"00:{at.spent_s:02.0f} measured"
    at.add_block(names[-1], 0, 0.0, 1.0)
    total = format_clock(at.budget_s * NS_PER_S)
    assert format_spent(race) == f"00:24 of {total} measured"
    at.add_lost("race", names[:1], 300.0, paired=False)
    # `05:24 of 00:32 measured` looked like a fault of the clock.
    over = format_clock(round(324 - at.budget_s) * NS_PER_S)
    assert format_spent(race) == f"05:24 measured, {over} over budget"


def test_a_race_that_nobody_could_run_says_why() -> None:
    plan = race_session.build_plan()
    why = "gpt3 is neither a local path nor built in"
    refused = [
        events.CellRejected(t_ns=10 + i, cell=cell.id, reason=why, hint="")
        for i, cell in enumerate(plan.cells)
    ]
    state = end(fold_all([race_session.ui_events.header(plan), *refused]), "done")
    text = format_report(state, FinalMetrics(), "night")
    assert f"was measured\n  today's default: {why}" in text


def test_a_small_gain_of_one_process_each_has_a_note() -> None:
    """The runner-up is beaten by a tenth at the most: two equal processes may differ by that."""
    state = fold_all(list(race_session.Race(upset=True).events()))
    text = format_report(state, FinalMetrics(), "")
    assert text.count(ONE_START) == 1
    confirmations = json.loads(WRITERS["json"](state, FinalMetrics()))["tuning"]["confirmations"]
    noted = {round(own["ratio"], 1) for own in confirmations if ONE_START in own["notes"]}
    assert noted == {1.1} and len(confirmations) == 2


def miss_limits(state: SessionState, *limits: CallLimit) -> None:
    """Give a race limits that no candidate keeps."""
    race = state.race
    assert race is not None
    race.tuning = msgspec.structs.replace(race.tuning, limits=limits)
    race.race.rules = replace(race.race.rules, shares=tuple(limit.share for limit in limits))
    for own in race.race.candidates.values():
        own.calls = [Exceedance(own.calls[0].n, own.calls[0].n) for _ in limits]


def test_where_nobody_keeps_the_limits_the_nearest_is_named_with_its_distance() -> None:
    state = fold_all(list(race_session.Race().events()))
    wide = CallLimit(time="e2e", share=0.9, most_ms=200.0)
    near = msgspec.structs.replace(wide, share=0.5, most_ms=100.0)
    miss_limits(state, wide, near)
    assert find_result(state) is None and state.race is not None
    fit = [
        own.name
        for own in state.race.race.candidates.values()
        if own.costs and not (own.left and own.left.why in UNFIT)
    ]
    reached = {name: compute_quantile_ms(state.cells[name], near) or 0.0 for name in fit}
    name = min(reached, key=reached.__getitem__)
    text = format_report(state, FinalMetrics(), "")
    n = state.race.race.candidates[name].calls[0].n
    named = re.escape(name_candidate(state, state.cells[name]))
    reach = rf"\d+ of {n} calls within E2E 100 ms, median [\d,]+ ms; .* 200 ms"
    assert re.search(rf"named: none keeps the limits\n  nearest: {named}, {reach}", text)
    assert "over E2E p90 and E2E p50" in text and "over the limit" not in text.split("status")[1]
    tuning = json.loads(WRITERS["json"](state, FinalMetrics()))["tuning"]
    first, second = tuning["nearest"]
    assert first["cell"] == second["cell"] == name and tuning["winner"] is None
    assert (first["limit"], second["limit"]) == ("E2E p50 below 100 ms", "E2E p90 below 200 ms")
    assert (first["reached_ms"], first["most_ms"]) == (pytest.approx(reached[name]), 100.0)
    left = {own.left.why: own for own in state.race.race.candidates.values() if own.left}
    assert left["slower"].costs
    for calls in left["slower"].calls:
        calls.over = 0
    assert find_nearest(state) is None, "it comes back, so that somebody keeps the limits"


def test_who_left_over_a_limit_has_the_figures_of_all_its_calls() -> None:
    """The default is confirmed against, so that it has more calls than those for which it left."""
    state = fold_all(list(race_session.Race().events()))
    assert state.race is not None
    name = state.race.tuning.default
    fold(
        state,
        events.Standing(
            t_ns=state.clock_ns, cell=name, why="over the limit", detail="0 of 3 calls within it"
        ),
    )
    (own,) = (
        own
        for own in json.loads(WRITERS["json"](state, FinalMetrics()))["tuning"]["candidates"]
        if own["cell"] == name
    )
    n = state.race.race.candidates[name].calls[0].n
    assert n > 3 and own["detail"] == f"{n} of {n} calls within E2E 2,500 ms"


def leave_untimed(state: SessionState) -> str:
    """Take out a candidate that was never timed, as behind the leader. Return its name."""
    race = state.race
    assert race is not None
    name = next(own.name for own in race.race.candidates.values() if not own.costs)
    event = events.Standing(
        t_ns=state.clock_ns, cell=name, why="halved", against=race.race.leader or ""
    )
    fold(state, event)
    return name


def test_who_was_never_timed_has_no_ratio() -> None:
    state = fold_all(list(race_session.Race(steps=100).events()))
    name = leave_untimed(state)
    exported = json.loads(WRITERS["json"](state, FinalMetrics()))["tuning"]["candidates"]
    (own,) = (own for own in exported if own["cell"] == name)
    assert own["left"] == "behind" and own["against"] and own["blocks"] == 0
    assert own["ratio"] is own["ci95"] is own["against_ratio"] is own["against_ci95"] is None


def test_a_confirmation_whose_blocks_were_all_lost_has_shown_nothing() -> None:
    state = fold_all(list(race_session.Race().events()))
    assert state.race is not None
    for confirmation in state.race.race.confirmations.values():
        confirmation.blocks.clear()
    result = find_result(state)
    assert result is not None and result.outcome.gain is result.outcome.close is None
    text = "\n".join(format_tuning(state))
    assert "not confirmed" in text and "1.00x" not in text
    assert format_confirmations(state, state.race, result) == []
    assert json.loads(WRITERS["json"](state, FinalMetrics()))["tuning"]["confirmations"] == []


@pytest.mark.parametrize("reason", ["", "stopped"])
def test_a_confirmation_that_is_cut_short_is_exported_and_has_no_verdict(
    reason: Literal["", "stopped"],
) -> None:
    story = list(race_session.Race(upset=True).events())
    confirming = [i for i, e in enumerate(story) if getattr(e, "stage", "") == "confirm"]
    state = fold_all(story[: confirming[2] + 1])
    if reason:
        state = end(state, reason)
    exported = json.loads(WRITERS["json"](state, FinalMetrics()))["tuning"]
    assert {(own["blocks"], own["verdict"]) for own in exported["confirmations"]} >= {(3, None)}
    assert "3 blocks, not judged yet" in "\n".join(format_tuning(state))


def confirm(state: SessionState, *, kept: bool = True, **changes: Any) -> dict[str, Any]:
    """Add a block like the last of the confirmation. Return the exported race."""
    assert state.race is not None
    block = msgspec.structs.replace(state.race.blocks[-1], kept=kept, **changes)
    assert block.stage == "confirm"
    fold(state, block)
    tuning: dict[str, Any] = json.loads(WRITERS["json"](state, FinalMetrics()))["tuning"]
    return tuning


def test_the_interval_of_few_blocks_assumes_normal_noise_in_text_and_in_json() -> None:
    state = fold_all(list(race_session.Race().events()))
    for number in range(4, 11):
        (own,) = confirm(state)["confirmations"]
        is_few = number < FIRST_LOOK
        remark = "assumes normal noise" if is_few else "holds however often you check"
        assert own["blocks"] == number
        assert own["notes"] == ["assumes normal noise"] * is_few
        assert f"{number} blocks  95 %, {remark}" in "\n".join(format_tuning(state))
    assert state.race is not None
    for confirmation in state.race.race.confirmations.values():
        confirmation.paired = True
    assert "10 blocks  95 %, assumes normal noise" in "\n".join(format_tuning(state))


def test_a_confirmation_on_a_busy_machine_says_so_in_text_and_in_json() -> None:
    state = fold_all(list(race_session.Race().events()))
    taken = [events.Contention(kind="others", size=1.0)]
    before = json.loads(WRITERS["json"](state, FinalMetrics()))["tuning"]
    lost = confirm(state, kept=False, contention=taken)
    assert (before["blocks_discarded"], lost["blocks_discarded"]) == (0, 1)
    assert lost["confirmations"] == before["confirmations"]
    assert before["measured_s"] < lost["measured_s"] < lost["budget_s"] == 240.0
    (own,) = confirm(state, contention=taken)["confirmations"]
    assert own["notes"] == ["assumes normal noise", "on a busy machine"]
    assert "95 %, assumes normal noise, on a busy machine" in "\n".join(format_tuning(state))


def test_a_percentile_is_stated_from_its_floor_on(over: SessionState) -> None:
    """The largest of fewer is every high percentile: it is said how many kept the limit."""
    tuning = over.plan.tuning
    assert tuning is not None
    own = next(c for c in over.cells.values() if len(c.samples.kept()) > 3)
    limit = tuning.limits[0]
    few = describe_reached(own, limit)
    assert re.fullmatch(r"\d+ of \d+ calls within E2E 2,500 ms", few), few
    for role in range(64):
        own.samples.role.append("measured")
        own.samples.e2e_ns.append(10**9 * (1 + role % 2))
        own.samples.tokens.append(1)
        own.samples.ttft_ns.append(1)
    n = sum(role == "measured" for role in own.samples.role)
    assert describe_reached(own, limit) == f"E2E p90 2,000 ms over {n} calls, limit 2,500 ms"


@pytest.mark.parametrize(("share", "n", "beyond"), [(99.9 / 100, 1000, 1), (0.55, 100, 45)])
def test_a_limit_that_is_kept_has_its_time_within_it(
    over: SessionState, share: float, n: int, beyond: int
) -> None:
    limit = CallLimit(time="e2e", share=share, most_ms=1500.0)
    own = next(c for c in over.cells.values() if c.samples.kept())
    own.samples = Samples()
    for place in range(n):
        own.samples.role.append("measured")
        own.samples.e2e_ns.append(10**9 * (1 + (place < beyond)))
        own.samples.tokens.append(1)
        own.samples.ttft_ns.append(1)
    assert Exceedance(n, beyond).is_kept(share)
    assert compute_quantile_ms(own, limit) == 1000.0
