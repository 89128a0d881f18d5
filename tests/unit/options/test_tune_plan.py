"""The space of a race, its limits and its objective, as they are typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support import tiny_models
from txtop.errors import UsageError
from txtop.models import decoding_rules, precision_needs
from txtop.options.fit_options import build_base_cell
from txtop.options.tune_options import TuneRuleOptions
from txtop.options.tune_plan import (
    build_tune_plan,
    parse_floor,
    parse_limits,
    parse_objective,
    parse_space,
)
from txtop.plan.plan import Plan
from txtop.plan.tuning import CallLimit
from txtop.system import cpu

SMALL = {"sequence_length": 16, "new_tokens": 8, "device": "cpu"}


def build(space: list[str] | None = None, fixed: dict[str, object] | None = None) -> Plan:
    return build_tune_plan("gpt2", {**SMALL, **(fixed or {})}, TuneRuleOptions(space=space))


def test_the_usual_space_has_every_knob_that_may_be_faster_here() -> None:
    plan = build()
    assert len({cell.precision for cell in plan.cells}) >= 2
    assert {cell.attention for cell in plan.cells} == {"sdpa", "eager"}
    assert {cell.batch_size for cell in plan.cells} == {1, 8, 32}
    assert {(cell.cache, cell.compile) for cell in plan.cells} == {
        ("dynamic", "none"),
        ("static", "none"),
        ("static", "default"),
    }
    first = plan.cells[0]
    assert plan.tuning is not None and plan.tuning.default == first.id
    assert (first.precision, first.attention, first.batch_size) == ("fp32", "sdpa", 1)
    assert len(plan.cells) >= 24


def test_the_usual_space_of_an_encoder_has_no_cache_and_compiles() -> None:
    lines: list[str] = []
    fixed = {"sequence_length": 16, "device": "cpu", "weights": "random"}
    cells = build_tune_plan("bert-base-uncased", fixed, TuneRuleOptions(), lines.append).cells
    assert {(cell.cache, cell.compile) for cell in cells} == {
        ("dynamic", "none"),
        ("dynamic", "default"),
    }
    assert not any("cache" in line for line in lines)


def test_todays_default_takes_part_though_the_space_has_it_not() -> None:
    plan = build(["precisions=bf16", "batch-sizes=2,4"])
    cells = [(cell.precision, cell.batch_size) for cell in plan.cells]
    assert cells == [("fp32", 1), ("bf16", 2), ("bf16", 4)]


def test_a_knob_that_is_fixed_has_that_value_in_all() -> None:
    plan = build(fixed={"batch_size": 4})
    assert {cell.batch_size for cell in plan.cells} == {4}
    with pytest.raises(UsageError, match="--batch-size and batch-sizes in --space contradict"):
        build(["batch-sizes=1,2"], {"batch_size": 4})


def test_a_latency_is_raced_at_one_batch() -> None:
    plan = build_tune_plan("gpt2", SMALL, TuneRuleOptions(minimise="tpot"))
    assert {cell.batch_size for cell in plan.cells} == {1}


def test_values_of_a_space_are_those_of_run() -> None:
    assert parse_space(["precisions=fp32,bf16 batch-sizes=1-8*2", "threads=1,2"]) == {
        "precision": ["fp32", "bf16"],
        "batch_size": [1, 2, 4, 8],
        "threads": [1, 2],
    }
    assert parse_space(["precisions=fp32,", "bf16 , int8"]) == {
        "precision": ["fp32", "bf16", "int8"]
    }


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("precision=bf16", "no option 'precision'"),
        ("models=gpt2", "no option 'models'"),
        ("precisions=fp7", "no precision 'fp7'"),
        ("precisions", "sets nothing"),
        ("precisions=fp32,", "'precisions=fp32,' sets nothing"),
        ("batch-sizes=0", "0 is not between"),
        ("threads=1 threads=2", "threads is given twice"),
    ],
)
def test_a_space_that_cannot_be_read_is_refused(text: str, cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        build([text])


@pytest.mark.parametrize(
    ("text", "cause", "step"),
    [
        ("sequence-lengths=16,32", "sequence-lengths are", "--sequence-length 16"),
        ("--new_tokens=8-64*2", "new_tokens are", "--new-tokens 8"),
        ("prompts=mine.txt", "prompts are", "--prompts mine.txt"),
        ("chat-template=auto,off", "chat-template is", "--chat-template auto"),
    ],
)
def test_a_space_of_different_work_is_refused(text: str, cause: str, step: str) -> None:
    """The shorter prompt would be the best to deploy."""
    with pytest.raises(UsageError) as refused:
        build(["precisions=fp32,bf16", text])
    assert refused.value.cause == f"--space: {cause} the work itself, not a way to do it"
    assert refused.value.hint == step


def test_batches_are_raced_for_a_latency_where_they_are_asked_for() -> None:
    rules = TuneRuleOptions(minimise="e2e", space=["batch-sizes=1,2"])
    assert [c.batch_size for c in build_tune_plan("gpt2", SMALL, rules).cells] == [1, 2]


def test_a_race_needs_two_candidates() -> None:
    with pytest.raises(UsageError, match="a race needs two candidates"):
        build(["precisions=fp32"])


def test_candidates_that_run_the_same_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default keeps its name, and the usual space has no such pair."""
    monkeypatch.setattr(cpu, "choose_thread_count", lambda: 2)
    monkeypatch.setattr(cpu, "count_allowed_cores", lambda: 4)
    plan = build(["threads=1,2,4"])
    assert [cell.threads for cell in plan.cells] == [None, 1, 4]
    lines: list[str] = []
    plan = build_tune_plan("gpt2", SMALL, TuneRuleOptions(), lines.append)
    assert {cell.threads for cell in plan.cells} == {None, 4}
    assert not any("the same here" in line for line in lines)


