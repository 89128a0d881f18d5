"""The sampler as a process: over a real pipe, with its parent, its reader or NVML misbehaving."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from scripted_nvml import ONE_GPU, Scenario, without_a_library

from txtop.events import AnyEvent, Gap, Log, Telemetry, decode

TREE = str(Path(__file__).parents[1])
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Start]:
    """Starts a sampler over `nvml`'s lines, or where there is no NVML."""
    started: list[subprocess.Popen[bytes]] = []

    def run(*arguments: str, nvml: tuple[str, ...] | None = None) -> subprocess.Popen[bytes]:
        if nvml is None:
            found = without_a_library(tmp_path)
        else:
            scenario: Scenario = request.getfixturevalue("scenario")
            scenario.write(*nvml)
            found = scenario.environment
        process = subprocess.Popen(
            [sys.executable, "-m", "txtop.telemetry", *arguments],
            env={**os.environ, "PYTHONPATH": TREE, **found},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def _read(process: subprocess.Popen[bytes], until: Callable[[AnyEvent], bool]) -> list[AnyEvent]:
    assert process.stdout is not None
    found: list[AnyEvent] = []
    for line in process.stdout:
        event = decode(line)
        assert event is not None
        found.append(event)
        if until(event):
            return found
    raise AssertionError(f"the sampler ended after {len(found)} events")


def _samples(count: int, device: str = "host") -> Callable[[AnyEvent], bool]:
    left = [count]

    def done(event: AnyEvent) -> bool:
        left[0] -= isinstance(event, Telemetry) and event.device == device
        return left[0] <= 0

    return done


def _end(process: subprocess.Popen[bytes]) -> tuple[list[AnyEvent], str]:
    """Closes standard input; returns the events and stderr that were still to come."""
    out, err = process.communicate(timeout=5)
    assert process.returncode == 0
    return [event for line in out.splitlines() if (event := decode(line))], err.decode()


def test_samples_come_at_5_hz_until_standard_input_ends(start: Start) -> None:
    process = start("--name", "watcher")
    events = _read(process, _samples(12))
    times = [e.t_ns / 1e9 for e in events if isinstance(e, Telemetry) and e.device == "host"]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert 0.15 < statistics.median(gaps) < 0.25
    assert 1.8 < times[-1] - times[0] < 3.0
    assert {event.src for event in events} == {"watcher"}
    ended = time.monotonic()
    _, errors = _end(process)
    assert time.monotonic() - ended < 1
    assert errors == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_quietly(start: Start, number: signal.Signals) -> None:
    process = start()
    _read(process, _samples(1))
    process.send_signal(number)
    _, errors = _end(process)
    assert errors == ""


def test_a_reader_that_goes_ends_it_quietly(start: Start) -> None:
    process = start(nvml=(ONE_GPU,))
    _read(process, _samples(1))
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=2) == 0
    assert process.stderr.read() == b""


def test_a_slow_reader_is_told_what_it_missed(start: Start) -> None:
    process = start("--interval", "0.02", nvml=tuple(f"gpu GPU-{i} Fake H100" for i in range(8)))
    time.sleep(2)
    events = _read(process, lambda event: isinstance(event, Gap))
    assert isinstance(events[-1], Gap)
    assert "the reader was slow" in events[-1].reason
    assert len(events) > 100
    _end(process)


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
    start: Start, nvml: tuple[str, ...] | None, word: str, level: str
) -> None:
    process = start("--interval", "0.05", nvml=nvml)
    events = _read(process, _samples(5))
    rest, errors = _end(process)
    logs = [event for event in events + rest if isinstance(event, Log)]
    assert len(logs) == 1
    assert word in logs[0].text and logs[0].level == level
    assert {e.device for e in events if isinstance(e, Telemetry)} == {"host"}
    assert errors == ""


def test_a_gpu_is_watched_beside_the_host(start: Start) -> None:
    process = start("--interval", "0.05", nvml=(ONE_GPU,))
    events = _read(process, _samples(3, "GPU-1111"))
    values = [e.values for e in events if isinstance(e, Telemetry) and e.device == "GPU-1111"]
    assert values[0]["power_w"] == 350.0
    assert any(isinstance(e, Telemetry) and e.device == "host" for e in events)
    _end(process)


@pytest.mark.fault(31)
def test_a_call_that_never_returns_is_a_gap_and_the_host_goes_on(start: Start) -> None:
    process = start("--interval", "0.1", nvml=(ONE_GPU, "hang nvmlDeviceGetPowerUsage"))
    events = _read(process, lambda event: isinstance(event, Gap))
    gap = events[-1]
    assert isinstance(gap, Gap) and "stalled" in gap.reason
    hosts = [event for event in events if isinstance(event, Telemetry)]
    assert len(hosts) >= 20
    assert 2.5 < (gap.t_ns - hosts[0].t_ns) / 1e9 < 4
    after = _read(process, _samples(5))
    assert not any(isinstance(event, Gap) for event in after)
    _end(process)


def test_a_binding_that_breaks_is_one_line(start: Start) -> None:
    process = start("--interval", "0.05", nvml=("gpu GPU-1111 \udcff",))
    events = _read(process, _samples(3))
    (log,) = (event for event in events if isinstance(event, Log))
    assert log.level == "error" and log.text.startswith(
        "GPU telemetry has ended: UnicodeDecodeError"
    )
    _, errors = _end(process)
    assert errors == ""


def test_processes_are_watched_from_the_start_and_by_order(start: Start) -> None:
    process = start("--interval", "0.05", "--watch", f"tests={os.getpid()}")
    events = _read(process, _samples(1, "process:tests"))
    values = next(e.values for e in events if isinstance(e, Telemetry) and e.device != "host")
    assert set(values) == {"cpu_s", "rss_bytes"}
    assert process.stdin is not None
    process.stdin.write(f"watch sampler={process.pid}\nnonsense \x1b[31m\n".encode())
    process.stdin.flush()
    events = _read(process, _samples(1, "process:sampler"))
    rest, _ = _end(process)
    logs = [e.text for e in events + rest if isinstance(e, Log) and e.level == "warning"]
    assert len(logs) == 1
    assert "not an order" in logs[0] and "\x1b" not in logs[0]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal")
def test_it_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    parent_code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-m', 'txtop.telemetry'])\n"
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
        gone, _ = psutil.wait_procs([sampler], timeout=3)
        assert gone or sampler.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    "arguments", [["--interval", "0"], ["--interval", "x"], ["--watch", "a=b"], ["--bogus"]]
)
def test_wrong_arguments_exit_2(start: Start, arguments: list[str]) -> None:
    process = start(*arguments)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 2
    assert b"Traceback" not in errors


@pytest.mark.parametrize(
    ("nvml", "state", "word"),
    [
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
    ],
)
def test_the_probe_says_what_can_be_measured(
    start: Start, nvml: tuple[str, ...] | None, state: str, word: str
) -> None:
    process = start("--probe", nvml=nvml)
    output, errors = process.communicate(timeout=15)
    assert (process.returncode, errors) == (0, b"")
    lines = {each["capability"]: each for each in json.loads(output)["capabilities"]}
    assert set(lines) == {"cpu", "memory", "cpu power", "gpu"}
    assert lines["gpu"]["state"] == state
    assert word in lines["gpu"]["detail"]
    assert lines["cpu"]["state"] == lines["memory"]["state"] == "ok"
