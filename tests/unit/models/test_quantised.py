"""A checkpoint that is stored quantised has the precision of its files, or a reason against it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support import quantised_models, tiny_models
from txtop.analysis.roofline import _is_plain
from txtop.cli.app import run_command_line
from txtop.errors import UsageError
from txtop.models import model_size, precision_needs, quantised
from txtop.models.attention_kernels import Accelerator
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import build_plan
from txtop.plan import modes, references
from txtop.plan.cell import Cell

CPU = Accelerator("cpu")
HOPPER = Accelerator("cuda", "NVIDIA H100", (9, 0))
AMPERE = Accelerator("cuda", "NVIDIA A100", (8, 0))
CT_INT8 = {"quant_method": "compressed-tensors", "config_groups": {"a": {"weights":
    {"type": "int", "num_bits": 8}}}}  # fmt: skip
CT_FP8 = {"quant_method": "compressed-tensors", "config_groups": {"a": {"weights":
    {"type": "float", "num_bits": 8}, "input_activations": {"dynamic": True}}}}  # fmt: skip
SCHEMES: list[tuple[dict[str, Any], str]] = [
    *((entry[0], name) for name, entry in quantised_models.METHODS.items()),
    ({"load_in_4bit": True}, "bnb:fp4"),
    ({"quant_method": "gptq", "bits": 4, "group_size": -1}, "gptq:int4"),
    ({"quant_method": "gptq", "bits": 4, "backend": "gptq_torch"}, "gptq:int4/torch"),
    ({"quant_method": "awq", "bits": 4, "backend": "torch_fused_awq"}, "awq:int4/torch_fused"),
    ({"quant_method": "compressed-tensors", "config_groups": {}}, "ct:unknown"),
    (CT_INT8, "ct:int8"),
    (CT_FP8, "ct:fp8-dynamic"),
    ({"quant_method": "torchao", "quant_type": {"default": {"_type": "Int4WeightOnlyConfig"}}},
     "torchao:int4"),
    ({"quant_method": "hqq"}, "hqq"),
    ({"quant_algo": "NVFP4"}, "NVFP4"),
    ({"bits": 3}, "unknown scheme"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """All libraries are there, but for those that a test takes away."""
    versions: dict[str, str | None] = {}
    monkeypatch.setattr(precision_needs, "find_version", lambda name: versions.get(name, "1.0"))
    monkeypatch.setattr(precision_needs, "find_accelerator", lambda _: CPU)
    return versions


def explain(path: Path, device: Accelerator | None = CPU, **values: Any) -> tuple[str, str] | None:
    return precision_needs.explain_missing_needs(Cell(id="c", model=str(path), **values), device)


@pytest.mark.parametrize("place", ["quantization_config", "compression_config", "text_config"])
@pytest.mark.parametrize(("asked", "scheme"), SCHEMES, ids=[s[1] for s in SCHEMES])
def test_a_scheme_is_named(asked: dict[str, Any], scheme: str, place: str) -> None:
    config = {place: {"quantization_config": asked} if place == "text_config" else asked}
    assert quantised.describe_scheme(config) == scheme


def test_dense_configurations_have_no_scheme() -> None:
    dense: list[dict[str, Any]] = [{}, {"quantization_config": None}, {"bits": 4}]
    for config in dense:
        assert quantised.describe_scheme(config) == ""


@pytest.mark.fault(43)
@pytest.mark.parametrize(
    ("method", "device", "lacking", "reason"),
    [
        ("gptq:int4-g128", CPU, "gptqmodel", "needs gptqmodel, which is not installed"),
        ("gptq:int4-g128", CPU, "", ""),
        ("awq:int4-g64", HOPPER, "gptqmodel", "needs gptqmodel"),
        ("bnb:nf4", CPU, "bitsandbytes", "bnb:nf4 needs bitsandbytes"),
        ("bnb:int8", CPU, "", ""),
        ("fp8:block", CPU, "", "from sm89 (Ada) on, not a CPU"),
        ("fp8:block", AMPERE, "", "from sm89 (Ada) on, not NVIDIA A100 (sm80)"),
        ("fp8:block", HOPPER, "", ""),
        ("mxfp4", CPU, "", "mxfp4 needs an NVIDIA GPU"),
        ("mxfp4", HOPPER, "kernels", "needs kernels"),
        ("torchao:int8", CPU, "", ""),
        ("torchao:int8", CPU, "torchao", "torchao:int8 needs torchao"),
    ],
)
def test_what_cannot_run_here_is_refused_by_library_or_device(
    method: str,
    device: Accelerator,
    lacking: str,
    reason: str,
    tmp_path: Path,
    installed: dict[str, str | None],
) -> None:
    if lacking:
        installed[lacking] = None
    refusal = explain(quantised_models.write(tmp_path, method), device)
    assert (refusal is None) == (reason == "")
    assert refusal is None or (reason in refusal[0] and refusal[1])


@pytest.mark.parametrize("method", list(quantised_models.METHODS))
def test_random_weights_of_a_quantised_checkpoint_are_refused(method: str, tmp_path: Path) -> None:
    refusal = explain(quantised_models.write(tmp_path, method), HOPPER, weights="random")
    assert refusal is not None and "random weights would be dense" in refusal[0]
    # Packed elements are no parameters.
    assert model_size.find_parameter_count(str(tmp_path)) is None


@pytest.mark.fault(43)
@pytest.mark.parametrize("method", list(quantised_models.METHODS))
def test_a_config_that_names_a_quantiser_beside_plain_weights_is_refused(
    method: str, tmp_path: Path
) -> None:
    tiny_models.gpt2(tmp_path)
    quantised_models.set_config(tmp_path, quantization_config=quantised_models.METHODS[method][0])
    refusal = explain(tmp_path, HOPPER)
    assert refusal is not None and "its weights are plain (F32)" in refusal[0]


def test_an_unknown_method_is_refused_by_its_name(tmp_path: Path) -> None:
    quantised_models.set_config(
        tiny_models.gpt2(tmp_path), quantization_config={"quant_method": "hqq"}
    )
    refusal = explain(tmp_path)
    assert refusal is not None and "stored as hqq, which txtop does not know" in refusal[0]


@pytest.mark.parametrize(
    ("method", "broken", "fault"),
    [
        ("gptq:int4-g128", {"quant_method": "gptq"}, "no bits"),
        ("gptq:int4-g128", {"quant_method": "gptq", "bits": None}, "bits null"),
        ("gptq:int4-g128", {"quant_method": "gptq", "bits": "four"}, 'bits "four", not 2, 3'),
        ("gptq:int4-g128", {"quant_method": "gptq", "bits": True}, "bits true"),
        ("awq:int4-g64", {"quant_method": "awq", "bits": [4]}, "bits [4]"),
        ("awq:int4-g64", {"quant_method": "awq", "group_size": "x"}, 'group_size "x"'),
        ("gptq:int4-g128", {}, "no quant_method"),
        ("gptq:int4-g128", {"bits": 4}, "no quant_method"),
        ("torchao:int8", {"quant_method": "compressed-tensors"}, "no config_groups"),
        ("bnb:nf4", {"quant_method": "bitsandbytes"}, "neither load_in_4bit nor load_in_8bit"),
        ("bnb:nf4", {"load_in_4bit": True, "bnb_4bit_quant_type": "\x1b[31m" * 99},
         'bnb_4bit_quant_type "\\u001b[31m'),
        ("fp8:block", {"quant_method": "fp8", "weight_block_size": 128}, "weight_block_size 128"),
        ("torchao:int8", {"quant_method": "torchao"}, "no quant_type"),
        ("torchao:int8", {"quant_method": "torchao", "quant_type": 8}, "quant_type 8"),
        ("torchao:int8", {**CT_INT8, "config_groups": [1]}, "config_groups [1]"),
        ("torchao:int8", {**CT_INT8, "config_groups": {"a": {"weights": {"num_bits": {}}}}},
         "num_bits {}"),
        ("torchao:int8", {**CT_INT8, "config_groups": {"a": {"weights": {"type": None}}}},
         "type null"),
    ],
)  # fmt: skip
def test_a_broken_configuration_is_refused_by_its_key(
    method: str, broken: Any, fault: str, tmp_path: Path
) -> None:
    path = quantised_models.write(tmp_path, method)
    quantised_models.set_config(path, quantization_config=broken)
    refusal = explain(path, HOPPER)
    assert refusal is not None and f"quantization_config has {fault}" in refusal[0]
    # The cell is in the plan before it is refused: its label is one that a log takes.
    label = precision_needs.settle_precision(Cell(id="c", model=str(path))).precision
    assert len(label) <= 80 and label.isprintable()
    if isinstance(broken, dict) and quantised.get_method_name(broken) in (
        "bitsandbytes",
        "torchao",
    ):
        refusal = explain(tiny_models.gpt2(tmp_path / "plain"), quantization=json.dumps(broken))
        assert refusal is not None and f"--quantization has {fault}" in refusal[0]


@pytest.mark.parametrize("value", [[4], [], "gptq", "", True, False, 0, 4.5])
@pytest.mark.parametrize("place", ["quantization_config", "text_config"])
def test_a_configuration_that_is_no_object_is_refused_by_file_and_key(
    place: str, value: Any, tmp_path: Path
) -> None:
    path = tiny_models.gpt2(tmp_path)
    own = {"quantization_config": value}
    quantised_models.set_config(path, **({place: own} if place == "text_config" else own))
    refusal = explain(path)
    key = "text_config.quantization_config" if place == "text_config" else place
    cause = f"{path}/config.json: {key} is {json.dumps(value)}, not an object"
    assert refusal is not None and refusal[0] == cause and refusal[1]
    label = precision_needs.settle_precision(Cell(id="c", model=str(path))).precision
    assert label == "unknown scheme"


def test_a_configuration_that_is_null_is_none(tmp_path: Path) -> None:
    path = tiny_models.gpt2(tmp_path)
    quantised_models.set_config(path, quantization_config=None)
    assert explain(path) is None


STORED = "stored: give its directory as the model"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        *((name, STORED) for name in ("gptq:int4", "awq:int4-g64", "ct:int8", "bnb:nf4",
                                      "fp8:block", "torchao:int4", "dequantised:bf16")),
        *((name, "did you mean fp16?") for name in ("float16", "torch.float16", "half")),
        ("bfloat16", "did you mean bf16?"),
        ("float32", "did you mean fp32?"),
    ],
)  # fmt: skip
def test_a_name_of_a_scheme_or_of_torch_that_is_typed_has_a_next_step(
    name: str, hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "p.toml"
    plan.write_text(f'models = ["gpt2"]\nprecisions = ["{name}"]\n', encoding="utf-8")
    for arguments in (
        ["ab", "gpt2", "--b", f"precision={name}"],
        ["explain", "gpt2", "--precision", name],
        ["run", "--precisions", name],
        ["run", "--plan", str(plan)],
        ["tune", "gpt2", "--space", f"precisions=fp32,{name}"],
    ):
        assert run_command_line(arguments) == 2
        error = capsys.readouterr().err
        assert error.rstrip().endswith(hint), error
    assert quantised.suggest_precision("int5") == quantised.suggest_precision("fp8:x") == ""


def test_mxfp4_is_told_of_a_checkpoint_and_of_what_can_be_made_here(
    installed: dict[str, str | None],
) -> None:
    cell = Cell(id="c", model="gpt2", precision="mxfp4")
    installed["bitsandbytes"] = None
    refusal = precision_needs.explain_missing_needs(cell, CPU)
    assert refusal is not None
    assert refusal[1] == "the directory of one as the model, or --precisions int4"


def test_a_method_of_any_name_is_a_label(tmp_path: Path) -> None:
    for named in ("\x1b[31mred", "a" * 500, ["gptq"], {"x": "y\n"}):
        assert quantised.name_scheme({"quant_method": named}).isprintable()
        assert len(quantised.name_scheme({"quant_method": "gptq", "backend": str(named)})) <= 80


@pytest.mark.fault(43)
def test_files_below_16_bits_without_a_word_in_the_configuration_are_refused(
    tmp_path: Path,
) -> None:
    tiny_models.gpt2(tmp_path)
    assert explain(tmp_path) is None
    quantised_models.write_tensors(tmp_path, {"a": ("F8_E4M3", [2, 2])})
    refusal = explain(tmp_path)
    assert refusal is not None and "F8_E4M3" in refusal[0]
    quantised_models.write_tensors(tmp_path, {"fc.qweight": ("I32", [2, 16])})
    refusal = explain(tmp_path)
    assert refusal is not None and "GPTQ or AWQ, and its config.json names no quant" in refusal[0]


def test_a_quantised_checkpoint_is_one_cell_named_by_its_scheme(tmp_path: Path) -> None:
    plain = tiny_models.gpt2(tmp_path / "plain")
    stored = quantised_models.write(tmp_path / "stored", "torchao:int8")
    lines: list[str] = []
    asked = RunOptions(models=[str(plain), str(stored)], precisions=["fp32", "bf16", "int4"],
                       sequence_lengths=[8], new_tokens=[4])  # fmt: skip
    plan = build_plan(asked, lines.append)
    assert [cell.precision for cell in plan.cells] == ["fp32", "bf16", "int4", "torchao:int8"]
    assert any("is stored quantised: one cell, in torchao:int8" in line for line in lines)
    # Speed and output are compared with those of the model that it was made from.
    first, last = plan.cells[0], plan.cells[-1]
    assert references.find_output_references(plan.cells)[last.id] == first
    assert references.find_speed_references(plan.cells)[last.id] == first


def test_a_plan_goes_on_without_what_is_refused_and_not_if_that_is_all(
    installed: dict[str, str | None],
) -> None:
    installed["bitsandbytes"] = None
    precisions = ["fp8", "mxfp4", "int4", "nf4"]
    plan = build_plan(RunOptions(models=["gpt2"], precisions=precisions))
    reasons = [precision_needs.explain_unavailable(cell) for cell in plan.cells]
    assert [bool(reason) for reason in reasons] == [True, True, False, True]
    with pytest.raises(UsageError) as refused:
        build_plan(RunOptions(models=["gpt2"], precisions=["nf4", "mxfp4", "nf4:double"]))
    # What is to be installed for each is told at once.
    assert [part.partition(" ")[0] for part in refused.value.cause.split("; ")] == [
        "nf4",
        "mxfp4",
        "nf4:double",
    ]
    assert str(refused.value).count(": pip install 'txtop[quant]'") == 2


@pytest.mark.parametrize(
    ("quantisation", "label"),
    [
        ({"quant_method": "fp8", "dequantize": True}, "dequantised:fp16"),
        ({"quant_method": "compressed-tensors"}, "dequantised:fp16"),
        # Kernels are there for fp8 alone, and where they are asked for.
        ({**CT_FP8, "use_optimized_inference": False}, "dequantised:fp16"),
        ({**CT_INT8, "use_optimized_inference": True}, "dequantised:fp16"),
        ({**CT_FP8, "use_optimized_inference": True}, "ct:fp8-dynamic"),
        ({"quant_method": "fp8"}, "fp8:block"),
    ],
)
def test_a_load_that_dequantises_carries_no_label_of_4_or_8_bits(
    quantisation: dict[str, Any], label: str
) -> None:
    name = quantised.name_precision(quantisation, {"torch_dtype": "float16"})
    assert name == label
    assert modes.is_dense(name) == label.startswith("dequantised")
    assert not _is_plain(name), "int8 would lift no ceiling of what was quantised already"


def test_a_forced_dequantising_load_is_settled_as_that(tmp_path: Path) -> None:
    stored = quantised_models.write(tmp_path, "fp8:block", torch_dtype="bfloat16")
    text = json.dumps({"quant_method": "fp8", "dequantize": True})
    cell = Cell(id="c", model=str(stored), quantization=text)
    assert precision_needs.settle_precision(cell).precision == "dequantised:bf16"
    assert explain(stored, CPU, quantization=text) is None
    assert explain(stored, CPU) is not None


def test_fp8_of_compressed_tensors_needs_the_kernels_that_are_asked_for(tmp_path: Path) -> None:
    stored = quantised_models.write(tmp_path, "torchao:int8")
    quantised_models.set_config(stored, quantization_config=CT_FP8)
    quantised_models.write_tensors(
        stored, {"fc.weight": ("F8_E4M3", [16, 16]), "fc.weight_scale": ("F32", [16, 1])}
    )
    text = json.dumps({"quant_method": "compressed-tensors", "use_optimized_inference": True})
    assert explain(stored, CPU) is None
    assert explain(stored, HOPPER, quantization=text) is None
    for device in (CPU, AMPERE):
        refusal = explain(stored, device, quantization=text)
        assert refusal is not None and "ct:fp8-dynamic needs an NVIDIA GPU from sm89" in refusal[0]


def test_a_configuration_does_not_rename_what_the_files_hold(tmp_path: Path) -> None:
    stored = quantised_models.write(tmp_path, "gptq:int4-g128")
    text = json.dumps({"quant_method": "gptq", "bits": 8, "backend": "gptq_torch"})
    settled = precision_needs.settle_precision(Cell(id="c", model=str(stored), quantization=text))
    assert settled.precision == "gptq:int4-g128/torch"


@pytest.mark.parametrize(
    ("quantisation", "reason"),
    [
        ({"quant_method": "gptq", "bits": 4}, "not made from a plain checkpoint"),
        ({"quant_method": "what"}, "not made from a plain checkpoint"),
        ({"quant_method": "torchao", "dequantize": True}, "nothing to dequantise"),
        ({"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, ""),
    ],
)
def test_a_configuration_for_a_plain_checkpoint_is_one_that_makes(
    quantisation: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    path, text = tiny_models.gpt2(tmp_path), json.dumps(quantisation)
    refusal = explain(path, CPU, quantization=text)
    assert (refusal is None) == (reason == "") and (refusal is None or reason in refusal[0])


def test_the_order_of_references_is_that_of_the_table() -> None:
    names = ["int4", "fp32", "gptq:int4-g128", "dequantised:bf16", "int8", "bf16", "torchao:int8"]
    ordered = ["fp32", "bf16", "dequantised:bf16", "int8", "torchao:int8", "int4", "gptq:int4-g128"]
    assert sorted(names, key=modes.rank) == ordered


def test_the_preset_takes_what_the_machine_can_run(installed: dict[str, str | None]) -> None:
    names = precision_needs.list_available(CPU, without=("int8",))
    assert names == ["int8:bnb", "nf4", "nf4:double", "int4"], "in the order of the table"
    assert "fp8" in precision_needs.list_available(HOPPER, without=())
    installed["bitsandbytes"] = None
    assert precision_needs.list_available(CPU, without=("int8",)) == ["int4"]
