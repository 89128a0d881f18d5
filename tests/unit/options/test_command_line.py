"""Options formatted as a command line are parsed to the same plan."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.knob_values import ATTENTIONS, CACHES, COMPILES, PRECISIONS
from txtop.cli import start
from txtop.cli.app import run_command_line
from txtop.errors import UsageError
from txtop.options.command_line import format_command
from txtop.options.presets import PRESETS
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import build_plan
from txtop.plan.plan import Plan
from txtop.plan.prompt_file import PromptFile
from txtop.plan.serving import SCENARIOS
from txtop.system import cpu


@pytest.fixture(scope="module")
def begun() -> Any:
    """Collect the plans that a command line begins, none of which is run."""
    plans: list[Plan] = []

    def begin(plan: Plan, *_options: object) -> int:
        plans.append(plan)
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start, "run_plan", begin)
        yield plans


def some(values: tuple[str, ...]) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True)


def counts(most: int) -> st.SearchStrategy[Any]:
    ranges = st.builds(lambda a, k, n: [a + i * k for i in range(n)], *[st.integers(1, 6)] * 3)
    return st.none() | ranges | st.lists(st.integers(1, most), min_size=1, max_size=4)


NAMES = st.sampled_from(["gpt2", "bert-base-uncased", "t5-small", "-x", "--seed", "a b", "o'neil"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
AMOUNTS = st.floats(1e-3, 86_400) | st.sampled_from([30.0, 45.0])


@st.composite
def asking(draw: st.DrawFn) -> RunOptions:
    """Draw any options that a command line can express."""
    options = RunOptions(
        models=draw(st.none() | st.lists(NAMES | TEXTS, min_size=1, max_size=3)),
        precisions=draw(some(PRECISIONS)),
        attention=draw(some(ATTENTIONS)),
        batch_sizes=draw(counts(10**6)),
        sequence_lengths=draw(counts(400)),
        new_tokens=draw(counts(50)),
        threads=draw(counts(64)),
        compile=draw(some(COMPILES)),
        scenario=draw(some(SCENARIOS)),
        rate=draw(some(("sweep", "2.5"))),
        concurrency=draw(counts(64)),
        max_wait_ms=draw(st.none() | AMOUNTS),
        cache=draw(some(CACHES)),
        device=draw(st.none() | st.sampled_from(["auto", "cpu", "cuda"])),
        weights=draw(st.none() | st.sampled_from(["auto", "random"])),
        iterations=draw(st.none() | st.integers(1, 10**6)),
        warmup=draw(st.none() | st.integers(0, 10**6)),
        timeout_s=draw(st.none() | AMOUNTS),
        cost_per_hour=draw(st.none() | AMOUNTS),
        seed=draw(st.none() | st.integers(0, 10**6)),
        fidelity_positions=draw(st.none() | st.integers(0, 10**6)),
        profile=draw(st.sampled_from([None, "none", "gpu"])),
        preset=draw(st.none() | st.sampled_from(sorted(PRESETS))),
        allow_pickles=draw(st.none() | st.booleans()),
        trust_remote_code=draw(st.none() | st.booleans()),
    )
    if options.preset and draw(st.booleans()):
        options = replace(options, scale=draw(st.sampled_from(["full", "smoke"])))
    return replace(options, budget_s=draw(st.none() | AMOUNTS))


@settings(max_examples=25, deadline=None)
@given(options=asking())
@example(options=RunOptions(compile=["none", "default"], budget_s=1.0))
@example(options=RunOptions(models=["a", "-b", "--seed", "c"], seed=1))
@example(options=RunOptions(preset="quick", iterations=10))
@example(options=RunOptions(preset="quick", iterations=10, budget_s=30.0))
@example(options=RunOptions(preset="quick", budget_s=30.0))
@example(options=RunOptions(iterations=10, budget_s=30.0))
@example(options=RunOptions(preset="precision", iterations=10, budget_s=30.0))
def test_the_command_line_gives_the_same_plan(begun: list[Plan], options: RunOptions) -> None:
    try:
        plan = build_plan(options)
    except UsageError:
        return
    begun.clear()
    assert run_command_line(shlex.split(format_command(options))[1:]) == 0
    assert begun == [plan]


PAIRS = "-odd 'pairs'.csv"


@pytest.fixture(scope="module")
def beside_pairs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Enter a directory that holds a file of lengths whose name is hard to quote."""
    folder = tmp_path_factory.mktemp("lengths")
    (folder / PAIRS).write_text("prompt,new\n12,3\n40,8\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


SERVED = st.sets(st.sampled_from(SCENARIOS[1:]), min_size=1)
RATES = st.sampled_from(["sweep", "1e-3", "2.50", " 3"]) | st.floats(1e-6, 1e6).map(repr)


@st.composite
def serving(draw: st.DrawFn) -> RunOptions:
    """Draw any load that a command line can express, possibly beside whole batches."""
    names = [*draw(SERVED), *draw(st.sampled_from([[], ["static"]]))]
    return RunOptions(
        models=["gpt2", "unknown"],
        batch_sizes=draw(st.none() | st.just([1, 2])),
        sequence_lengths=[draw(st.integers(1, 64))],
        new_tokens=[draw(st.integers(1, 64))],
        scenario=draw(st.permutations(names)),
        rate=draw(st.none() | st.lists(RATES, min_size=1, max_size=3)),
        concurrency=draw(counts(10**6)),
        requests=draw(st.none() | st.integers(1, 100_000)),
        max_batch=draw(st.none() | st.integers(1, 10**6)),
        max_wait_ms=draw(st.none() | st.just(0.0) | AMOUNTS),
        lengths=draw(st.none() | st.sampled_from(["fixed", "uniform", "lognormal", PAIRS])),
        slo=draw(st.none() | st.sampled_from(["ttft=0.2s,tpot=50ms", " e2e=2s", "tpot=.5ms"])),
    )


@settings(max_examples=40, deadline=None)
@given(options=serving())
@example(options=RunOptions(scenario=["dynamic"], max_wait_ms=0.0, lengths=PAIRS))
@example(options=RunOptions(scenario=["single"], rate=["sweep", "0.1"], concurrency=[1, 2, 4, 8]))
def test_the_command_line_gives_the_same_loads(
    begun: list[Plan], beside_pairs: Path, options: RunOptions
) -> None:
    plan = build_plan(options)
    assert any(cell.serving for cell in plan.cells)
    begun.clear()
    assert run_command_line(shlex.split(format_command(options))[1:]) == 0
    assert begun == [plan]


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        (RunOptions(scenario=["static"]), ""),
        (RunOptions(scenario=["single", "static"]), " --scenario single static"),
        (
            RunOptions(scenario=["dynamic"], rate=["2", "sweep"]),
            " --scenario dynamic --rate 2 sweep",
        ),
        (
            RunOptions(scenario=["continuous"], concurrency=[1, 2, 4, 8], requests=20),
            " --scenario continuous --concurrency '1-8*2' --requests 20",
        ),
        (
            RunOptions(scenario=["dynamic"], max_batch=4, max_wait_ms=0.0),
            " --scenario dynamic --max-batch 4 --max-wait-ms 0",
        ),
        (
            RunOptions(scenario=["dynamic"], lengths="-my lengths", slo="ttft=0.2s,tpot=50ms"),
            " --scenario dynamic '--lengths=-my lengths' --slo ttft=0.2s,tpot=50ms",
        ),
    ],
)
def test_a_load_is_said_as_it_was_asked(options: RunOptions, arguments: str) -> None:
    assert format_command(options) == f"txtop run{arguments}"


