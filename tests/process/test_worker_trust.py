"""Pickled weights and a repository's own code: refused, or allowed by a flag that is recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import tiny_models
from support.worker_process import WorkerProcess
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import build_plan
from txtop.plan.cell import Cell
from txtop.plan.plan import Allowed
from txtop.protocol import commands, events
from txtop.worker.failures import RejectedError
from txtop.worker.loading import source

PICKLES = Allowed(pickles=True)
CODE = Allowed(remote_code=True)
OWN = """
from transformers import GPT2Config, GPT2LMHeadModel

class OwnConfig(GPT2Config):
    model_type = "own"

class OwnModel(GPT2LMHeadModel):
    config_class = OwnConfig
"""


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    process = WorkerProcess("w1")
    yield process
    process.close()


@pytest.fixture
def pickled(tmp_path: Path) -> Path:
    import torch
    from safetensors.torch import load_file

    directory = tiny_models.gpt2(tmp_path / "pickled")
    stored = directory / "model.safetensors"
    torch.save(load_file(stored), directory / "pytorch_model.bin")
    stored.unlink()
    return directory


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    directory = tiny_models.gpt2(tmp_path / "own")
    config = json.loads((directory / "config.json").read_text())
    config["model_type"] = "own"
    config["auto_map"] = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "own.py").write_text(OWN)
    return directory


def _resolve(path: Path, allowed: Allowed) -> source.ModelSource:
    return source.resolve_model(str(path), "auto", allowed, lambda _: None, lambda *_: None)


@pytest.mark.fault(21)
def test_pickles_need_their_flag(tmp_path: Path) -> None:
    tiny_models.gpt2(tmp_path, weights=False)
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    for allowed in (Allowed(), CODE):
        with pytest.raises(RejectedError, match="pickled") as refused:
            _resolve(tmp_path, allowed)
        assert "safetensors" in refused.value.hint and "--allow-pickles" in refused.value.hint
    assert _resolve(tmp_path, PICKLES).weight_files == [tmp_path / "pytorch_model.bin"]


@pytest.mark.fault(21)
def test_allowed_pickles_are_measured_and_noted(worker: WorkerProcess, pickled: Path) -> None:
    cell = Cell(id="c1", model=str(pickled), sequence_length=4, new_tokens=2)
    load = worker.load(cell, allowed=PICKLES)
    assert (load.weights, load.parameters) == ("pretrained", 9152)
    assert any("--allow-pickles" in note for note in load.notes)
    worker.measure(cell)


@pytest.mark.fault(21)
def test_a_pickle_that_would_run_code_is_not_obeyed_even_so(
    worker: WorkerProcess, pickled: Path, tmp_path: Path
) -> None:
    import pickle

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "owned",)  # type: ignore[return-value]

    (pickled / "pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    cell = Cell(id="c1", model=str(pickled))
    worker.send(
        commands.LoadModel(cell=cell, started_ns=worker.started_ns, seed=0, allowed=PICKLES)
    )
    ended = worker.until(events.CellFinished)
    assert ended.status == "failed" and not (tmp_path / "owned").exists()


@pytest.mark.fault(21)
def test_own_code_needs_its_flag(worker: WorkerProcess, own_code: Path) -> None:
    cell = Cell(id="c1", model=str(own_code))
    worker.send(
        commands.LoadModel(cell=cell, started_ns=worker.started_ns, seed=0, allowed=PICKLES)
    )
    refused = worker.until(events.CellRejected)
    assert "code of its own" in refused.reason and "--trust-remote-code" in refused.hint


@pytest.mark.fault(21)
def test_allowed_code_is_run_and_noted(worker: WorkerProcess, own_code: Path) -> None:
    cell = Cell(id="c1", model=str(own_code), sequence_length=4, new_tokens=2)
    load = worker.load(cell, allowed=CODE)
    assert (load.family, load.weights, load.parameters) == ("causal", "pretrained", 9152)
    assert any("--trust-remote-code" in note for note in load.notes)
    worker.measure(cell)


@pytest.mark.fault(21)
def test_code_that_fails_is_the_reason(worker: WorkerProcess, own_code: Path) -> None:
    (own_code / "own.py").write_text("raise ValueError('no')")
    cell = Cell(id="c1", model=str(own_code))
    worker.send(commands.LoadModel(cell=cell, started_ns=worker.started_ns, seed=0, allowed=CODE))
    refused = worker.until(events.CellRejected)
    assert "its own code fails: ValueError: no" in refused.reason


@pytest.mark.fault(21)
def test_the_plan_records_what_was_allowed() -> None:
    assert build_plan(RunOptions()).allowed == Allowed()
    options = RunOptions(allow_pickles=True, trust_remote_code=True)
    assert build_plan(options).allowed == Allowed(pickles=True, remote_code=True)
