"""`--prompts` in a plan, a plan file, a command that reproduces a cell, and a comparison."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest

from txtop.analysis.compare import _build_match_keys
from txtop.cli import app, start
from txtop.errors import UsageError
from txtop.options import plan_file
from txtop.options.ab_plan import ABOptions, build_ab_plan
from txtop.options.command_line import format_cell_command, format_command
from txtop.options.fit_options import build_base_cell
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import build_plan
from txtop.options.tune_options import TuneRuleOptions
from txtop.options.tune_plan import build_tune_plan
from txtop.plan import labels, references
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan, hash_workload
from txtop.plan.prompt_file import PromptFile, TokenCounts, parse_prompt_file
from txtop.plan.serving import Serving
from txtop.protocol import events
from txtop.state.fold import fold
from txtop.state.session import SessionState


@pytest.fixture
def texts(tmp_path: Path) -> PromptFile:
    (tmp_path / "a.txt").write_text("one\ntwo\n", encoding="utf-8")
    return parse_prompt_file("--prompts", str(tmp_path / "a.txt"))


def run(*arguments: str) -> Plan:
    """Return the plan that a command line builds."""
    plans: list[Plan] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start, "run_plan", lambda plan, *_: plans.append(plan) or 0)
        assert app.run_command_line([*arguments]) == 0
    return plans[0]


def read(cell: Cell, counts: TokenCounts) -> Cell:
    """Return the cell once a tokenizer has read its prompts."""
    assert cell.prompts is not None
    file = msgspec.structs.replace(cell.prompts, tokens=counts)
    return msgspec.structs.replace(cell, prompts=file, sequence_length=round(counts.mean))


def test_a_command_line_names_the_file_and_every_command_repeats_it(
    texts: PromptFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(texts.path).parent)
    plan = run("run", "--models", "gpt2", "--prompts", "a.txt", "--chat-template", "off")
    (cell,) = plan.cells
    assert (cell.prompts, cell.chat_template) == (texts, "off")
    counted = read(cell, TokenCounts(2, 40.6, 90))
    assert counted.sequence_length == 41
    for one in (cell, counted):
        command = format_cell_command(plan, one)
        assert "--sequence-lengths" not in command and f"--prompts {texts.path}" in command
        assert run(*shlex.split(command)[1:]).cells == plan.cells
    options = RunOptions(models=["gpt2"], prompts=[texts], chat_template=["off"])
    assert run(*shlex.split(format_command(options))[1:]).cells == plan.cells


def test_a_plan_file_has_the_path(texts: PromptFile, tmp_path: Path) -> None:
    options = RunOptions(models=["gpt2"], prompts=[texts], prefix_cache=["off"])
    saved = tmp_path / "plan.toml"
    saved.write_bytes(plan_file.encode_plan_file(options))
    assert f'prompts = ["{texts.path}"]' in saved.read_text(encoding="utf-8")
    assert build_plan(plan_file.read_plan_file(saved)).cells == build_plan(options).cells


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"sequence_lengths": [64]}, "--sequence-lengths and --prompts contradict each other"),
        ({"lengths": "uniform", "scenario": ["dynamic"]}, "--lengths and --prompts contradict"),
        ({"compile": ["default"]}, "prompts have many lengths"),
        ({"cache": ["static"]}, "prompts have many lengths"),
        ({"prefix_cache": ["on"]}, "a prefix cache is for `txtop run --scenario continuous`"),
    ],
)
def test_what_needs_one_length_is_refused(
    given: dict[str, Any], cause: str, texts: PromptFile
) -> None:
    with pytest.raises(UsageError, match=cause):
        build_plan(RunOptions(models=["gpt2"], prompts=[texts], **given))


@pytest.mark.parametrize(
    "given", [{"prefix_cache": ["on"], "scenario": ["continuous"]}, {"chat_template": ["off"]}]
)
def test_random_tokens_have_neither_prefixes_nor_a_template(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="random tokens"):
        build_plan(RunOptions(models=["gpt2"], **given))


def test_a_bad_file_is_one_line_before_anything_is_planned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "b.jsonl"
    bad.write_text('{"text": "a"}\n{"txt": "b"}\n', encoding="utf-8")
    assert app.run_command_line(["run", "--models", "gpt2", "--prompts", str(bad)]) == 2
    error = capsys.readouterr().err.strip()
    assert error.endswith(f"--prompts {bad}, line 2: no field 'txt': did you mean text?")
    assert "\n" not in error


def test_an_ab_shares_the_prompts_and_fit_has_its_own_lengths(texts: PromptFile) -> None:
    arms = ({"precision": "fp32"}, {"precision": "bf16"})
    plan = build_ab_plan("gpt2", arms, {"prompts": texts}, ABOptions())
    assert {cell.prompts for cell in plan.cells} == {texts}
    assert f"--prompts {texts.path}" in format_cell_command(plan, plan.cells[0])
    with pytest.raises(UsageError, match="contradict"):
        build_ab_plan("gpt2", arms, {"prompts": texts, "sequence_length": 9}, ABOptions())
    with pytest.raises(UsageError, match="its own lengths"):
        build_base_cell("gpt2", {"prompts": texts}, "batch-size")
    with pytest.raises(UsageError, match="--sequence-length and --prompts contradict"):
        build_tune_plan("gpt2", {"prompts": texts, "sequence_length": 9}, TuneRuleOptions())


def test_other_prompts_are_other_work_and_another_folder_is_not(texts: PromptFile) -> None:
    def cell(**file: Any) -> Cell:
        return Cell(id="c1", model="gpt2", prompts=msgspec.structs.replace(texts, **file))

    same, moved, other = cell(), cell(path="/elsewhere/b.txt"), cell(sha256="0" * 64)
    counted = read(same, TokenCounts(2, 40.6, 90))
    plain = Cell(id="c1", model="gpt2")
    keys = [_build_match_keys([one])["c1"] for one in (same, moved, counted, other, plain)]
    assert keys[0] == keys[1] == keys[2] and len(set(keys)) == 3
    hashes = [hash_workload(Plan(cells=(one,))) for one in (same, moved, counted, other, plain)]
    assert hashes[0] == hashes[1] == hashes[2] and len(set(hashes)) == 3
    template = msgspec.structs.replace(same, chat_template="off")
    assert hash_workload(Plan(cells=(template,))) != hashes[0]
    # Outputs are compared on the same texts.
    assert references.has_same_output(same, counted) and not references.has_same_output(same, other)


def test_work_without_prompts_has_the_hash_that_it_had_before_there_were_any() -> None:
    serving = Serving(rate=2.0)
    for cell, begins in (
        (Cell(id="c1", model="gpt2"), "529bd7b724e26c92"),
        (Cell(id="c1", model="gpt2", scenario="dynamic", serving=serving), "c12b9043c97cf857"),
    ):
        assert hash_workload(Plan(cells=(cell,))).startswith(begins)


def test_the_length_is_the_mean_once_the_prompts_were_read(texts: PromptFile) -> None:
    cell = Cell(id="c1", model="gpt2", prompts=texts)
    assert labels.format_length(cell) == "—"
    session = SessionState()
    header = events.SessionHeader(
        t_ns=0, schema=(1, 8), session="s", name=None, wall_s=0.0, plan=Plan(cells=(cell,)),
        workload_sha256="", machine=events.Machine(hostname="", os="", cpu="", cores_physical=1,
        cores_logical=1, memory_bytes=1, python=""), versions={}, seed=0, boot_id="",
    )  # fmt: skip
    fold(session, header)
    fold(session, events.CellStarted(t_ns=1, cell="c1", worker="w"))
    fold(session, events.Workload(
        t_ns=1, cell="c1", inputs_sha256="x", threads=1, prompt_tokens=[2, 30, 91],
        new_tokens=[4, 4, 4]))  # fmt: skip
    counted = session.cells["c1"].cell
    assert (counted.sequence_length, labels.format_length(counted)) == (41, "~41")
    assert labels.format_new_tokens(counted) == "4"
    assert counted.prompts is not None and counted.prompts.tokens == TokenCounts(2, 41.0, 91)
    assert "length" not in labels.format_short_label(counted)
    assert labels.format_short_label(counted).endswith("a.txt")
