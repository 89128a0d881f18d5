"""The time of an encoder: the clock of the host on a CPU, events of the device on a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM

from support import tiny_models
from txtop.plan.cell import Cell
from txtop.worker.tasks import task
from txtop.worker.tasks.text_generation import TextGenerationTask

CPU = torch.device("cpu")


class ScriptedEvent:
    """An event of a device on which each recorded event is 3 ms after the one before."""

    recorded = 0

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None:
        ScriptedEvent.recorded += 1
        self.at_ms = 3.0 * ScriptedEvent.recorded

    def elapsed_time(self, end: ScriptedEvent) -> float:
        return end.at_ms - self.at_ms


def iterate(folder: Path, device: torch.device) -> tuple[Any, task.IterationResult]:
    model = AutoModelForSeq2SeqLM.from_pretrained(tiny_models.t5(folder / "t5")).eval()
    cell = Cell(id="c1", model="t5", sequence_length=8, new_tokens=5)
    inputs = task.make_inputs(cell, tiny_models.VOCABULARY, 0, CPU)
    return model, TextGenerationTask(model, device).iterate(inputs, False, None, lambda: None)


def test_on_a_cpu_the_encoder_is_a_part_of_the_call(tmp_path: Path) -> None:
    _, result = iterate(tmp_path, CPU)
    assert result.encoder_ns and result.ttft_ns and 0 < result.encoder_ns < result.ttft_ns


def test_on_a_gpu_a_call_records_two_events_whatever_its_number_of_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "Event", ScriptedEvent)
    monkeypatch.setattr(ScriptedEvent, "recorded", 0)
    model, result = iterate(tmp_path, torch.device("cuda"))
    assert (result.encoder_ns, ScriptedEvent.recorded) == (3_000_000, 2)
    assert not model._forward_hooks and not model._forward_pre_hooks
