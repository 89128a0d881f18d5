"""Presets, and the published figures beside their results."""

from __future__ import annotations

import msgspec
import pytest

from support import streams
from txtop.analysis.metrics import FinalMetrics
from txtop.errors import UsageError
from txtop.export.text import table
from txtop.export.text.published import get_published_figures, read_table
from txtop.formatting import format_figure
from txtop.options.presets import PRESETS
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import build_plan
from txtop.plan.matrix import expand_matrix
from txtop.state.fold import fold_all
from txtop.state.session import SessionState
from txtop.system import cpu, gpus, torch_build
from txtop.system.gpus import Gpu


@pytest.mark.parametrize("name", PRESETS)
def test_smoke_asks_less_of_every_preset(name: str) -> None:
    full, smoke = (
        build_plan(RunOptions(preset=name)),
        build_plan(RunOptions(preset=name, scale="smoke")),
    )
    assert (full.scale, smoke.scale, smoke.iterations) == ("full", "smoke", 3)

    def work(c: object) -> int:
        return c.batch_size * (c.sequence_length + c.new_tokens)  # type: ignore[attr-defined]

    assert sum(map(work, smoke.cells)) <= sum(map(work, full.cells))


@pytest.mark.parametrize("scale", ["full", "smoke"])
@pytest.mark.parametrize("name", sorted({figure.preset for figure in read_table().figure}))
def test_each_published_figure_has_its_cell(name: str, scale: str) -> None:
    cells = build_plan(msgspec.convert({"preset": name, "scale": scale}, RunOptions)).cells
    assert all(sum(map(figure.is_of, cells)) == 1 for figure in get_published_figures(name))


def test_published_figures_that_contradict_each_other_are_called_so() -> None:
    plan = msgspec.structs.replace(streams.plan(), preset="batch-tradeoff")
    report = table.format_report(fold_all(streams.stream(plan)), FinalMetrics())
    assert "64 sequences in 800 ms are 80 a second, not 2,000" in report


@pytest.mark.fault(39)
def test_a_misspelt_preset_names_the_right_one() -> None:
    with pytest.raises(UsageError, match="did you mean quick"):
        build_plan(RunOptions(preset="quik"))


def session(model: str, scale: str, lengths: list[int]) -> SessionState:
    cells = expand_matrix(
        models=[model],
        precisions=["fp32"],
        attention=["sdpa"],
        batch_sizes=[2],
        sequence_lengths=lengths,
        new_tokens=[4],
    )
    plan = msgspec.structs.replace(streams.plan(), cells=cells, preset="bert-seqlen", scale=scale)
    return fold_all(streams.stream(plan))


def test_published_figures_name_their_machine_and_the_configuration_here() -> None:
    state, finals = session("bert-base-uncased", "full", [128, 512]), FinalMetrics()
    report = table.format_report(state, finals)
    here = finals.of(state.cells["c001"], 0)["sequences_per_s"].mean
    assert here
    line = next(x for x in report.splitlines() if "128 tokens: 1,200" in x)
    assert line.startswith("published (A100)") and format_figure(here) in line
    assert "(bert-base-uncased fp32 batch 2)" in line
    assert f"{format_figure(here / 1200)}x of it" in line
    assert "published 0.283x · here 1.00x" in report and "smoke" not in report


def test_smoke_says_so_and_a_cell_that_is_missing_has_no_figure() -> None:
    report = table.format_report(session("gpt2", "smoke", [128]), FinalMetrics())
    assert "larger configurations" in report and "gpt2 fp32 batch 2" in report
    assert "340 seq/s · here —" in report and "—x" not in report


BF16, PLAIN = "fpu avx2 avx512f avx512_bf16", "fpu avx2 avx512f avx512_vnni"
QUICK = {"bf16": ("gpt2", ["fp32", "bf16"]), "fp16": ("gpt2", ["fp32", "fp16"])}
QUICK |= {"int8": ("bert-base-uncased", ["fp32", "int8"])}


@pytest.mark.parametrize(
    ("flags", "gpus_here", "device", "fast"),
    [
        (BF16, [], None, "bf16"),
        ("fpu amx_bf16", [], None, "bf16"),
        ("fp asimd bf16 i8mm", [], None, "bf16"),
        (PLAIN, [], None, "int8"),
        ("", [], None, "int8"),
        (PLAIN, ["NVIDIA H100 80GB HBM3"], None, "bf16"),
        (PLAIN, ["An unknown GPU"], None, "bf16"),
        (PLAIN, ["Tesla T4", "NVIDIA H100 80GB HBM3"], None, "bf16"),
        (f"{PLAIN} cpu_torch", ["NVIDIA H100 80GB HBM3"], None, "int8"),
        (PLAIN, ["Tesla T4"], None, "fp16"),
        (PLAIN, ["Tesla T4"], "cpu", "int8"),
        (BF16, ["Tesla T4"], "cpu", "bf16"),
        (BF16, ["Tesla T4"], "cuda", "fp16"),
    ],
)
def test_the_second_arm_of_quick_is_fast_on_the_machine(
    flags: str,
    gpus_here: list[str],
    device: str | None,
    fast: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cpu, "read_cpu_features", lambda: frozenset(flags.split()))
    monkeypatch.setattr(gpus, "list_gpus", lambda: [Gpu(name, "") for name in gpus_here])
    monkeypatch.setattr(torch_build, "has_cuda", lambda: not flags.endswith("cpu_torch"))
    plan = build_plan(RunOptions(preset="quick", device=device))
    model, precisions = QUICK[fast]
    assert [cell.precision for cell in plan.cells] == precisions
    assert {cell.model for cell in plan.cells} == {model}
    assert (plan.warmup, plan.iterations, plan.budget_s) == (3, 10, 30)
    assert (fast in plan.note) == (fast != "bf16") and bool(plan.note) == (fast != "bf16")
    own = build_plan(RunOptions(preset="quick", device=device, precisions=["fp32"]))
    assert not own.note


def test_presets_take_about_a_minute_by_their_own_limits() -> None:
    for name, preset in PRESETS.items():
        for form in (preset, *preset.instead.values()):
            smoke = build_plan(RunOptions(preset=name, scale="smoke"))
            assert len(smoke.cells) * smoke.budget_s <= 70
            if name == "quick":
                assert form.budget_s and 2 * form.budget_s <= 60
                assert form.smoke is not None and form.smoke.budget_s == 10
