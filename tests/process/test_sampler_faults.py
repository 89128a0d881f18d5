"""Failures of GPUs, shown on the sampler's process over NVIDIA's binding."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from support.sampler_process import Metronome, Start, end, read, samples
from support.scripted_nvml import ONE_GPU, Scenario
from txtop.protocol.events import AnyEvent, Gap, Log, Telemetry
from txtop.sampler.nvidia import RETRY_S

INTERVAL_S = 0.05
FAST = ("--interval", str(INTERVAL_S))
BAD, GOOD = "gpu GPU-bad Fake H100", "gpu GPU-good Fake H100"


def _of(events: list[AnyEvent], device: str) -> list[dict[str, float | None]]:
    return [e.values for e in events if isinstance(e, Telemetry) and e.device == device]


def use(process: subprocess.Popen[bytes], *devices: str) -> None:
    """Have the devices read at every tick, as a runner does once they are in use."""
    assert process.stdin is not None
    for device in devices:
        process.stdin.write(f"use {device}\n".encode())
    process.stdin.flush()


def _is_log(event: AnyEvent) -> bool:
    return isinstance(event, Log)


@pytest.mark.fault(29)
@pytest.mark.parametrize(("code", "reason"), [(15, "GPU is lost"), (999, "Unknown Error")])
def test_a_gpu_lost_in_mid_run_is_one_gap_and_the_others_go_on(
    start_sampler: Start, code: int, reason: str
) -> None:
    process = start_sampler(*FAST, nvml=(BAD, f"after 60 error * {code}", GOOD))
    use(process, "GPU-bad", "GPU-good")
    events = read(process, lambda event: isinstance(event, Gap))
    gap = events[-1]
    assert isinstance(gap, Gap)
    assert (gap.producer, gap.reason) == ("GPU-bad", f"Fake H100 stopped answering: {reason}")
    assert len(_of(events, "GPU-bad")) >= 2
    after = read(process, samples(20, "GPU-good"))
    assert not any(isinstance(event, Gap) for event in after)
    assert _of(after, "GPU-bad") == []
    assert _of(after, "host")
    end(process)


@pytest.mark.slow
@pytest.mark.fault(29)
@pytest.mark.parametrize("others", [(), (GOOD,)])
def test_a_lost_gpu_that_comes_back_is_watched_again_within_half_a_minute(
    start_sampler: Start, scenario: Scenario, others: tuple[str, ...]
) -> None:
    process = start_sampler(*FAST, nvml=(BAD, "after 60 error * 999", *others))
    use(process, "GPU-bad", "GPU-good")
    read(process, lambda event: isinstance(event, Gap))
    scenario.write("set driver 1000.01", BAD, *others)
    events = read(process, _is_log)
    assert isinstance(events[-1], Log) and events[-1].text == "Fake H100 answers again"
    # The host is sampled all the while, which is the clock here.
    ticks = [event for event in events if isinstance(event, Telemetry) and event.device == "host"]
    assert 0.8 < len(ticks) * INTERVAL_S / RETRY_S < 1.2
    again = read(process, samples(1, "GPU-bad"))[-1]
    assert isinstance(again, Telemetry)
    assert again.versions["nvidia_driver"] == "1000.01"
    end(process)


@pytest.mark.fault(30)
def test_fields_that_are_unsupported_forbidden_or_insane_are_null_and_never_0(
    start_sampler: Start,
) -> None:
    process = start_sampler(
        *FAST,
        nvml=(
            ONE_GPU,
            "error nvmlDeviceGetPowerUsage 3",
            "error nvmlDeviceGetTotalEnergyConsumption 3",
            "error nvmlDeviceGetTemperature 4",
            "set utilization 4000000000",
            f"set memory_used {81 << 30}",
        ),
    )
    samples_read = _of(read(process, samples(5, "GPU-1111")), "GPU-1111")
    nulls = {
        "power_w",
        "energy_j",
        "temperature_c",
        "utilization",
        "memory_used_bytes",
        "memory_total_bytes",
    }
    for values in samples_read:
        assert {name for name in nulls if values[name] is None} == nulls
        assert values["sm_clock_mhz"] == 1980
    end(process)


@pytest.mark.fault(31)
def test_a_call_that_never_returns_is_a_gap_and_the_host_goes_on(
    start_sampler: Start, tmp_path: Path
) -> None:
    calls = ("nvmlDeviceGetPowerUsage", "nvmlDeviceGetPcieThroughput")
    # It takes seconds to say so: both wait at the same time.
    for process in [
        start_sampler("--interval", "0.1", nvml=(ONE_GPU, f"hang {call}"), folder=tmp_path / call)
        for call in calls
    ]:
        events = read(process, lambda event: isinstance(event, Gap))
        gap = events[-1]
        assert isinstance(gap, Gap) and "stalled" in gap.reason
        hosts = [event for event in events if isinstance(event, Telemetry)]
        # Three seconds at ten a second, which a busy machine makes fewer.
        assert 20 <= len(hosts) <= 40
        after = read(process, samples(5))
        assert not any(isinstance(event, Gap) for event in after)
        end(process)


def test_of_eight_gpus_the_one_in_use_comes_at_5_hz_and_the_others_hardly(
    start_sampler: Start,
) -> None:
    process = start_sampler(nvml=tuple(f"gpu GPU-{i} Fake H100" for i in range(8)))
    use(process, "GPU-3")
    read(process, samples(3, "GPU-3"))  # those before the order have come
    control = Metronome()
    events = read(process, samples(21, "GPU-3"))
    own = [e.t_ns for e in events if isinstance(e, Telemetry) and e.device == "GPU-3"]
    gaps_ns = [later - earlier for earlier, later in pairwise(own)]
    assert statistics.median(gaps_ns) == pytest.approx(control.stop_and_measure(), rel=0.25)
    assert all(len(_of(events, f"GPU-{i}")) <= 1 for i in range(8) if i != 3)
    end(process)


def test_throttling_is_seen_when_it_begins(start_sampler: Start) -> None:
    process = start_sampler(*FAST, nvml=(ONE_GPU, "after 40 set throttle_reasons 0x20"))
    seen = [v["throttle_reasons"] for v in _of(read(process, samples(8, "GPU-1111")), "GPU-1111")]
    assert (seen[0], seen[-1]) == (4, 0x20)
    assert seen == sorted(seen)
    end(process)


def test_a_foreign_process_is_counted_and_the_runs_own_is_not(
    start_sampler: Start, scenario: Scenario
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as worker:
        process = start_sampler(
            *FAST,
            "--watch",
            f"runner={worker.pid}",
            nvml=(ONE_GPU, f"process {worker.pid} 1000", f"process {os.getpid()} 7"),
        )
        values = _of(read(process, samples(1, "GPU-1111")), "GPU-1111")[0]
        assert values["memory_run_bytes"] == 1000
        in_a_container = os.readlink("/proc/self/ns/pid") != "pid:[4026531836]"
        assert values["foreign_processes"] == (None if in_a_container else 1)
        end(process)
        worker.kill()


@pytest.mark.fault(32)
@pytest.mark.parametrize("visible", ["", "1,0", "GPU-b", "MIG-two", "-1"])
def test_what_cuda_may_see_changes_no_devices_name_or_values(
    start_sampler: Start, monkeypatch: pytest.MonkeyPatch, visible: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    process = start_sampler(
        *FAST,
        nvml=(
            "gpu GPU-a Fake H100",
            "set power_mw 100000",
            "gpu GPU-b Fake H100",
            "set power_mw 200000",
            "set mig_mode 1",
            "set mig_devices_at_most 7",
            "error nvmlDeviceGetUtilizationRates 3",
            "mig MIG-one Fake H100 MIG 3g.40gb",
            "error nvmlDeviceGetPowerUsage 2",
            "set memory_used 1",
            "mig MIG-two Fake H100 MIG 3g.40gb",
            "error nvmlDeviceGetPowerUsage 3",
            "set memory_used 2",
        ),
    )
    events = read(process, samples(1, "MIG-two"))
    values_by_device = {
        device: (values["power_w"], values["memory_used_bytes"], values["utilization"])
        for device in ("GPU-a", "GPU-b", "MIG-one", "MIG-two")
        for values in _of(events, device)
    }
    assert values_by_device == {
        "GPU-a": (100, 2 << 30, 37),
        "GPU-b": (200, 2 << 30, None),
        "MIG-one": (None, 1, 37),
        "MIG-two": (None, 2, 37),
    }
    assert not any(isinstance(event, Gap | Log) for event in events)
    end(process)