def test_random_weights_have_no_quality_to_check() -> None:
    lines: list[str] = []
    fixed = {**SMALL, "weights": "random"}
    plan = build_tune_plan("gpt2", fixed, TuneRuleOptions(), lines.append)
    assert plan.tuning is not None and plan.tuning.floor is None
    assert "quality is not checked: random weights have none to lose" in lines
    kept = build().tuning
    assert kept is not None and kept.floor == "minor"


def test_what_is_not_in_a_budget_is_said_before_the_start() -> None:
    lines: list[str] = []
    rules = TuneRuleOptions(space=["batch-sizes=1,8"], budget_s=60.0)
    build_tune_plan("gpt2", SMALL, rules, lines.append)
    assert "--budget counts measuring alone, not loading and warming up 2 candidates" in lines
    lines.clear()
    build_tune_plan("gpt2", SMALL, TuneRuleOptions(space=rules.space), lines.append)
    assert not any("--budget" in line for line in lines)


def test_limits_are_of_a_percentile() -> None:
    assert parse_limits("ttft:p90<200ms, tpot:p99<=0.05s,e2e<2s") == (
        CallLimit(time="ttft", share=0.9, most_ms=200),
        CallLimit(time="tpot", share=0.99, most_ms=50),
        CallLimit(time="e2e", share=0.9, most_ms=2000),
    )
    assert parse_limits(None) == ()
    for text in ("ttft", "ttft:p0<1ms", "itl<3ms", "ttft<0", "ttft<1ms,ttft<2ms", "ttft:90<2ms"):
        with pytest.raises(UsageError, match="--slo"):
            parse_limits(text)
    with pytest.raises(UsageError, match="'200kb' is not a time: ms or s: 200ms"):
        parse_limits("ttft<1s,tpot:p90<200KB")


@pytest.mark.parametrize(
    ("rules", "what"),
    [
        ({"minimise": "tpot"}, "tpot"),
        ({"slo": "ttft<1s,tpot:p90<50ms"}, "tpot"),
        ({"maximise": "decode_tokens_per_s"}, "decode_tokens_per_s"),
    ],
)
def test_one_new_token_has_no_time_between_tokens(rules: dict[str, Any], what: str) -> None:
    one = {**SMALL, "new_tokens": 1}
    with pytest.raises(UsageError, match=f"{what} needs at least two new tokens"):
        build_tune_plan("gpt2", one, TuneRuleOptions(**rules))
    assert build_tune_plan("gpt2", SMALL, TuneRuleOptions(**rules)).cells
    assert build_tune_plan("gpt2", one, TuneRuleOptions(slo="ttft<1s")).cells


def test_a_floor_is_a_band_or_a_divergence() -> None:
    assert parse_floor("minor") == ("minor", None)
    assert parse_floor("kld<=0.01") == (None, 0.01)
    assert parse_floor("none") == (None, None)
    for text in ("good", "kld<=0", "kld<=x", "kld"):
        with pytest.raises(UsageError, match="--floor"):
            parse_floor(text)


