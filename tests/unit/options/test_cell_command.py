"""The command shown for a cell measures just that cell again, as the command line reads it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from support import quantised_models
from support.knob_values import ATTENTIONS, CACHES, COMPILES, PRECISIONS
from txtop.cli import app, start
from txtop.errors import UsageError
from txtop.models import model_config, precision_needs
from txtop.models.precision_needs import explain_unavailable
from txtop.options import feasibility
from txtop.options.ab_plan import ABOptions, build_ab_plan
from txtop.options.command_line import format_cell_command, format_explain_command
from txtop.options.feasibility import explain_infeasible, explain_lacking
from txtop.options.run_options import RunOptions, ServingOptions
from txtop.options.run_plan import build_plan
from txtop.options.serving import expand_traffic
from txtop.options.tune_options import TuneRuleOptions
from txtop.options.tune_plan import build_tune_plan
from txtop.plan.cell import Cell
from txtop.plan.knobs import BY_FIELD
from txtop.plan.plan import Allowed, Plan
from txtop.plan.serving import Scenario, Serving, Slo
from txtop.plan.tuning import OBJECTIVES, RATES, Objective
from txtop.resources import find_directory
from txtop.session.reader import read_all
from txtop.state.fold import fold_all

NAMES = (
    "gpt2",
    "t5-small",
    "bert-base-uncased",
    "/my models/x",
    "--odd",
    "it's",
    '["a"]',
    "a,b=c",
)
NUMBERS = st.integers(1, 300)


def planned(line: str) -> Plan:
    """Return the plan that the command line builds; nothing is started."""
    arguments = shlex.split(line)
    assert arguments[0] == "txtop"
    got: list[Plan] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start, "run_plan", lambda plan, *_: got.append(plan) or 0)
        assert app.run_command_line(arguments[1:]) == 0, line
    return got[0]


def rules(plan: Plan) -> Plan:
    """Return the plan without its cells, and without the preset, which is spelled out."""
    return msgspec.structs.replace(plan, cells=(), preset=None, scale="full")


def unnamed(cell: Cell) -> Cell:
    return msgspec.structs.replace(cell, id="")


HERE = [name for name in PRECISIONS if not explain_lacking("precision", name, "cpu")]
CELLS = st.builds(
    Cell,
    id=st.just("c007"),
    model=st.sampled_from(NAMES),
    precision=st.sampled_from(HERE),
    attention=st.sampled_from(ATTENTIONS),
    batch_size=NUMBERS,
    sequence_length=NUMBERS,
    new_tokens=NUMBERS,
    device=st.sampled_from(("auto", "cpu", "cuda", "xpu", "mps")),
    threads=st.none() | NUMBERS,
    weights=st.sampled_from(("auto", "pretrained", "random")),
    compile=st.sampled_from(COMPILES),
    cache=st.sampled_from(CACHES),
)
AMOUNTS = st.floats(0.001, 80_000, allow_nan=False)
RULES: dict[str, Any] = {
    "warmup": st.none() | st.integers(0, 1000),
    "seed": st.integers(0, 1000),
    "timeout_s": st.none() | AMOUNTS,
    "cost_per_hour": st.none() | AMOUNTS,
    "fidelity_positions": st.sampled_from((0, 1, 2048, 4096)),
    "profile": st.sampled_from(("none", "gpu")),
    "allowed": st.builds(Allowed, pickles=st.booleans(), remote_code=st.booleans()),
}


def sensible(cell: Cell) -> bool:
    if explain_infeasible(cell) or explain_unavailable(cell):
        return False
    return model_config.explain_refusal(cell) is None


def make_sensible(cell: Cell) -> Cell:
    """Return the cell with the defaults of one knob after the other until it can be measured.

    Most combinations cannot: without it hypothesis throws three of four away and gives up.
    """
    if model_config.find_family(cell.model) == "encoder":
        cell = msgspec.structs.replace(cell, cache="dynamic")
    for field in ("compile", "cache", "attention", "device", "precision"):
        if sensible(cell):
            break
        cell = msgspec.structs.replace(cell, **{field: BY_FIELD[field].default})
    return cell


@settings(max_examples=40, deadline=None)
@given(
    CELLS.map(make_sensible), st.none() | NUMBERS, st.none() | AMOUNTS, st.fixed_dictionaries(RULES)
)
def test_any_cell_comes_back(
    cell: Cell, iterations: int | None, budget_s: float | None, kept: dict[str, Any]
) -> None:
    assume(sensible(cell))
    limits = {"iterations": iterations} if iterations else {}
    if budget_s is not None:
        limits |= {"budget_s": budget_s, "fitted": iterations is not None}
    plan = Plan(cells=(Cell(id="c001", model="t5-base"), cell), **limits, **kept)
    again = planned(format_cell_command(plan, cell))
    assert [unnamed(other) for other in again.cells] == [unnamed(cell)]
    assert rules(again) == rules(plan)


FEW = st.integers(1, 50)
SHORT = st.integers(1, 64)
SERVED: tuple[Scenario, ...] = ("single", "dynamic", "continuous")
PROMISES = st.fixed_dictionaries(
    {},
    optional={
        "ttft": st.floats(0.01, 100_000).map(lambda ms: f"{ms:.9f}ms"),
        "tpot": st.integers(1, 1000).map(lambda ms: f"{ms}ms"),
        "e2e": st.floats(0.01, 1000).map(lambda s: f"{s:.3f}s"),
    },
).map(lambda bounds: ",".join(f"{name}={value}" for name, value in bounds.items()) or None)


@st.composite
def served(draw: st.DrawFn) -> Cell:
    """Draw any cell with a load that a command line can express."""
    scenario = draw(st.sampled_from(SERVED))
    rates = st.sampled_from(("sweep", "2", "0.1", "1e-5")) | st.floats(1e-6, 1e6).map(repr)
    options = ServingOptions(
        scenario=[scenario],
        rate=draw(st.none() | rates.map(lambda rate: [rate])),
        concurrency=draw(st.none() | st.tuples(FEW)),
        requests=draw(st.none() | st.sampled_from((1, 150, 100_000))),
        max_batch=draw(st.none() | FEW),
        max_wait_ms=draw(st.none() | st.sampled_from((0.0, 20.0, 1e7)) | st.floats(0, 1e5)),
        lengths=draw(st.none() | st.sampled_from(("fixed", "uniform", "lognormal"))),
        slo=draw(st.none() | PROMISES),
    )
    _, serving = draw(st.sampled_from(expand_traffic(options)))
    return Cell(
        id="c007",
        model=draw(st.sampled_from(NAMES)),
        precision=draw(st.sampled_from(PRECISIONS)),
        sequence_length=draw(SHORT),
        new_tokens=draw(SHORT),
        threads=draw(st.none() | FEW),
        scenario=scenario,
        serving=serving,
    )


@settings(max_examples=80, deadline=None)
@given(served(), AMOUNTS, st.fixed_dictionaries(RULES))
def test_any_served_cell_comes_back(cell: Cell, budget: float, kept: dict[str, Any]) -> None:
    assume(sensible(cell))
    plan = Plan(cells=(Cell(id="c001", model="t5-base"), cell), budget_s=budget, **kept)
    again = planned(format_cell_command(plan, cell))
    cells = [unnamed(other) for other in again.cells]
    if cell.serving and cell.serving.share is not None:
        assert unnamed(cell) in cells
        assert [other.asks_all for other in again.cells] == [True] + [False] * 7
        assert {other.server for other in again.cells} == {cell.server}
    else:
        assert cells == [unnamed(cell)]
    assert rules(again) == rules(plan)


def said_of(scenario: Scenario, serving: Serving, **knobs: Any) -> str:
    cell = Cell(id="c001", model="gpt2", scenario=scenario, serving=serving, **knobs)
    return format_cell_command(Plan(cells=(cell,)), cell)


@pytest.mark.parametrize(
    ("scenario", "serving", "expected"),
    [
        ("dynamic", Serving(concurrency=8), "dynamic"),
        ("dynamic", Serving(concurrency=4, max_batch=4), "dynamic --max-batch 4"),
        ("dynamic", Serving(concurrency=8, max_batch=4), "dynamic --concurrency 8 --max-batch 4"),
        (
            "continuous",
            Serving(concurrency=2, requests=9),
            "continuous --concurrency 2 --requests 9",
        ),
        ("continuous", Serving(rate=2.0, max_wait_ms=0.5), "continuous --rate 2 --max-wait-ms 0.5"),
        (
            "dynamic",
            Serving(share=0.9, lengths="uniform"),
            "dynamic --rate sweep --lengths uniform",
        ),
        ("single", Serving(concurrency=1, max_batch=1, max_wait_ms=0.0), "single"),
        ("single", Serving(rate=0.25, max_batch=1, max_wait_ms=0.0), "single --rate 0.25"),
        (
            "dynamic",
            Serving(rate=1e-6, slo=Slo(tpot_ms=1e-7, e2e_ms=2000.0)),
            "dynamic --rate 1e-6 --slo tpot=0.0000001ms,e2e=2000.0ms",
        ),
    ],
)
def test_of_a_load_only_what_is_not_by_default_is_said(
    scenario: Scenario, serving: Serving, expected: str
) -> None:
    assert said_of(scenario, serving) == f"txtop run --models gpt2 --scenario {expected}"


@pytest.mark.parametrize("scenario", SERVED)
def test_a_share_gives_the_sweep_that_holds_its_cell(scenario: Scenario) -> None:
    loads = expand_traffic(ServingOptions(scenario=[scenario], rate=["sweep"], max_batch=3))
    lines = {said_of(scenario, serving) for _, serving in loads[1:] if serving}
    assert len(lines) == 1
    again = planned(lines.pop())
    assert [(cell.scenario, cell.serving) for cell in again.cells] == loads


def test_pairs_from_a_file_are_not_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lengths.csv"
    path.write_text("prompt,new\n12,3\n40,8\n")
    for scenario in SERVED:
        for rate in (None, ["2"], ["sweep"]):
            for _, serving in expand_traffic(
                ServingOptions(scenario=[scenario], rate=rate, lengths=str(path))
            ):
                assert serving is not None and serving.pairs == ((12, 3), (40, 8))
                assert said_of(scenario, serving) == ""
    # A file that is called as the distribution is, with other pairs, must not be taken for it.
    (tmp_path / "pairs").write_text("1,1\n")
    monkeypatch.chdir(tmp_path)
    assert said_of("dynamic", Serving(concurrency=8, lengths="pairs", pairs=((12, 3),))) == ""


@pytest.mark.parametrize(
    ("scenario", "serving", "knobs"),
    [
        ("dynamic", Serving(share=0.55), {}),
        ("dynamic", Serving(rate=2.0, share=0.5), {}),
        ("dynamic", Serving(rate=2.0, concurrency=2), {}),
        pytest.param(
            "dynamic",
            Serving(),
            {},
        ),
        ("dynamic", Serving(concurrency=8, slo=Slo()), {}),
        ("dynamic", Serving(concurrency=8), {"batch_size": 2}),
        ("single", Serving(concurrency=1), {}),
        ("static", Serving(concurrency=8), {}),
    ],
)
def test_a_load_that_no_option_gives_is_not_said(
    scenario: Scenario, serving: Serving, knobs: dict[str, Any]
) -> None:
    assert said_of(scenario, serving, **knobs) == ""


def test_only_what_is_not_by_default_is_said() -> None:
    plain = Cell(id="c001", model="gpt2")
    assert format_cell_command(Plan(cells=(plain,)), plain) == "txtop run --models gpt2"
    odd = Cell(id="c002", model="my models/x", precision="bf16", threads=2, weights="random")
    plan = Plan(cells=(plain, odd), iterations=20, warmup=3)
    assert format_cell_command(plan, odd) == (
        "txtop run --models 'my models/x' --precisions bf16 --threads 2 --weights random"
        " --iterations 20 --warmup 3"
    )


@pytest.mark.usefixtures("every_model_here")
@pytest.mark.parametrize("model", ["gpt2", "--odd", "it's"])
@pytest.mark.parametrize(
    "options", ["", "--precision int8 --batch-size 3 --attention eager --iterations 5 --budget 2.5",
                "--seed 4 --nvtx --timeout 90 --allow-pickles"],
)  # fmt: skip
def test_the_command_that_explains_a_cell_again_is_read_as_it(model: str, options: str) -> None:
    plan = planned(f"txtop explain {options} -- {shlex.quote(model)}")
    (cell,) = plan.cells
    assert planned(format_explain_command(plan, cell)) == plan


def test_a_preset_is_spelled_out() -> None:
    plan = build_plan(RunOptions(preset="quick", device="cuda"))
    line = format_cell_command(plan, plan.cells[1])
    assert "--preset" not in line
    assert rules(planned(line)) == rules(plan)


@pytest.mark.parametrize("name", ["gpt2-precisions", "bert-lengths"])
def test_the_cells_of_a_recording_come_back(name: str) -> None:
    plan = fold_all(read_all(find_directory("sessions") / f"{name}.jsonl")[0]).plan
    for cell in plan.cells:
        again = planned(format_cell_command(plan, cell))
        assert [unnamed(other) for other in again.cells] == [unnamed(cell)]
        assert rules(again) == rules(plan)


@pytest.fixture
def every_model_here() -> Iterator[None]:
    """Let any name stand for a model: how it is spelled is what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feasibility, "explain_absent", lambda cell: None)
        yield


