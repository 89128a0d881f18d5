"""The matrix builder without its screen: what is chosen, and what that asks of a plan."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from txtop.errors import TxtopError, UsageError
from txtop.forecast.history import RunHistory
from txtop.forecast.preview import build_matrix_preview
from txtop.models import precision_needs
from txtop.options.command_line import format_command
from txtop.options.presets import PRESETS
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import build_plan, expand_cells
from txtop.system import cpu, gpus, torch_build
from txtop.system.gpus import Gpu
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import crop
from txtop.ui.models.matrix_choices import MatrixChoices
from txtop.ui.panels.matrix_choices import KnobInput, render_matrix_choices


def at(choices: MatrixChoices, name: str, text: str = "") -> MatrixChoices:
    """The cursor on a knob, and on one of its values."""
    row = next(i for i, knob in enumerate(choices.knobs) if knob.name == name)
    knob = choices.knobs[row]
    column = [knob.text(v) for v in knob.values].index(text) if text else 0
    choices.go(row, column)
    return choices


def toggled(*pairs: tuple[str, str]) -> MatrixChoices:
    choices = MatrixChoices()
    for name, text in pairs:
        at(choices, name, text).toggle()
    return choices


def test_nothing_chosen_is_the_command_without_options() -> None:
    asked = MatrixChoices().to_run_options()
    assert build_plan(asked) == build_plan(RunOptions()) and format_command(asked) == "txtop run"


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_fills_the_choices_and_nothing_is_said_twice(name: str) -> None:
    asked = toggled(("batch_sizes", "64"), ("threads", "1"), ("preset", name)).to_run_options()
    assert build_plan(asked) == build_plan(RunOptions(preset=name))
    assert format_command(asked) == f"txtop run --preset {name}"


def test_what_is_changed_of_a_preset_is_said() -> None:
    choices = toggled(("preset", "quick"), ("batch_sizes", "8"), ("precisions", "bf16"))
    command = "txtop run --preset quick --precisions fp32 --batch-sizes 1 8"
    assert format_command(choices.to_run_options()) == command
    at(choices, "preset", "none").toggle()
    command = "txtop run --sequence-lengths 32 --batch-sizes 1 8 --iterations 10 --budget 30"
    assert set(format_command(choices.to_run_options()).split()) == set(command.split())


def test_a_budget_and_a_count_exclude_each_other() -> None:
    choices = toggled(("iterations", "30"))
    assert choices.named("budget_s").chosen == []
    assert format_command(choices.to_run_options()) == "txtop run --iterations 30"
    at(choices, "budget_s", "60 s").toggle()
    assert format_command(choices.to_run_options()) == "txtop run --budget 60"
    at(choices, "iterations", "3").toggle()
    at(choices, "iterations", "until precise").toggle()
    assert format_command(choices.to_run_options()) == "txtop run"


def test_threads_are_auto_or_numbers() -> None:
    choices = toggled(("threads", "1"))
    assert choices.to_run_options().threads == [1]
    at(choices, "threads", "1").toggle()
    assert choices.to_run_options().threads is None
    at(choices, "threads").take("1-3+1")
    assert choices.to_run_options().threads == [1, 2, 3]
    at(choices, "threads", "auto").toggle()
    assert choices.to_run_options().threads is None
    assert cpu.count_allowed_cores() in choices.named("threads").values


@pytest.mark.parametrize(
    ("name", "typed", "expected"),
    [
        ("batch_sizes", "3", [1, 3]),
        ("batch_sizes", "1-32*2", [1, 2, 4, 8, 16, 32]),
        ("sequence_lengths", "100, 200 300", [100, 128, 200, 300]),
        ("new_tokens", "16-64+16", [16, 32, 48, 64]),
        ("models", " ./my model ", ["gpt2", "./my model"]),
        ("budget_s", "45", 45.0),
        ("budget_s", "7.5s", 7.5),
        ("iterations", "25", 25),
    ],
)
def test_what_is_typed_is_chosen_in_its_place(name: str, typed: str, expected: object) -> None:
    choices = at(MatrixChoices(), name)
    choices.take(typed)
    assert getattr(choices.to_run_options(), name) == expected
    knob = choices.named(name)
    assert knob.values[knob.at] in knob.chosen
    offered = [v for v in knob.values if isinstance(v, int | float)]
    assert offered == sorted(offered)
    build_plan(choices.to_run_options())


@pytest.mark.fault(39)
@pytest.mark.parametrize(
    ("name", "typed", "message"),
    [
        ("batch_sizes", "x", "batch: 'x' is neither a number"),
        ("batch_sizes", "0", "batch 0 is not between"),
        ("batch_sizes", "", "batch needs a value"),
        ("new_tokens", "8-1*2", "never ends or is empty"),
        ("models", "  ", "is not a valid model name"),
        ("budget_s", "soon", "budget: 'soon' is not a duration: write 30, 30s, 2m or 1h30m"),
        ("budget_s", "nan", "budget: .nan. is not a duration"),
        ("budget_s", "1e999", "budget: .1e999. is not a duration"),
        ("iterations", "0", "iterations 0 is not between"),
    ],
)
def test_what_cannot_be_is_one_line_and_changes_nothing(
    name: str, typed: str, message: str
) -> None:
    choices = at(MatrixChoices(), name)
    with pytest.raises(UsageError, match=message) as error:
        choices.take(typed)
    assert "--" not in str(error.value)
    assert format_command(choices.to_run_options()) == "txtop run"


def test_a_message_names_the_rows_and_not_the_options() -> None:
    named = MatrixChoices().name_rows("--rate needs --scenario dynamic; --max-batch is not here")
    assert named == "rate needs scenario dynamic; max batch is not here"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (RunOptions(sequence_lengths=[2048]), "choose length of at most 992"),
        (RunOptions(rate=["sweep"]), "choose scenario single, dynamic or continuous"),
        (
            RunOptions(models=["t5-small"], scenario=["continuous"]),
            "no cell is left to measure: continuous batching is for decoders",
        ),
        (
            RunOptions(attention=["flash_attention_2"]),
            "no cell is left to measure: flash_attention_2 knows fp16 and bf16, not fp32",
        ),
        (RunOptions(batch_sizes=[]), "choose at least one batch size"),
    ],
)
def test_a_problem_is_worded_for_the_builder(options: RunOptions, problem: str) -> None:
    preview = MatrixChoices().name_rows_of(build_matrix_preview(options, RunHistory()))
    assert problem in preview.problem
    texts = [preview.problem, *(cell.why for cell in preview.cells)]
    assert not any("--" in text or "…" in text for text in texts)


def on_device(monkeypatch: pytest.MonkeyPatch, *gpus_here: Gpu) -> MatrixChoices:
    monkeypatch.setattr(torch_build, "has_cuda", lambda: bool(gpus_here))
    monkeypatch.setattr(gpus, "list_gpus", lambda: list(gpus_here))
    return MatrixChoices()


def draw_hint(choices: MatrixChoices, precision: str) -> str:
    """Draw a small screen with the cursor on a precision."""
    rows = render_matrix_choices(at(choices, "precisions", precision), None, Area(80, 13, Glyphs()))
    return "".join(text for row in rows for text, _ in row)


def test_what_this_machine_lacks_is_not_chosen_and_has_a_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        precision_needs, "find_version", lambda name: None if name == "bitsandbytes" else "1"
    )
    choices = on_device(monkeypatch)
    lacking = {knob.name: knob.lacking for knob in choices.knobs if knob.lacking}
    assert set(lacking) == {"precisions", "attention", "device"}
    by_device = {"tf32", "fp8", "fp8:weight-only"}
    by_library = {"nf4", "nf4:double", "int8:bnb"}
    assert set(lacking["precisions"]) == by_device | by_library | {"mxfp4"}
    command = "nf4 needs bitsandbytes: pip install 'txtop[quant]'"
    assert lacking["precisions"]["nf4"] == command
    assert {"sdpa:cudnn", "flash_attention_2"} < set(lacking["attention"])
    assert "without CUDA" in lacking["device"]["cuda"]
    assert not at(choices, "precisions", "tf32").toggle()
    assert choices.named("precisions").chosen == ["fp32"]
    rows = render_matrix_choices(choices, None, Area(120, 16, Glyphs(), boxed=True))
    row = next(i for i, line in enumerate(rows) if ("tf32", "muted") in line)
    assert (" · ", "muted") in rows[row]
    drawn = "".join(text for text, _ in rows[row + 1])
    assert "not here: tf32 needs an NVIDIA GPU from sm80" in drawn
    assert f"not here: {command}" in draw_hint(choices, "nf4")
    assert "4-bit weights, made by torchao as the model is loaded" in draw_hint(choices, "int4")
    assert "int8 = best int8 recipe" in draw_hint(choices, "int8")


def test_a_value_that_a_preset_chose_can_be_given_up_though_it_is_not_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    choices = on_device(monkeypatch)
    choices.named("precisions").chosen = ["fp32", "tf32"]
    rows = render_matrix_choices(choices, None, Area(120, 16, Glyphs(), boxed=True))
    assert any(("x", "warn.bold") in row for row in rows)
    assert at(choices, "precisions", "tf32").toggle()
    assert choices.named("precisions").chosen == ["fp32"]


def test_the_chosen_device_decides_what_is_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    choices = on_device(monkeypatch, Gpu("NVIDIA A100-SXM4-80GB", "GPU-a"))
    assert "tf32" not in choices.named("precisions").lacking
    assert at(choices, "device", "cpu").toggle()
    assert "tf32" in choices.named("precisions").lacking


@pytest.mark.parametrize("width", [80, 120, 200])
def test_an_error_and_its_remedy_are_whole(width: int) -> None:
    choices = at(MatrixChoices(), "batch_sizes")
    with pytest.raises(UsageError) as error:
        choices.take("zz")
    typed = KnobInput("zz", error.value.cause, error.value.hint)
    rows = render_matrix_choices(choices, typed, Area(width, 14, Glyphs()))
    drawn = "\n".join("".join(text for text, _ in crop(row, width)) for row in rows)
    assert error.value.cause in drawn and error.value.hint in drawn


def test_nothing_chosen_of_a_knob_is_refused() -> None:
    options = toggled(("precisions", "fp32")).to_run_options()
    assert build_matrix_preview(options, RunHistory()).error == "choose at least one precision"


MOVES = st.tuples(st.integers(-20, 20), st.integers(-20, 20))
TYPED = st.text(max_size=8) | st.sampled_from(["8", "1-64*2", "3,5", "9.5"])


@settings(max_examples=60, deadline=None)
@given(st.lists(MOVES | st.just(None) | TYPED, max_size=20))
def test_no_key_leads_out_of_the_choices(steps: list[tuple[int, int] | str | None]) -> None:
    choices = MatrixChoices()
    for step in steps:
        if step is None:
            choices.toggle()
        elif isinstance(step, tuple):
            choices.move(*step)
        else:
            with suppress(TxtopError):
                choices.take(step)
        knob = choices.knob
        assert 0 <= knob.at < len(knob.values)
        assert set(knob.chosen) <= set(knob.values)
    choices.to_run_options()


def test_requests_are_one_more_knob_and_a_sweep_one_more_rate() -> None:
    choices = MatrixChoices()
    assert {cell.scenario for cell in expand_cells(choices.to_run_options())} == {"static"}
    choices.named("scenario").choose("static")
    choices.named("scenario").choose("dynamic")
    choices.named("rate").choose("sweep")
    preview = build_matrix_preview(choices.to_run_options(), RunHistory())
    assert preview.command == "txtop run --scenario dynamic --rate sweep"
    assert len(preview.cells) == 8 and preview.plan is not None and preview.time.seconds == 240
    choices.named("scenario").choose("static")
    choices.named("scenario").choose("dynamic")
    assert (
        "--rate is for requests"
        in build_matrix_preview(choices.to_run_options(), RunHistory()).error
    )
    choices.named("rate").choose(None)
    assert choices.to_run_options().rate is None
