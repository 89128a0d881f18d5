"""The sampler as a process: over a real pipe, with its parent, its reader or NVML misbehaving."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from support.sampler_process import TREE, Metronome, Start, end, read, samples
from support.scripted_nvml import ONE_GPU, without_a_library
from support.waiting import WAIT_S
from txtop.protocol.events import Gap, Log, Telemetry


def test_samples_come_at_5_hz_until_standard_input_ends(start_sampler: Start) -> None:
    process = start_sampler("--name", "watcher")
    control = Metronome()
    events = read(process, samples(12))
    times = [e.t_ns for e in events if isinstance(e, Telemetry) and e.device == "host"]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert statistics.median(gaps) == pytest.approx(control.stop_and_measure(), rel=0.25)
    # What is late once is not late for ever.
    assert times[-1] - times[0] < 1.5 * 11 * statistics.median(gaps)
    assert {event.src for event in events} == {"watcher"}
    _, errors = end(process)
    assert errors == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_quietly(start_sampler: Start, number: signal.Signals) -> None:
    process = start_sampler()
    read(process, samples(1))
    process.send_signal(number)
    _, errors = end(process)
    assert errors == ""


def test_a_reader_that_goes_ends_it_quietly(start_sampler: Start) -> None:
    process = start_sampler(nvml=(ONE_GPU,))
    read(process, samples(1))
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(WAIT_S) == 0
    assert process.stderr.read() == b""


def test_a_slow_reader_is_told_what_it_missed(start_sampler: Start) -> None:
    process = start_sampler(
        "--interval", "0.02", nvml=tuple(f"gpu GPU-{i} Fake H100" for i in range(8))
    )
    assert process.stdin is not None
    process.stdin.write(b"".join(b"use GPU-%d\n" % i for i in range(8)))
    process.stdin.flush()
    time.sleep(2)
    events = read(process, lambda event: isinstance(event, Gap))
    assert isinstance(events[-1], Gap)
    assert "the reader was slow" in events[-1].reason
    assert len(events) > 100
    end(process)


@pytest.mark.fault(28)
@pytest.mark.parametrize(
    ("nvml", "word", "level"),
    [
        (None, "no NVIDIA library", "info"),
        (("error nvmlInitWithFlags 18",), "differ in version", "warning"),
        (("error nvmlInitWithFlags 4",), "permission", "warning"),
    ],
)
def test_without_nvml_one_line_says_so_and_the_host_is_watched(
    start_sampler: Start, nvml: tuple[str, ...] | None, word: str, level: str
) -> None:
    process = start_sampler("--interval", "0.05", nvml=nvml)
    events = read(process, samples(5))
    rest, errors = end(process)
    logs = [event for event in events + rest if isinstance(event, Log)]
    assert len(logs) == 1
    assert word in logs[0].text and logs[0].level == level
    assert {e.device for e in events if isinstance(e, Telemetry)} == {"host"}
    assert errors == ""


def test_a_gpu_is_watched_beside_the_host(start_sampler: Start) -> None:
    process = start_sampler("--interval", "0.05", nvml=(ONE_GPU,))
    events = read(process, samples(3, "GPU-1111"))
    values = [e.values for e in events if isinstance(e, Telemetry) and e.device == "GPU-1111"]
    assert values[0]["power_w"] == 350.0
    assert any(isinstance(e, Telemetry) and e.device == "host" for e in events)
    end(process)


def test_a_binding_that_breaks_is_one_line(start_sampler: Start) -> None:
    process = start_sampler("--interval", "0.05", nvml=("gpu GPU-1111 \udcff",))
    events = read(process, samples(3))
    (log,) = (event for event in events if isinstance(event, Log))
    assert log.level == "error" and log.text.startswith(
        "GPU telemetry has ended: UnicodeDecodeError"
    )
    _, errors = end(process)
    assert errors == ""


def test_processes_are_watched_from_the_start_and_by_order(start_sampler: Start) -> None:
    process = start_sampler("--interval", "0.05", "--watch", f"tests={os.getpid()}")
    events = read(process, samples(1, "process:tests"))
    values = next(e.values for e in events if isinstance(e, Telemetry) and e.device != "host")
    assert set(values) == {"cpu_s", "rss_bytes"}
    assert process.stdin is not None
    process.stdin.write(f"watch sampler={process.pid}\nnonsense \x1b[31m\n".encode())
    process.stdin.flush()
    events = read(process, samples(1, "process:sampler"))
    rest, _ = end(process)
    logs = [e.text for e in events + rest if isinstance(e, Log) and e.level == "warning"]
    assert len(logs) == 1
    assert "not a command" in logs[0] and "\x1b" not in logs[0]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal")
def test_it_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    parent_code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-m', 'txtop.sampler'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    # Both of its pipes stay open in this test, so that only the parent's death can end it.
    with subprocess.Popen(
        [sys.executable, "-c", parent_code],
        env={**os.environ, "PYTHONPATH": TREE, **without_a_library(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        sampler = psutil.Process(int(parent.stdout.readline()))
        assert b"telemetry" in parent.stdout.readline() + parent.stdout.readline()
        parent.kill()
        gone, _ = psutil.wait_procs([sampler], timeout=WAIT_S)
        assert gone or sampler.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    "arguments", [["--interval", "0"], ["--interval", "x"], ["--watch", "a=b"], ["--bogus"]]
)
def test_wrong_arguments_exit_2(start_sampler: Start, arguments: list[str]) -> None:
    process = start_sampler(*arguments)
    _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 2
    assert b"Traceback" not in errors


PROBES: list[tuple[tuple[str, ...] | None, str, str]] = [
    (None, "missing", "no NVIDIA library"),
    (("error nvmlInitWithFlags 9",), "broken", "not loaded"),
    (("set utilization 0",), "missing", "no GPU is visible"),
    ((ONE_GPU,), "ok", "Fake H100, driver 999.99"),
    ((ONE_GPU, "error * 15"), "broken", "GPU 0 cannot be opened"),
    (
        (ONE_GPU, "error nvmlDeviceGetPowerUsage 3"),
        "ok",
        "Fake H100, driver 999.99, without power_w",
    ),
]


def test_the_probe_says_what_can_be_measured(start_sampler: Start, tmp_path: Path) -> None:
    """Each looks at its own cost for two seconds: all do at the same time."""
    begun = [
        start_sampler("--probe", nvml=nvml, folder=tmp_path / f"{number}")
        for number, (nvml, _, _) in enumerate(PROBES)
    ]
    for process, (nvml, state, word) in zip(begun, PROBES, strict=True):
        output, errors = process.communicate(timeout=WAIT_S)
        assert (process.returncode, errors) == (0, b""), nvml
        lines = {entry["capability"]: entry for entry in map(json.loads, output.splitlines())}
        assert set(lines) - {"gpu clocks"} == {"cpu", "memory", "cpu power", "gpu", "telemetry"}
        assert ("gpu clocks" in lines) == (state == "ok"), nvml
        assert ("the GPUs" in lines["telemetry"]["detail"]) == (state == "ok"), nvml
        assert lines["gpu"]["state"] == state
        assert word in lines["gpu"]["detail"]
        assert lines["cpu"]["state"] == lines["memory"]["state"] == "ok"