ARMS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "model": st.sampled_from(("gpt2-medium", "./x y", "--odd")),
            "precision": st.sampled_from(("fp32", "bf16", "int8")),
            "attention": st.sampled_from(("eager", "sdpa:math")),
            "batch_size": NUMBERS,
            "threads": NUMBERS,
            "cache": st.sampled_from(CACHES),
            "weights": st.sampled_from(("random", "auto")),
        },
    ),
    min_size=2,
    max_size=4,
)


@pytest.mark.usefixtures("every_model_here")
@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(("gpt2", "t5-small", "--odd", "a,b")),
    ARMS,
    st.none() | NUMBERS,
    st.sampled_from((1, 4, 100)),
    st.integers(1, 990),
    st.booleans(),
    st.fixed_dictionaries(RULES),
)
@example("gpt2", [{}, {}], None, 1, 20, True, {})
@example("gpt2", [{}, {"threads": 2}], 12, 8, 37, True, {"warmup": 0})
def test_any_ab_comes_back(
    model: str,
    knobs: list[dict[str, Any]],
    blocks: int | None,
    starts: int,
    thousandths: int,
    percent: bool,
    kept: dict[str, Any],
) -> None:
    margin = thousandths / 10 / 100 if percent else thousandths / 1000
    try:
        rules = ABOptions(margin=margin, blocks=blocks, starts=starts, **kept)
        plan = build_ab_plan(model, knobs, {}, rules)
    except UsageError:
        assume(False)
    for cell in plan.cells[:2]:
        assert planned(format_cell_command(plan, cell)) == plan


