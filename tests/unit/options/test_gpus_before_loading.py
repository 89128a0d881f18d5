"""On a machine with a GPU a plan is judged by that GPU before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from txtop.forecast import preview
from txtop.forecast.history import RunHistory
from txtop.models import precision_needs
from txtop.models.attention_kernels import Accelerator
from txtop.options.feasibility import drop_infeasible, explain_lacking, find_accelerator
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import build_plan
from txtop.options.tune_options import TuneRuleOptions
from txtop.options.tune_plan import build_tune_plan
from txtop.plan.cell import Attention, Compile, Precision
from txtop.plan.knobs import BY_FIELD
from txtop.plan.matrix import expand_matrix
from txtop.system import gpus, torch_build

ASKED: list[Attention] = ["eager", "sdpa:flash", "sdpa:math"]
CARDS = {
    "H100": "NVIDIA H100 80GB HBM3",
    "A100": "NVIDIA A100-SXM4-80GB",
    "T4": "Tesla T4",
    "V100": "Tesla V100-SXM2-16GB",
    "RTX 4090": "NVIDIA GeForce RTX 4090",
}
FULL = "eager/dynamic eager/static sdpa:flash/dynamic sdpa:math/dynamic sdpa:math/static"
WITHOUT_FLASH = "eager/dynamic eager/static sdpa:math/dynamic sdpa:math/static"


def insert_gpus(folder: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for number, name in enumerate(names):
        (folder / f"0000:{number:02d}:00.0").mkdir()
        text = f"Model: \t\t {name}\nGPU UUID: \t GPU-{f'{number}' * 8}\n"
        (folder / f"0000:{number:02d}:00.0" / "information").write_text(text)
    monkeypatch.setattr(gpus, "PROC", folder)
    monkeypatch.setattr(torch_build, "has_cuda", lambda: True)


@pytest.mark.parametrize(
    ("card", "precision", "kept", "reasons"),
    [
        ("H100", "fp32", WITHOUT_FLASH, ["knows fp16 and bf16, not fp32"]),
        ("H100", "bf16", FULL, ["takes no mask: a static cache"]),
        ("A100", "bf16", FULL, ["takes no mask: a static cache"]),
        ("RTX 4090", "fp16", FULL, ["takes no mask: a static cache"]),
        ("T4", "fp16", WITHOUT_FLASH, ["needs sm80 or newer, not Tesla T4 (sm75)"]),
        ("V100", "fp16", WITHOUT_FLASH, ["not Tesla V100-SXM2-16GB (sm70)"]),
    ],
)
def test_what_runs_and_what_is_refused_is_known_before_loading(
    card: str,
    precision: Precision,
    kept: str,
    reasons: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    insert_gpus(tmp_path, monkeypatch, CARDS[card])
    options = RunOptions(
        models=["gpt2"],
        precisions=[precision],
        attention=ASKED,
        cache=["dynamic", "static"],
    )
    lines: list[str] = []
    plan = build_plan(options, lines.append)
    assert " ".join(f"{cell.attention}/{cell.cache}" for cell in plan.cells) == kept
    assert len(lines) == len(reasons)
    assert all(reason in line for reason, line in zip(reasons, lines, strict=True))
    # The matrix builder dims the same cells for the same reasons.
    previews = preview.build_matrix_preview(options, RunHistory()).cells
    planned = [p.cell for p in previews if p.fate == "planned"]
    assert " ".join(f"{cell.attention}/{cell.cache}" for cell in planned) == kept
    assert all(reasons[0] in p.why for p in previews if p.fate == "left out")


def test_the_cpu_is_judged_as_a_cpu_beside_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_gpus(tmp_path, monkeypatch, CARDS["T4"])
    options = RunOptions(models=["gpt2"], attention=["sdpa:flash"], device="cpu")
    assert len(build_plan(options).cells) == 1


def test_a_torch_without_cuda_is_judged_by_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_gpus(tmp_path, monkeypatch, CARDS["H100"])
    monkeypatch.setattr(torch_build, "has_cuda", lambda: False)
    assert find_accelerator("auto") == Accelerator("cpu")
    accelerator = find_accelerator("cuda")
    assert accelerator is not None and accelerator.capability == (9, 0)


def test_a_device_by_name_is_judged_among_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_gpus(tmp_path, monkeypatch, CARDS["T4"], CARDS["H100"])
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    named = [find_accelerator(device) for device in ("cuda:0", "cuda:1", "GPU-1111")]
    assert [gpu and gpu.capability for gpu in named] == [(7, 5), (9, 0), (9, 0)]


def test_gpus_that_differ_decide_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    insert_gpus(tmp_path, monkeypatch, CARDS["T4"], CARDS["H100"])
    accelerator = find_accelerator("auto")
    assert accelerator is not None and accelerator.capability is None
    options = RunOptions(models=["gpt2"], precisions=["fp16"], attention=["sdpa:flash"])
    assert len(build_plan(options).cells) == 1


@pytest.mark.parametrize(
    ("card", "precision", "compiled", "kept"),
    [
        ("H100", "tf32", "none", 1),
        ("A100", "tf32", "none", 1),
        ("T4", "tf32", "none", 0),
        ("H100", "int8:dynamic", "none", 0),
        ("H100", "int8:dynamic", "default", 1),
        ("H100", "int8:torch-dynamic", "default", 0),
    ],
)
def test_a_precision_is_judged_by_the_gpu_as_an_attention_is(
    card: str,
    precision: Precision,
    compiled: Compile,
    kept: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    insert_gpus(tmp_path, monkeypatch, CARDS[card])
    monkeypatch.setattr("txtop.options.feasibility.explain_missing_compiler", lambda _kind: None)
    cells = expand_matrix(
        models=["gpt2"], precisions=[precision], compile=[compiled], cache=["static"]
    )
    assert len(drop_infeasible(cells)[0]) == kept


@pytest.mark.parametrize(
    ("device", "kind"),
    [("cpu", "cpu"), ("cuda", "cuda"), ("cuda:1", "cuda"), ("xpu", "xpu"), ("mps", "mps")],
)
def test_the_kind_of_a_device_is_what_stands_before_its_number(device: str, kind: str) -> None:
    accelerator = find_accelerator(device)
    assert accelerator is not None and accelerator.kind == kind


@pytest.mark.parametrize(
    ("card", "device", "field", "lacking"),
    [
        ("H100", "cuda", "precision", {"int8:dynamic", "int8:torch-dynamic", "mxfp4"}),
        (
            "T4",
            "auto",
            "precision",
            {"tf32", "int8:dynamic", "int8:torch-dynamic", "mxfp4"}
            | {"fp8", "fp8:weight-only", "int4", "int4:weight-only"},
        ),
        ("T4", "cpu", "precision", {"tf32", "mxfp4", "fp8", "fp8:weight-only"}),
        ("H100", "auto", "attention", set()),
        ("H100", "mps", "attention", set()),
        (
            "T4",
            "cuda",
            "attention",
            {"sdpa:flash", "sdpa:cudnn", "flash_attention_2", "flash_attention_3"},
        ),
        ("V100", "auto", "batch_size", set()),
    ],
)
def test_a_value_is_lacking_if_no_cell_with_it_can_be_measured(
    card: str,
    device: str,
    field: str,
    lacking: set[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    insert_gpus(tmp_path, monkeypatch, CARDS[card])
    monkeypatch.setattr(precision_needs, "find_version", lambda library: "1")
    values = BY_FIELD[field].values or (1, 4096)
    reasons = {value: explain_lacking(field, value, device) for value in values}
    assert {value for value, reason in reasons.items() if reason} == lacking


def test_the_usual_space_of_a_race_is_that_of_the_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_gpus(tmp_path, monkeypatch, CARDS["H100"])
    monkeypatch.setattr("txtop.options.feasibility.explain_missing_compiler", lambda _kind: None)
    monkeypatch.setattr(gpus, "explain_absent_device", lambda _device: "")
    plan = build_tune_plan("gpt2", {"device": "cuda"}, TuneRuleOptions())
    assert {cell.precision for cell in plan.cells} >= {"fp32", "tf32", "fp16", "bf16"}
    assert {cell.batch_size for cell in plan.cells} == {1, 8, 32, 128}
    assert {cell.compile for cell in plan.cells} == {"none", "default", "reduce-overhead"}
    assert {cell.threads for cell in plan.cells} == {None}
