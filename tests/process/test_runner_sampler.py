"""The sampler's watchdog: silence and death are reported once, and a new sampler is started."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from support.fake_run import Run, plan
from support.paths import SHIM
from support.waiting import wait_until
from txtop.analysis import energy
from txtop.protocol.events import Gap, Log
from txtop.runner import machine_info
from txtop.session.reader import read_all
from txtop.state.fold import fold_all
from txtop.system import cpu


@pytest.mark.fault(31)
def test_a_sampler_that_is_stopped_costs_its_series_alone(tmp_path: Path) -> None:
    options = "--sequence-lengths 8 --new-tokens 4 --warmup 1 --iterations 1200 --headless"
    options += f" --session-dir {tmp_path / 'sessions'} --json {tmp_path / 'out.json'}"
    run = subprocess.Popen(
        [sys.executable, "-m", "txtop", "run", "--models", "ok", *options.split()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SHIM)},
    )
    assert run.stderr is not None
    for line in run.stderr:
        if "loaded in" in line:
            break
    (folder,) = (tmp_path / "sessions").iterdir()
    log = folder / "events.jsonl"
    wait_until(lambda: b'"device":"host"' in log.read_bytes(), run.poll)
    (sampler,) = (
        p
        for p in psutil.Process(run.pid).children(recursive=True)
        if "txtop.sampler" in p.cmdline()
    )
    sampler.send_signal(signal.SIGSTOP)
    assert any("telemetry stalled" in line for line in run.stderr), "and the run goes on"
    sampler.send_signal(signal.SIGCONT)
    run.communicate(timeout=60)
    assert run.returncode == 0
    (cell,) = json.loads((tmp_path / "out.json").read_text())["cells"]
    assert cell["status"] == "ok"
    stream = read_all(folder)[0]
    gaps = [e for e in stream if isinstance(e, Gap)]
    assert [g.producer for g in gaps] == ["sampler"]
    assert any(isinstance(e, Log) and e.text == "the sampler answers again" for e in stream)
    host = fold_all(stream).devices["host"].series["cpu_percent"]
    at = list(host[0])
    assert max(b - a for a, b in itertools.pairwise(at)) > 2e9
    assert "process:worker:1" in fold_all(stream).devices


@pytest.mark.parametrize(
    ("features", "recorded"),
    [
        ("fpu avx2 amx_int8 avx512_vnni", ("avx2", "avx512_vnni", "amx_int8")),
        ("fp asimddp i8mm", ("asimddp", "i8mm")),
        ("", ()),
    ],
)
def test_features_of_the_processor(
    features: str, recorded: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu, "read_cpu_features", lambda: frozenset(features.split()))
    assert machine_info.read_machine().features == recorded


IDLE = """
import os, time
from txtop.protocol.codec import encode_event
from txtop.protocol.events import Telemetry
joules = 0.0
while True:
    joules += 2.0
    values = {"power_w": 10.0, "energy_j": joules}
    os.write(1, encode_event(Telemetry(t_ns=time.perf_counter_ns(), device="host", values=values)))
    time.sleep(0.2)
"""


def test_the_processor_rests_before_the_first_worker_where_its_energy_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_info, "has_package_power", lambda: True)
    run = Run(tmp_path / "s", plan("ok"), sampler=(sys.executable, "-c", IDLE))
    run.run()
    assert run.ended == ("done", True)
    idle = energy.compute_idle(run.state, "host")
    assert idle.seconds >= 2.0 and idle.source == "counter"
    assert idle.watts == pytest.approx(10, rel=0.2)
