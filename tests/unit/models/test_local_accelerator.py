"""Devices that cannot be had here, by what is known before torch is loaded."""

from __future__ import annotations

import sys

import pytest

from txtop.models import local_accelerator
from txtop.system import torch_build


@pytest.mark.parametrize(
    ("device", "why"),
    [
        ("cuda", "torch is built without CUDA"),
        ("cuda:1", "torch is built without CUDA"),
        ("GPU-8f3a9c1e", "torch is built without CUDA"),
        ("MIG-8f3a9c1e", "torch is built without CUDA"),
        ("xpu", "torch is built without XPU"),
        ("mps", "this is no Mac"),
    ],
)
def test_a_device_of_another_build_is_absent(
    device: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_build, "has_cuda", lambda: False)
    monkeypatch.setattr(torch_build, "has_xpu", lambda: False)
    monkeypatch.setattr(sys, "platform", "linux")
    absent = local_accelerator.explain_absent_device(device)
    assert absent == (f"no {device} device: {why}", "--device cpu, or look at `txtop doctor`")


@pytest.mark.parametrize("device", ["auto", "cpu", "cpu:0-3", "cuda", "cuda:1", "xpu", "mps"])
def test_a_device_that_torch_may_have_is_for_a_worker_to_try(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_build, "has_cuda", lambda: True)
    monkeypatch.setattr(torch_build, "has_xpu", lambda: True)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert local_accelerator.explain_absent_device(device) is None