def test_an_objective_fits_the_model() -> None:
    assert parse_objective(TuneRuleOptions(), encodes=False) == "tokens_per_s"
    assert parse_objective(TuneRuleOptions(), encodes=True) == "sequences_per_s"
    for rules, cause in (
        (TuneRuleOptions(maximise="tokens_per_s"), "an encoder has no tokens_per_s"),
        (TuneRuleOptions(minimise="cost"), "needs a price"),
        (TuneRuleOptions(minimise="joy"), "unknown objective 'joy'"),
        (TuneRuleOptions(minimise="e2e", maximise="tokens_per_s"), "contradict"),
    ):
        with pytest.raises(UsageError, match=cause):
            parse_objective(rules, encodes=True)


def test_a_prompt_beyond_the_context_is_refused(tmp_path: Path) -> None:
    model = str(tiny_models.gpt2(tmp_path / "m"))
    fixed = {"new_tokens": 8, "device": "cpu"}
    rules = TuneRuleOptions(space=["precisions=fp32,bf16"])
    with pytest.raises(UsageError, match="64"):
        # Today's default itself has 128 tokens, of 64 positions.
        build_tune_plan(model, fixed, rules)


@pytest.fixture
def no_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no library that a precision or a cache may need."""
    monkeypatch.setattr(precision_needs, "find_version", lambda _: None)
    monkeypatch.setattr(decoding_rules, "find_spec", lambda _: None)


@pytest.mark.usefixtures("no_libraries")
def test_what_the_machine_lacks_is_left_out_with_its_reason_before_anything_loads() -> None:
    rules = TuneRuleOptions(
        space=["precisions=fp32,bf16,nf4,tf32 cache=dynamic,offloaded,quantized:int4"]
    )
    lines: list[str] = []
    plan = build_tune_plan("gpt2", SMALL, rules, lines.append)
    assert {(cell.precision, cell.cache) for cell in plan.cells} == {
        ("fp32", "dynamic"),
        ("bf16", "dynamic"),
    }
    for reason in (
        "nf4 needs bitsandbytes and accelerate, which are not installed: pip install",
        "tf32 ",
        "an offloaded cache waits in the host's memory for an NVIDIA GPU",
        "a quantized:int4 cache needs the library hqq",
    ):
        assert any(reason in line for line in lines), (reason, lines)


@pytest.mark.usefixtures("no_libraries")
@pytest.mark.parametrize(
    ("knobs", "cause"),
    [
        ({"precision": "nf4"}, "nf4 needs bitsandbytes"),
        ({"cache": "offloaded"}, "NVIDIA GPU"),
        ({"cache": "quantized:int8"}, "needs the library hqq"),
        ({"precision": "tf32"}, "tf32"),
    ],
)
def test_a_knob_that_the_machine_lacks_is_refused_before_anything_loads(
    knobs: dict[str, object], cause: str
) -> None:
    with pytest.raises(UsageError, match=cause):
        build(fixed=knobs)
    with pytest.raises(UsageError, match=cause):
        build_base_cell("gpt2", {**SMALL, **knobs}, "batch-size")


def test_a_task_is_a_floor_of_accuracy_and_a_floor_needs_a_task() -> None:
    def build(**rules: Any) -> Plan:
        return build_tune_plan("gpt2", {}, TuneRuleOptions(space=["precisions=fp32,bf16"], **rules))

    plan = build(task=["agreement"])
    assert plan.tuning is not None and plan.tuning.min_accuracy == -0.01
    assert [task.name for task in plan.tasks] == ["agreement"]
    tuning = build(task=["agreement"], min_accuracy="-0.5pt").tuning
    assert tuning is not None and tuning.min_accuracy == -0.005
    tuning = build().tuning
    assert tuning is not None and tuning.min_accuracy is None
    with pytest.raises(UsageError, match="needs a task"):
        build(min_accuracy="-1pt")
    with pytest.raises(UsageError, match="not a number of points"):
        build(task=["agreement"], min_accuracy="much")
    with pytest.raises(UsageError, match="a loss has a minus"):
        build(task=["agreement"], min_accuracy="1pt")


def test_a_floor_without_a_more_precise_candidate_is_no_floor() -> None:
    lines: list[str] = []
    fixed = {**SMALL, "precision": "int8"}
    rules = TuneRuleOptions(space=["attention=sdpa,eager"])
    plan = build_tune_plan("gpt2", fixed, rules, lines.append)
    assert plan.tuning is not None and plan.tuning.floor is None
    assert "quality is not checked: no candidate is more precise than int8" in lines
    kept = build_tune_plan("gpt2", {**SMALL, "precision": "bf16"}, rules, lines.append)
    assert kept.tuning is not None and kept.tuning.floor == "minor" and len(lines) == 1