@pytest.mark.parametrize(
    ("options", "ending"),
    [
        (RunOptions(), "txtop run"),
        (RunOptions(models=["gpt2"], batch_sizes=[1], device="auto", seed=0), "txtop run"),
        (
            RunOptions(models=["my model"], precisions=["bf16"]),
            "--models 'my model' --precisions bf16",
        ),
        (RunOptions(models=["a", "-b", "c"]), "txtop run --models a --models=-b c"),
        (RunOptions(batch_sizes=[1, 2, 4, 8, 16]), "txtop run --batch-sizes '1-16*2'"),
        (RunOptions(budget_s=30.0), "txtop run"),
        (RunOptions(budget_s=7.5), "txtop run --budget 7.5"),
        (RunOptions(preset="quick", precisions=["fp32", "bf16"]), "txtop run --preset quick"),
        (RunOptions(preset="quick", device="cpu"), "txtop run --preset quick --device cpu"),
        (
            RunOptions(preset="quick", iterations=10, budget_s=30.0, warmup=3),
            "txtop run --preset quick",
        ),
        (RunOptions(preset="quick", iterations=10), "--preset quick --iterations 10"),
        (RunOptions(iterations=10, budget_s=30.0), "txtop run --iterations 10 --budget 30"),
        (RunOptions(preset="quick", budget_s=30.0), "txtop run --preset quick --budget 30"),
        (RunOptions(preset="quick", scale="smoke"), "txtop run --preset quick --scale smoke"),
        (RunOptions(preset="bert-int8-cpu", device="auto"), "--preset bert-int8-cpu --device auto"),
        (RunOptions(trust_remote_code=True, allow_pickles=False), "txtop run --trust-remote-code"),
    ],
)
def test_what_is_usual_is_not_said(
    options: RunOptions, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The preset quick has other precisions on a CPU without these units.
    monkeypatch.setattr(cpu, "read_cpu_features", lambda: frozenset({"avx512_bf16"}))
    assert format_command(options).endswith(ending)


def test_every_option_can_be_written() -> None:
    options = RunOptions(
        models=["m"],
        precisions=["bf16"],
        attention=["eager"],
        batch_sizes=[2],
        sequence_lengths=[3],
        new_tokens=[4],
        threads=[5],
        parallel=["tp=2"],
        compile=["default"],
        cache=["static"],
        speculative=["prompt-lookup:10"],
        prompts=[PromptFile(path="/a.txt", sha256="", prompts=1)],
        chat_template=["off"],
        prefix_cache=["on"],
        scenario=["dynamic"],
        rate=["sweep"],
        concurrency=[12],
        requests=13,
        max_batch=14,
        max_wait_ms=15.5,
        lengths="uniform",
        slo="ttft=1s",
        device="cpu",
        devices=["cpu:0"],
        weights="random",
        quantization=['{"load_in_4bit":true}'],
        iterations=6,
        warmup=7,
        timeout_s=9.0,
        cost_per_hour=1.5,
        seed=10,
        fidelity_positions=11,
        task=["facts"],
        accuracy_margin=0.005,
        profile="none",
        preset="quick",
        scale="smoke",
        allow_pickles=True,
        trust_remote_code=True,
    )
    written = format_command(options)
    for name in vars(options).keys() - {"budget_s"}:
        assert f"--{name.removesuffix('_s').replace('_', '-')}" in written, name