def test_an_ab_says_what_arms_share_once() -> None:
    knobs = ({"precision": "fp32", "batch_size": 8}, {"precision": "bf16", "batch_size": 8})
    plan = build_ab_plan("gpt2", knobs, {}, ABOptions(margin=0.05, budget_s=60.0))
    assert format_cell_command(plan, plan.cells[1]) == (
        "txtop ab gpt2 --a precision=fp32 --b precision=bf16 --batch-size 8 --margin 5% --budget 60"
    )


def test_what_no_command_line_can_say_is_not_said() -> None:
    cells = (Cell(id="A", model="a,b"), Cell(id="B", model="c,d"))
    assert format_cell_command(Plan(cells=cells, margin=0.02, budget_s=120.0), cells[0]) == ""


def test_how_a_checkpoint_is_stored_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision_needs, "find_version", lambda _: "1")
    stored = str(quantised_models.write(tmp_path / "stored", "gptq:int4-g128"))
    kernel = '{"backend":"gptq_torch","bits":4,"quant_method":"gptq"}'
    lengths = {"sequence_length": 8, "new_tokens": 2}
    plan = build_plan(
        RunOptions(models=[stored], quantization=[kernel], sequence_lengths=[8], new_tokens=[2])
    )
    line = format_cell_command(plan, plan.cells[0])
    assert plan.cells[0].precision == "gptq:int4-g128/torch" and "--precisions" not in line
    assert planned(line).cells == plan.cells
    arms = [{"threads": 1}, {"threads": 2}]
    for knobs in (arms, [{"quantization": kernel}, {"threads": 1}], [{"precision": "fp32"}] * 2):
        ab_test = build_ab_plan(stored, knobs, lengths, ABOptions())
        line = format_cell_command(ab_test, ab_test.cells[0])
        assert "gptq:" not in line and planned(line).cells == ab_test.cells


@pytest.mark.parametrize("model", ["gpt2", "t5-small", "bert-base-uncased"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_candidate_of_a_race_comes_back(objective: Objective, model: str) -> None:
    """Whichever wins is measured again as itself, with what the race was given."""
    rates = objective in RATES
    work = {"sequence_length": 48, "new_tokens": 5} if rates else {}
    if model_config.find_family(model) == "encoder":
        if OBJECTIVES[objective].least_tokens:
            return
        work.pop("new_tokens", None)
    goal = {"maximise" if rates else "minimise": objective}
    asked = TuneRuleOptions(cost_per_hour=2.0, seed=3, budget_s=9.0, **goal)  # type: ignore[arg-type]
    plan = build_tune_plan(model, {"weights": "random", "device": "cpu", **work}, asked)
    alone = msgspec.structs.replace(plan, tuning=None, profile="gpu")
    for cell in plan.cells[:: len(plan.cells) // 3]:
        again = planned(format_cell_command(alone, cell))
        assert [unnamed(other) for other in again.cells] == [unnamed(cell)]
        assert rules(again) == rules(alone)
