"""Plans as TOML files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from txtop.errors import UsageError
from txtop.options import plan_file
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import build_plan
from txtop.plan.serving import Serving, Slo


def written(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "plan.toml"
    path.write_text(body)
    return path


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    options = RunOptions(
        models=["gpt2", "./a b"],
        precisions=["fp32", "int8:dynamic"],
        batch_sizes=[1, 8],
        compile=["none", "default"],
        timeout_s=20.5,
        seed=3,
        profile="none",
        cost_per_hour=2.5,
        task=["facts"],
        accuracy_margin=0.005,
    )
    path = written(tmp_path, plan_file.encode_plan_file(options).decode())
    assert plan_file.read_plan_file(path) == options
    assert build_plan(plan_file.read_plan_file(path)) == build_plan(options)


def test_a_margin_of_accuracy_is_written_as_on_the_command_line(tmp_path: Path) -> None:
    path = written(tmp_path, 'models = ["gpt2"]\ntask = ["facts"]\naccuracy_margin = "0.5pt"\n')
    plan = build_plan(plan_file.read_plan_file(path))
    assert plan.accuracy_margin == pytest.approx(0.005)
    assert [task.name for task in plan.tasks] == ["facts"]
    path = written(tmp_path, 'models = ["gpt2"]\naccuracy_margin = "much"\n')
    with pytest.raises(UsageError, match="accuracy_margin: 'much' is not a number of points"):
        plan_file.read_plan_file(path)


@pytest.mark.parametrize(
    "options",
    [
        {"scenario": ["static", "single"]},
        {"scenario": ["dynamic", "continuous"], "rate": ["sweep", "2.5", "1e-3"]},
        {"scenario": ["continuous"], "concurrency": [1, 16], "requests": 40, "max_batch": 4},
        {"scenario": ["dynamic"], "max_wait_ms": 0.0, "lengths": "lognormal"},
        {"scenario": ["single"], "slo": "ttft=0.2s,tpot=50ms", "rate": ["2"]},
    ],
)
def test_a_load_that_is_saved_is_read_again(tmp_path: Path, options: dict[str, Any]) -> None:
    saved = RunOptions(models=["gpt2"], **options)
    path = written(tmp_path, plan_file.encode_plan_file(saved).decode())
    assert plan_file.read_plan_file(path) == saved
    plan = build_plan(plan_file.read_plan_file(path))
    assert plan == build_plan(saved)
    assert any(cell.serving for cell in plan.cells)


def test_pairs_that_are_saved_are_read_again(tmp_path: Path) -> None:
    lengths = tmp_path / 'a "b" ü.csv'
    lengths.write_text("12,3\n40,8\n")
    options = RunOptions(models=["gpt2"], scenario=["dynamic"], lengths=str(lengths))
    path = tmp_path / "plan.toml"
    path.write_bytes(plan_file.encode_plan_file(options))
    assert plan_file.read_plan_file(path) == options
    (cell,) = build_plan(plan_file.read_plan_file(path)).cells
    assert cell.serving is not None and cell.serving.pairs == ((12, 3), (40, 8))


@pytest.mark.parametrize(
    ("body", "rates"),
    [
        ("rate = 2", ["2"]),
        ("rate = 2.5", ["2.5"]),
        ('rate = "sweep"', ["sweep"]),
        ('rate = [1, "sweep", 0.25, "4"]', ["1", "sweep", "0.25", "4"]),
    ],
)
def test_a_person_writes_rates_as_numbers_or_words(
    tmp_path: Path, body: str, rates: list[str]
) -> None:
    assert plan_file.read_plan_file(written(tmp_path, body)).rate == rates


def test_a_person_writes_a_load(tmp_path: Path) -> None:
    body = 'models = ["gpt2"]\nscenario = ["dynamic"]\nconcurrency = "1-4*2"\nrate = 3\n'
    body += 'max_batch = 4\nmax_wait_ms = 5\nrequests = 30\nslo = "e2e=2s"\n'
    plan = build_plan(plan_file.read_plan_file(written(tmp_path, body)))
    server: dict[str, Any] = {"max_batch": 4, "max_wait_ms": 5.0, "requests": 30}
    server["slo"] = Slo(e2e_ms=2000.0)
    assert [cell.serving for cell in plan.cells] == [
        *(Serving(concurrency=clients, **server) for clients in (1, 2, 4)),
        Serving(rate=3.0, **server),
    ]


def test_a_load_given_beside_the_file_overrides_it() -> None:
    file = RunOptions(
        models=["gpt2"], scenario=["dynamic"], rate=["2"], requests=30, max_wait_ms=5.0
    )
    given = RunOptions(scenario=["continuous"], rate=["sweep"], max_wait_ms=0.0)
    assert plan_file.merge_options(file, given) == RunOptions(
        models=["gpt2"], scenario=["continuous"], rate=["sweep"], requests=30, max_wait_ms=0.0
    )


def test_a_person_writes_ranges_and_single_numbers(tmp_path: Path) -> None:
    body = 'models = ["gpt2"]\nbatch_sizes = "1-8*2"\nsequence_lengths = [16, "32-64+16"]\n'
    read = plan_file.read_plan_file(written(tmp_path, body + "new_tokens = 4\nbudget = 5\n"))
    assert read.batch_sizes == [1, 2, 4, 8]
    assert read.sequence_lengths == [16, 32, 48, 64]
    assert (read.new_tokens, read.budget_s) == ([4], 5.0)


def test_options_override_the_file(tmp_path: Path) -> None:
    file = RunOptions(models=["gpt2"], batch_sizes=[1, 2], seed=3)
    assert plan_file.merge_options(file, RunOptions(batch_sizes=[4])) == RunOptions(
        models=["gpt2"], batch_sizes=[4], seed=3
    )


@pytest.mark.fault(39)
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("batch_size = [1]", "batch_sizes"),
        ("precisions = ['fp33']", "fp33"),
        ("batch_sizes = [true]", "neither a number"),
        ("batch_sizes = ['8-1*2']", "never ends"),
        ("seed = 'x'", "seed"),
        ("models = ", "Invalid value"),
        ("budget_s = 3", "budget"),
        ("scenario = ['dynamik']", "dynamik"),
        ("scenario = 'dynamic'", "scenario"),
        ("scenarios = ['dynamic']", "did you mean scenario"),
        ("rate = true", "rate"),
        ("rate = [[1]]", "rate"),
        ("concurrency = ['4-1*2']", "never ends"),
        ("requests = 2.5", "requests"),
        ("max_wait_ms = '5q'", "max_wait_ms"),
        ("max_wait = 5", "did you mean max_wait_ms"),
        ("lengths = 3", "lengths"),
        ("slo = {ttft = 200}", "slo"),
    ],
)
def test_what_is_wrong_is_named(body: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        plan_file.read_plan_file(written(tmp_path, body))


def test_a_default_given_beside_the_file_is_given() -> None:
    file = RunOptions(seed=5, device="cuda", preset="quick", scale="smoke")
    plan = build_plan(
        plan_file.merge_options(file, RunOptions(seed=0, device="auto", scale="full"))
    )
    assert (plan.seed, plan.scale, plan.cells[0].device) == (0, "full", "auto")


def test_a_rule_given_beside_the_file_replaces_its_rival() -> None:
    assert (
        build_plan(
            plan_file.merge_options(RunOptions(budget_s=5), RunOptions(iterations=3))
        ).iterations
        == 3
    )
    assert (
        build_plan(
            plan_file.merge_options(RunOptions(iterations=3), RunOptions(budget_s=5))
        ).iterations
        is None
    )


@pytest.mark.fault(39)
def test_models_beside_a_file_that_names_its_own_contradict() -> None:
    with pytest.raises(UsageError, match="contradict"):
        plan_file.merge_options(RunOptions(models=["gpt2"]), RunOptions(models=["t5-small"]))
    assert plan_file.merge_options(RunOptions(seed=1), RunOptions(models=["gpt2"])).models == [
        "gpt2"
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("budget = 'abc'", "budget: 'abc' is not a duration: write 30, 30s, 2m or 1h30m"),
        ("timeout = true", "timeout cannot be 'True': it takes a duration"),
        ("seed = 1.5", "seed cannot be '1.5': it takes a whole number"),
        ("allow_pickles = 1", "allow_pickles cannot be '1': it takes true or false"),
        ("precisions = ['xy']", "precisions cannot be 'xy': one of fp32, fp16, bf16, tf32, int8"),
        ("precisions = ['fp32', 'fp9']", "precisions cannot be 'fp9': did you mean"),
        ("scenario = 'dynamic'", r"scenario takes a list: put it between \[ and \]"),
    ],
)
def test_a_wrong_value_says_what_its_key_takes(body: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        plan_file.read_plan_file(written(tmp_path, body))
    assert "budget_s" not in str(caught.value) and "$" not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file") as caught:
        plan_file.read_plan_file(tmp_path / "none.toml")
    assert str(caught.value).count("none.toml") == 1


def test_a_binary_file_is_no_plan(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"plan\.toml: it is not UTF-8 text: a TOML file"):
        plan_file.read_plan_file(tmp_path / "plan.toml")


def test_a_plan_that_one_line_cannot_hold_is_refused() -> None:
    with pytest.raises(UsageError, match="do not fit into one recording"):
        build_plan(RunOptions(models=["gpt2"], batch_sizes=list(range(1, 9_000))))
    fits = build_plan(RunOptions(models=["gpt2"], batch_sizes=list(range(1, 2_750))))
    assert len(fits.cells) == 2_749


def test_a_plan_of_an_editor_that_writes_a_byte_order_mark_and_crlf(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_bytes(b'\xef\xbb\xbfmodels = ["gpt2"]\r\nbatch_sizes = "1-4*2"\r\n')
    assert plan_file.read_plan_file(path) == RunOptions(models=["gpt2"], batch_sizes=[1, 2, 4])


def test_a_list_of_speculations_is_read_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text('speculative = ["none", "prompt-lookup:10"]\n', encoding="utf-8")
    options = plan_file.read_plan_file(path)
    assert [cell.speculative for cell in build_plan(options).cells] == ["none", "prompt-lookup:10"]
    path.write_text('speculative = ["none", "lookup"]\n', encoding="utf-8")
    with pytest.raises(UsageError, match="speculative cannot be 'lookup'"):
        plan_file.read_plan_file(path)
