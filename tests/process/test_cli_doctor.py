"""`txtop doctor`: one line per capability, on a machine without a GPU and under a scripted NVML."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.scripted_nvml import Scenario, without_a_library
from support.warm_workers import build_warm_environment


def doctor(environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "txtop", "doctor", *options],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=90,
        env={**os.environ, **environment},
    )


@pytest.mark.fault(28)
def test_a_machine_without_a_gpu(tmp_path: Path) -> None:
    done = doctor({**build_warm_environment(), **without_a_library(tmp_path)})
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) <= 30
    assert all(line.startswith(("ok ", "missing", "BROKEN")) for line in lines)
    names = {line[8:].partition(":")[0] for line in lines}
    assert names >= {"torch", "precisions", "attention", "compile", "cpu", "memory", "cpu power",
                    "gpu", "telemetry", "terminal", "session folder"}  # fmt: skip


def test_two_gpus_are_named_and_how_their_clocks_are_held(scenario: Scenario) -> None:
    scenario.write(
        "gpu GPU-1 Fake H100",
        "gpu GPU-2 Fake A30",
        "set compute_mode 3",
        "gpu GPU-3 Fake H100",
    )
    done = doctor({**build_warm_environment(), **scenario.environment}, "--json")
    assert done.returncode == 0
    capabilities = json.loads(done.stdout)["capabilities"]
    gpus = [entry["detail"] for entry in capabilities if entry["capability"] == "gpu"]
    assert [detail.partition(",")[0] for detail in gpus] == [
        "Fake H100",
        "Fake A30",
        "Fake H100",
    ]
    clocks = [entry for entry in capabilities if entry["capability"] == "gpu clocks"]
    assert [line["detail"].partition(":")[0] for line in clocks] == ["Fake H100", "Fake A30"]
    assert all("--lock-gpu-clocks=1485," in line["next"] for line in clocks)
    (mode,) = (entry for entry in capabilities if entry["capability"] == "gpu compute mode")
    assert mode["detail"].startswith("Fake A30: exclusive process: the arms of an A/B")
