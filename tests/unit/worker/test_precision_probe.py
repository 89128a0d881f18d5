"""The doctor lists every precision once: as one that runs, with what it lacks, or with a reason."""

from __future__ import annotations

import pytest

from txtop.models import precision_needs, quantised
from txtop.models.attention_kernels import Accelerator
from txtop.plan.modes import MODES
from txtop.protocol.probe_reply import Capability
from txtop.worker import precision_probe

CPU = Accelerator("cpu")
HOPPER = Accelerator("cuda", "NVIDIA H100", (9, 0))


@pytest.fixture(autouse=True)
def missing(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """All libraries are there, but for those that a test names here."""
    names: set[str] = set()
    for module in (precision_needs, precision_probe.libraries):
        monkeypatch.setattr(module, "find_version", lambda name: None if name in names else "1.0")
    return names


def list_names(lines: list[Capability]) -> list[str]:
    able = [name.partition(" (")[0] for name in lines[0].detail.split(", ")]
    others = [line.capability.removeprefix("stored as ").split(", ") for line in lines[1:]]
    return able + [name for group in others for name in group]


@pytest.mark.parametrize("device", [CPU, HOPPER], ids=["cpu", "hopper"])
@pytest.mark.parametrize("lacking", ["", "bitsandbytes", "gptqmodel"])
def test_every_precision_and_every_scheme_has_a_place(
    device: Accelerator, lacking: str, missing: set[str]
) -> None:
    missing.add(lacking)
    precisions = list(precision_probe.probe_precisions(device))
    assert sorted(list_names(precisions)) == sorted(mode.name for mode in MODES)
    schemes = list(precision_probe.probe_schemes(device))
    assert sorted(list_names(schemes)) == sorted(quantised.METHODS)


def test_what_lacks_a_library_has_the_command_and_what_cannot_be_its_reason(
    missing: set[str],
) -> None:
    missing.add("bitsandbytes")
    able, *others = precision_probe.probe_precisions(CPU)
    assert (able.capability, able.state) == ("precisions", "ok")
    assert "fp16 (slow on a CPU)" in able.detail and "int4" in able.detail
    by_name = {line.capability: line for line in others}
    lacking = by_name["int8:bnb, nf4"]
    assert (lacking.detail, lacking.next) == ("needs bitsandbytes", "pip install 'txtop[quant]'")
    fp8 = by_name["fp8:weight-only, fp8"]
    assert fp8.detail == "impossible here: needs an NVIDIA GPU from sm89 (Ada) on, not a CPU"
    assert "not made from plain weights" in by_name["mxfp4"].detail
    assert "from sm80 (Ampere) on" in by_name["tf32"].detail


def test_on_a_gpu_what_needs_the_compiler_says_so() -> None:
    able, *others = precision_probe.probe_precisions(HOPPER)
    assert "int8:dynamic (with --compile)" in able.detail and "fp8" in able.detail
    assert [line.capability for line in others] == ["int8:torch-dynamic", "mxfp4"]
    (schemes,) = precision_probe.probe_schemes(HOPPER)
    assert "compressed-tensors (dequantised at load)" in schemes.detail
