"""The moment at which a worker measures the peaks of its device."""

from __future__ import annotations

import json
from pathlib import Path

from support import tiny_models
from support.worker_process import WorkerProcess, of
from txtop.plan.cell import Cell
from txtop.protocol import commands, events


def test_a_worker_tells_them_after_loading_and_before_anything_is_timed(tmp_path: Path) -> None:
    directory = tiny_models.gpt2(tmp_path / "large", weights=False)
    config = json.loads((directory / "config.json").read_text())
    # 50 MB of weights: with a model that fits the caches nothing is tried.
    (directory / "config.json").write_text(json.dumps(config | {"n_embd": 1024, "n_layer": 1}))
    worker = WorkerProcess("w1")
    load = worker.load(Cell(id="c0", model=str(directory), weights="random"))
    worker.send(commands.Prepare(cell=Cell(id="c0", model=str(directory), sequence_length=8)))
    worker.until(events.Workload)
    assert worker.close() == 0
    (peaks,) = of(events.DevicePeaks, worker.seen)
    assert (peaks.source, peaks.threads) == ("probe", load.threads)
    assert peaks.device == load.device_name and list(peaks.flops_per_s) == ["fp32"]
    kinds = [type(event) for event in worker.seen]
    assert (
        kinds.index(events.ModelLoaded)
        < kinds.index(events.DevicePeaks)
        < kinds.index(events.Workload)
    )
