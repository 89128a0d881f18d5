"""The judgements of call 4 of the acceptance run on made-up results."""

from __future__ import annotations

from typing import Any

from gpu import checks_explain
from support.gpu_results import failing


def export(**changed: Any) -> dict[str, Any]:
    phase = {
        "name": "decode", "step_ns": 1000, "scale": 1.0, "busy_ns": 400, "launches": 20.0,
        "parts": [{"ns": 600, "device_ns": 300}, {"ns": 400, "device_ns": 100}],
    }  # fmt: skip
    explained = {"failed": "", "phases": [phase | changed], "findings": []}
    return {"explanations": [explained]}


def test_an_explanation_adds_up_and_saw_the_device() -> None:
    judge = checks_explain.judge_explanation
    assert failing(judge("gpt2", export())) == []
    assert failing(judge("gpt2", {})) == ["gpt2: explained"]
    assert failing(judge("gpt2", export(step_ns=2000))) == ["parts over the step, gpt2 decode"]
    assert failing(judge("gpt2", export(scale=0.5))) == ["factor of the parts, gpt2 decode"]
    assert failing(judge("gpt2", export(busy_ns=0))) == [
        "gpt2 decode: the device was seen", "kernels by module over busy, gpt2 decode",
    ]  # fmt: skip
    assert failing(judge("gpt2", export(launches=0.0))) == ["gpt2 decode: launches"]
    assert failing([checks_explain.judge_end("gpt2", 1)]) == ["gpt2: exit code 0"]
