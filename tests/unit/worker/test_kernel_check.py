"""The attention kernel that ran, by operators' names and by real passes of tiny models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM

from support import tiny_models
from txtop.errors import TxtopError
from txtop.plan.cell import Attention, Cell
from txtop.worker.failures import RejectedError
from txtop.worker.loading import attention
from txtop.worker.tasks import kernel_check
from txtop.worker.tasks.encoder import EncoderTask
from txtop.worker.tasks.task import ModelInputs, Task, make_inputs
from txtop.worker.tasks.text_generation import TextGenerationTask

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("operators", "expected"),
    [
        (["aten::mm", "aten::softmax"], "eager"),
        (["aten::scaled_dot_product_attention"], "sdpa"),
        (["aten::_scaled_dot_product_flash_attention_for_cpu"], "flash"),
        (["aten::_scaled_dot_product_flash_attention"], "flash"),
        (["aten::_scaled_dot_product_efficient_attention"], "efficient"),
        (["aten::_scaled_dot_product_cudnn_attention"], "cudnn"),
        (
            ["aten::scaled_dot_product_attention", "aten::_scaled_dot_product_attention_math"],
            "math",
        ),
        (
            [
                "aten::_scaled_dot_product_attention_math",
                "aten::_scaled_dot_product_flash_attention",
            ],
            "flash+math",
        ),
        (["flash_attn::_flash_attn_varlen_forward"], "flash_attention_2"),
        (["flash_attn_3::fwd"], "flash_attention_3"),
        (["## Call CompiledFxGraph abc ##", "aten::mm"], "flex"),
        # Device kernels, as a CUDA profile of torch 2.11 and 2.13 names them.
        (
            [
                "ampere_bf16_s16816gemm_bf16_64x64_sliced1x2_ldg8_f2f_stages_64x6_tn",
                "void pytorch_flash::flash_fwd_splitkv_kernel<pytorch_flash::Flash_fwd_kernel_"
                "traits<64, 64, 256, 4, false, false, cutlass::bfloat16_t>>",
            ],
            "flash",
        ),
        (["fmha_cutlassF_f32_aligned_64x64_rf_sm80(PyTorchMemEffAttention)"], "efficient"),
        (["cudnn_generated_fort_native_sdpa_sm90_knob_7_64x128x64_4x1x1_kernel0_0"], "cudnn"),
        (["void flash::flash_fwd_kernel<Flash_fwd_kernel_traits<128>>"], "flash_attention_2"),
        (
            ["void cutlass::device_kernel<flash::enable_sm90<flash::FlashAttnFwdSm90<...>>>"],
            "flash_attention_3",
        ),
        (["cudaGraphLaunch", "void at::native::softmax_warp_forward"], "eager"),
    ],
)
def test_operators_name_the_kernel(operators: list[str], expected: str) -> None:
    assert kernel_check.identify_kernel(operators) == expected


def test_a_graph_hides_the_kernel_unless_the_device_names_it() -> None:
    launches = ["cudaGraphLaunch", "aten::copy_"]
    assert kernel_check.identify_kernel(launches, compiled=True, replayed=True) is None
    named = [*launches, "void pytorch_flash::flash_fwd_kernel<>"]
    assert kernel_check.identify_kernel(named, compiled=True, replayed=True) == "flash"


def test_compiled_code_of_a_compiled_model_is_no_flex_attention() -> None:
    assert (
        kernel_check.identify_kernel(["## Call CompiledFxGraph abc ##"], compiled=True) == "eager"
    )


@pytest.mark.parametrize(
    ("requested", "ran", "wrong"),
    [
        ("sdpa", "math", False),
        ("sdpa", "eager", True),
        ("sdpa:flash", "flash", False),
        ("sdpa:flash", "flash+math", True),
        ("sdpa:flash", "math", True),
        ("eager", "eager", False),
        ("eager", "math", True),
        ("flash_attention_2", "flash_attention_2", False),
        ("flash_attention_2", "flash", True),
        ("sdpa:flash", None, False),
    ],
)
def test_another_kernel_than_the_one_asked_for(
    requested: str, ran: str | None, wrong: bool
) -> None:
    assert kernel_check.is_unexpected_kernel(requested, ran) is wrong


def task_and_inputs(
    folder: Path, kind: str, requested: Attention, implementation: str = ""
) -> tuple[Task, ModelInputs]:
    loaded = implementation or attention.resolve_implementation(requested)
    classes = {
        "gpt2": AutoModelForCausalLM,
        "t5": AutoModelForSeq2SeqLM,
        "bert": AutoModel,
    }
    path = getattr(tiny_models, kind)(folder / kind)
    model = classes[kind].from_pretrained(path, attn_implementation=loaded).eval()
    task: Task = (EncoderTask if kind == "bert" else TextGenerationTask)(model, CPU)
    cell = Cell(id="c1", model=kind, attention=requested, sequence_length=8, new_tokens=4)
    return task, make_inputs(cell, tiny_models.VOCABULARY, 0, CPU)


@pytest.mark.parametrize(
    ("requested", "ran"),
    [("eager", "eager"), ("sdpa", "flash"), ("sdpa:flash", "flash"), ("sdpa:math", "math")],
)
@pytest.mark.parametrize("kind", ["gpt2", "t5", "bert"])
def test_the_kernel_of_a_real_pass(
    kind: str, requested: Attention, ran: str, tmp_path: Path
) -> None:
    task, inputs = task_and_inputs(tmp_path, kind, requested)
    kernels = kernel_check.inspect_kernels(task, inputs, CPU)
    assert (kernels.prefill, kernels.decode) == (ran, None if kind == "bert" else ran)


def test_one_new_token_has_no_decode(tmp_path: Path) -> None:
    task, inputs = task_and_inputs(tmp_path, "gpt2", "sdpa")
    kernels = kernel_check.inspect_kernels(task, inputs.shortened(1), CPU)
    assert (kernels.prefill, kernels.decode) == ("flash", None)


def test_dense_products_in_every_step_are_dequantisation(tmp_path: Path) -> None:
    task, inputs = task_and_inputs(tmp_path, "gpt2", "sdpa")
    plain = kernel_check.inspect_kernels(task, inputs, CPU)
    assert (plain.products, plain.dequantises) == ((), False)
    false = kernel_check.inspect_kernels(task, inputs, CPU, ("_weight_int4pack_mm",))
    assert (false.products, false.dequantises) == ((), True)
    true = kernel_check.inspect_kernels(task, inputs, CPU, ("addmm",))
    assert true.products == ("addmm",) and not true.dequantises


def test_a_silent_fallback_is_an_error(tmp_path: Path) -> None:
    task, inputs = task_and_inputs(tmp_path, "gpt2", "sdpa", implementation="eager")
    with pytest.raises(TxtopError, match="sdpa attention was asked for and eager ran in prefill"):
        kernel_check.inspect_kernels(task, inputs, CPU)


@pytest.mark.parametrize("requested", ["sdpa:cudnn", "sdpa:efficient", "flash_attention_2"])
def test_a_cpu_has_no_such_kernel(requested: Attention) -> None:
    with pytest.raises(RejectedError, match="no kernels for a CPU"):
        attention.require_kernel(Cell(id="", model="", attention=requested), {}, CPU)
