"""GPUs under a scripted NVML: fields that fail, implausible values, devices that disappear."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.scripted_nvml import ONE_GPU, Scenario
from txtop.protocol.events import Gap, Log, Telemetry
from txtop.sampler import nvml_import
from txtop.sampler.gpu_processes import FIELD_NAMES, GpuProcesses
from txtop.sampler.gpu_rates import GpuRates
from txtop.sampler.nvidia import RETRY_S, SLOW_S, NvidiaGpus
from txtop.sampler.nvidia_fields import FIELD_BOUNDS, PCIE_FIELDS, SLOW_FIELDS
from txtop.sampler.process_usage import WatchedProcesses

LOST, UNKNOWN = 15, 999
TWO_GPUS = ("gpu GPU-bad Fake H100", "gpu GPU-good Fake H100")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def binding(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Load NVIDIA's own `pynvml` over the scripted library."""
    scenario.load(monkeypatch)
    return nvml_import.import_nvml()


def _values(gpus: NvidiaGpus) -> dict[str, float | None]:
    (event,) = gpus.sample()
    assert isinstance(event, Telemetry)
    return event.values


def _kinds(gpus: NvidiaGpus) -> list[tuple[str, str]]:
    return [
        (type(event).__name__, event.device if isinstance(event, Telemetry) else "")
        for event in gpus.sample()
    ]


def test_a_sample_has_every_field_in_its_unit(binding: Any, scenario: Scenario) -> None:
    scenario.write(
        ONE_GPU,
        "set energy_mj 123456",
        "set memory_clock_mhz 2619",
        "set max_sm_clock_mhz 2100",
        "set pcie_rx_kb 64000",
        "set pcie_tx_kb 16000",
    )
    (event,) = NvidiaGpus(binding, WatchedProcesses()).sample()
    assert isinstance(event, Telemetry)
    assert (event.device, event.label) == ("GPU-1111", "Fake H100")
    assert event.values == {
        "utilization": 37,
        "memory_used_bytes": 2 << 30,
        "memory_total_bytes": 80 << 30,
        "power_w": 350.0,
        "power_limit_w": 700.0,
        "energy_j": 123.456,
        "temperature_c": 51,
        "sm_clock_mhz": 1980,
        "max_sm_clock_mhz": 2100,
        "memory_clock_mhz": 2619,
        "throttle_reasons": 4,
        "pcie_rx_bytes_per_s": 64e6,
        "pcie_tx_bytes_per_s": 16e6,
        "memory_run_bytes": None,
        "foreign_processes": None,
    }
    assert event.versions == {"nvidia_driver": "999.99", "nvml": "12.999.99", "cuda_driver": "12.8"}


def test_versions_come_with_the_first_sample_alone(binding: Any, scenario: Scenario) -> None:
    scenario.write("error nvmlSystemGetCudaDriverVersion_v2 6", ONE_GPU)
    gpus = NvidiaGpus(binding, WatchedProcesses())
    versions = [event.versions for _ in range(3) for event in gpus.sample()]
    assert versions == [{"nvidia_driver": "999.99", "nvml": "12.999.99"}, {}, {}]


def _facts(gpus: NvidiaGpus) -> list[dict[str, str]]:
    return [event.facts for event in gpus.sample() if isinstance(event, Telemetry)]


def test_settings_come_once_with_the_first_sample(binding: Any, scenario: Scenario) -> None:
    settings = (
        "set power_limit_mw 350500",
        "set application_clock_mhz 1410",
        "set default_clock_mhz 1095",
        "set compute_mode 3",
        "set ecc 0",
        "set mig_mode 0",
        "set capability 120",
        "set power_instant_mw 100",
    )
    scenario.write(ONE_GPU, *settings)
    gpus = NvidiaGpus(binding, WatchedProcesses())
    first, second = _facts(gpus), _facts(gpus)
    assert (first, second) == (
        [
            {
                "compute_capability": "12.0",
                "power_limit_w": "350.5",
                "default_power_limit_w": "700",
                "application_clock_mhz": "1410",
                "default_application_clock_mhz": "1095",
                "persistence_mode": "on",
                "compute_mode": "exclusive process",
                "ecc": "off",
                "mig": "off",
                "memory_reserved_bytes": str(512 << 20),
                "power_reading": "instant",
            }
        ],
        [{}],
    )


def test_settings_that_a_device_lacks_are_left_out(binding: Any, scenario: Scenario) -> None:
    scenario.write(
        *MIG[:4],
        "error nvmlDeviceGetEccMode 3",
        "error nvmlDeviceGetCudaComputeCapability 999",
        "error nvmlDeviceGetMemoryInfo_v2 13",
        *MIG[4:6],
        "error nvmlDeviceGetPersistenceMode 2",
    )
    whole, part = _facts(NvidiaGpus(binding, WatchedProcesses()))
    lacking = {"ecc", "compute_capability", "memory_reserved_bytes", "mig_profile"}
    assert not lacking & set(whole)
    assert (whole["mig"], whole["power_reading"]) == ("on", "driver's mean")
    assert part["mig_profile"] == "1g.10gb" and "persistence_mode" not in part


def _write_eight(scenario: Scenario) -> None:
    scenario.write(*(f"gpu GPU-{i} Fake H100" for i in range(8)))


def _sample_for(gpus: NvidiaGpus, clock: Clock, seconds: float) -> list[Telemetry]:
    """The samples of that time at 5 ticks a second."""
    told: list[Telemetry] = []
    for _ in range(round(5 * seconds)):
        told += [event for event in gpus.sample() if isinstance(event, Telemetry)]
        clock.now += 0.2
    return told


def _count(told: list[Telemetry], field: str = "power_w") -> dict[str, int]:
    return {
        f"GPU-{i}": sum(e.device == f"GPU-{i}" and field in e.values for e in told)
        for i in range(8)
    }


def test_of_eight_gpus_the_one_in_use_is_read_at_every_tick_and_the_others_rarely(
    binding: Any, scenario: Scenario
) -> None:
    _write_eight(scenario)
    clock = Clock()
    gpus = NvidiaGpus(binding, WatchedProcesses(), clock)
    gpus.rates.use("GPU-3")
    told = _sample_for(gpus, clock, 60)
    counts = _count(told)
    assert counts.pop("GPU-3") == 300
    assert set(counts.values()) == {12}
    assert len(told) < 8 * 300 / 5
    assert [event.device for event in told[:8]].count("GPU-3") == 1  # each at once
    in_use = {"GPU-3": 60}
    assert _count(told, "pcie_rx_bytes_per_s") == dict.fromkeys(counts, 0) | in_use
    assert _count(told, "foreign_processes") == dict.fromkeys(counts, 12) | in_use
    assert all(
        set(event.values) == set(FIELD_BOUNDS) - {"pcie_rx_bytes_per_s", "pcie_tx_bytes_per_s"}
        for event in told
        if event.device != "GPU-3"
    )


def test_a_device_that_comes_into_use_is_read_at_the_next_tick(
    binding: Any, scenario: Scenario
) -> None:
    _write_eight(scenario)
    clock = Clock()
    gpus = NvidiaGpus(binding, WatchedProcesses(), clock)
    gpus.rates.use("GPU-0")
    _sample_for(gpus, clock, 2)
    gpus.rates.use("GPU-5")
    told = _sample_for(gpus, clock, 2)
    assert [event.device for event in told] == ["GPU-0", "GPU-5"] * 10


@pytest.mark.parametrize(
    ("gpus", "named", "in_10_s"),
    [
        (8, (), {13}),  # never over 1 s apart, which would be a hole in idle power
        (8, ("GPU-from-elsewhere",), {13}),
        (8, ("host",), {2}),
        (1, (), {50}),
        (1, ("GPU-from-elsewhere",), {50}),
        (1, ("host",), {2}),
    ],
)
def test_readings_of_gpus_of_which_none_is_in_use(
    gpus: int, named: tuple[str, ...], in_10_s: set[int]
) -> None:
    clock = Clock()
    rates = GpuRates(clock)
    for name in named:
        rates.use(name)
    names = [f"GPU-{i}" for i in range(gpus)]
    told: list[str] = []
    for _ in range(50):
        told += rates.find_due(names)
        clock.now += 0.198  # ticks are never exact
    assert {told.count(name) for name in names} == in_10_s


def test_a_part_of_a_gpu_is_in_use_under_either_name() -> None:
    rates = GpuRates(Clock())
    rates.use("GPU-1234")
    assert rates.find_due(["GPU-whole", "MIG-1234"]) == {"MIG-1234": True, "GPU-whole": False}
    assert rates.find_due(["GPU-whole", "MIG-1234"]) == {"MIG-1234": True}


def test_slow_fields_are_read_once_a_second_and_of_one_device_in_use_a_sample(
    binding: Any, scenario: Scenario
) -> None:
    _write_eight(scenario)
    clock = Clock()
    gpus = NvidiaGpus(binding, WatchedProcesses(), clock)
    for i in range(8):
        gpus.rates.use(f"GPU-{i}")
    slow = {name for names in (SLOW_FIELDS | PCIE_FIELDS).values() for name in names}
    slow |= set(FIELD_NAMES)
    read = []
    for _ in range(16):
        events = [event for event in gpus.sample() if isinstance(event, Telemetry)]
        assert all(
            set(event.values) in (set(FIELD_BOUNDS), set(FIELD_BOUNDS) - slow) for event in events
        )
        read.append([event.device for event in events if slow & set(event.values)])
        clock.now += 0.2
    assert read == [[f"GPU-{i}"] for i in [*range(8), *range(8)]]
    scenario.write("gpu GPU-0 Fake H100")
    gpus, before = (
        NvidiaGpus(binding, WatchedProcesses(), clock),
        scenario.calls("nvmlDeviceGetPcieThroughput"),
    )
    for _ in range(10):
        gpus.sample()
        clock.now += SLOW_S / 5
    assert scenario.calls("nvmlDeviceGetPcieThroughput") == before + 2 * 2


@pytest.mark.fault(30)
@pytest.mark.parametrize("code", [3, 4, 13])
def test_a_field_that_is_not_supported_is_null_for_good(
    binding: Any, scenario: Scenario, code: int
) -> None:
    power, memory = "nvmlDeviceGetPowerUsage", "nvmlDeviceGetMemoryInfo"
    scenario.write(ONE_GPU, f"error {power} {code}", f"error {memory} {code}")
    gpus = NvidiaGpus(binding, WatchedProcesses())
    for _ in range(3):
        values = _values(gpus)
        scenario.write(ONE_GPU)
    nulls = {name for name, value in values.items() if value is None}
    assert nulls == {"power_w", "memory_used_bytes", "memory_total_bytes"}
    assert scenario.calls(power) == 1
    assert gpus.devices["GPU-1111"].unsupported == nulls


def test_power_is_that_of_the_instant_where_the_driver_has_it(
    binding: Any, scenario: Scenario
) -> None:
    scenario.write(ONE_GPU, "set power_instant_mw 420500")
    gpus = NvidiaGpus(binding, WatchedProcesses())
    assert _values(gpus)["power_w"] == 420.5
    # A mean over a second must not fill the holes of a series of instants.
    scenario.write(ONE_GPU, "set power_instant_mw 420500", f"set power_instant_code {UNKNOWN}")
    assert _values(gpus)["power_w"] is None
    assert scenario.calls("nvmlDeviceGetPowerUsage") == 0


@pytest.mark.parametrize(
    "lacking", ["", "error nvmlDeviceGetFieldValues 13", "set power_instant_code 2"]
)
def test_power_is_the_drivers_mean_where_there_is_no_instant(
    binding: Any, scenario: Scenario, lacking: str
) -> None:
    scenario.write(ONE_GPU, lacking)
    gpus = NvidiaGpus(binding, WatchedProcesses())
    assert [_values(gpus)["power_w"] for _ in range(3)] == [350.0] * 3
    assert scenario.calls("nvmlDeviceGetFieldValues") == 1


@pytest.mark.fault(30)
def test_insane_values_are_null_and_only_as_long_as_they_last(
    binding: Any, scenario: Scenario
) -> None:
    scenario.write(
        ONE_GPU,
        "set utilization 4000000000",
        f"set memory_used {81 << 30}",
        "set power_mw 4294967295",
    )
    gpus = NvidiaGpus(binding, WatchedProcesses())
    values = _values(gpus)
    assert values["utilization"] is None
    assert values["memory_used_bytes"] is None and values["memory_total_bytes"] is None
    assert values["power_w"] is None
    assert values["temperature_c"] == 51
    scenario.write(ONE_GPU, "set utilization 100", "set memory_used 0")
    values = _values(gpus)
    assert (values["utilization"], values["memory_used_bytes"]) == (100, 0)


@pytest.mark.fault(30)
@pytest.mark.parametrize(
    ("name", "insane"),
    [
        ("energy_j", "set energy_mj 18446744073709551615"),
        ("memory_clock_mhz", "set memory_clock_mhz 4294967295"),
        ("max_sm_clock_mhz", "set max_sm_clock_mhz 0"),
        ("pcie_rx_bytes_per_s", "set pcie_rx_kb 4294967295"),
        ("pcie_tx_bytes_per_s", "set pcie_tx_kb 4294967295"),
        ("throttle_reasons", "set throttle_reasons 18446744073709551615"),
        ("energy_j", "error nvmlDeviceGetTotalEnergyConsumption 3"),
        ("pcie_rx_bytes_per_s", "error nvmlDeviceGetPcieThroughput 3"),
        ("foreign_processes", "error nvmlDeviceGetComputeRunningProcesses_v3 13"),
    ],
)
def test_a_field_that_is_insane_or_unsupported_is_null_and_the_rest_is_read(
    binding: Any, scenario: Scenario, name: str, insane: str
) -> None:
    scenario.write(ONE_GPU, insane)
    values = _values(NvidiaGpus(binding, WatchedProcesses()))
    assert values[name] is None
    assert values["utilization"] == 37


@pytest.fixture
def run(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process with a child, as a runner has a worker, of which this one is no ancestor."""
    command = ["sh", "-c", "sleep 60 & echo $!; wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        yield process
        for member in (*psutil.Process(process.pid).children(), process):
            member.kill()


def _namespace(folder: Path, number: int) -> Path:
    link = folder / "pid"
    link.symlink_to(f"pid:[{number}]")
    return link


EVERY_PROCESS, A_CONTAINER = 4026531836, 4026532999


def test_the_run_and_its_children_are_told_from_foreign_processes(
    binding: Any, scenario: Scenario, run: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    assert run.stdout is not None
    worker = int(run.stdout.readline())
    lines = [f"process {run.pid} 100", f"process {worker} 1000", f"process {os.getpid()} 70"]
    watched = WatchedProcesses()
    read = GpuProcesses(watched, _namespace(tmp_path, EVERY_PROCESS))
    scenario.write(ONE_GPU, *lines)
    binding.nvmlInit()
    gpu = binding.nvmlDeviceGetHandleByIndex(0)
    nothing = dict.fromkeys(FIELD_NAMES)
    assert read(binding, gpu) == nothing
    # Without a run there is nobody to be foreign to, but who holds the memory is known.
    assert [process.memory_bytes for process in read.foreign] == [1000, 100, 70]
    watched.add(f"runner={run.pid}")
    assert read(binding, gpu) == {"memory_run_bytes": 1100, "foreign_processes": 1}
    (other,) = read.foreign
    assert (other.pid, other.memory_bytes) == (os.getpid(), 70)
    assert other.name == Path("/proc/self/comm").read_text().strip()
    scenario.write(ONE_GPU)
    assert read(binding, gpu) == {"memory_run_bytes": 0, "foreign_processes": 0}
    assert not read.foreign
    # NVML's word for a memory that it cannot tell.
    scenario.write(ONE_GPU, f"process {worker} {2**64 - 1}")
    assert read(binding, gpu) == {"memory_run_bytes": None, "foreign_processes": 0}


def test_who_else_is_on_a_gpu_is_told_when_it_changes(
    binding: Any, scenario: Scenario, run: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("txtop.sampler.gpu_processes._sees_every_process", lambda _: True)
    monkeypatch.setattr("txtop.sampler.gpu_processes.MAX_NAMED", 2)
    watched, clock = WatchedProcesses(), Clock()
    watched.add(f"runner={run.pid}")
    gpus = NvidiaGpus(binding, watched, clock)
    many = [
        f"process {pid} {size}" for pid, size in ((os.getpid(), 70), (1, 90), (os.getppid(), 5))
    ]
    foreign = []
    for lines in ([], [], many[:1], many[:1], many, []):
        scenario.write(ONE_GPU, *lines)
        (event,) = gpus.sample()
        assert isinstance(event, Telemetry)
        foreign.append(event.foreign)
        clock.now += SLOW_S
    assert [None if processes is None else len(processes) for processes in foreign] == [
        0,
        None,
        1,
        None,
        2,
        0,
    ]
    assert foreign[4] is not None
    assert [(process.pid, process.memory_bytes) for process in foreign[4]] == [
        (1, 90),
        (os.getpid(), 70),
    ]


def test_in_a_container_foreign_processes_cannot_be_counted(
    binding: Any, scenario: Scenario, run: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    watched = WatchedProcesses()
    watched.add(f"runner={run.pid}")
    binding.nvmlInit()
    gpu = binding.nvmlDeviceGetHandleByIndex(0)
    for number in (EVERY_PROCESS, A_CONTAINER):
        folder = tmp_path / str(number)
        folder.mkdir()
        read = partial(GpuProcesses(watched, _namespace(folder, number)), binding, gpu)
        scenario.write(ONE_GPU, f"process {gone.pid} 100")
        assert read() == dict.fromkeys(FIELD_NAMES)
        scenario.write(ONE_GPU, f"process {gone.pid} 100", f"process {run.pid} 7")
        assert read() == {"memory_run_bytes": 7, "foreign_processes": None}
    scenario.write(ONE_GPU)
    assert read() == dict.fromkeys(FIELD_NAMES)


MIG = (
    "gpu GPU-whole Fake H100",
    "set mig_mode 1",
    "set mig_devices_at_most 7",
    "error nvmlDeviceGetUtilizationRates 3",
    "mig MIG-one Fake H100 MIG 1g.10gb",
    "set memory_used 1024",
    "error nvmlDeviceGetPowerUsage 2",
    "error nvmlDeviceGetUtilizationRates 3",
    "mig MIG-two Fake H100 MIG 1g.10gb",
    "error nvmlDeviceGetUtilizationRates 3",
    "gpu GPU-other Fake H100",
    "set mig_mode 0",
)


@pytest.mark.fault(32)
def test_mig_devices_are_devices_of_their_own_beside_their_gpu(
    binding: Any, scenario: Scenario
) -> None:
    scenario.write(*MIG)
    gpus = NvidiaGpus(binding, WatchedProcesses())
    assert gpus.refused == []
    events = [event for event in gpus.sample() if isinstance(event, Telemetry)]
    assert [event.device for event in events] == ["GPU-whole", "MIG-one", "MIG-two", "GPU-other"]
    whole, one, _, other = (event.values for event in events)
    assert (whole["utilization"], whole["power_w"]) == (None, 350.0)
    assert (one["utilization"], one["power_w"], one["memory_used_bytes"]) == (None, None, 1024)
    assert other["utilization"] == 37
    assert events[1].label == "Fake H100 MIG 1g.10gb"


def test_a_mig_device_that_cannot_be_opened_is_named(binding: Any, scenario: Scenario) -> None:
    scenario.write(*MIG[:5], "error nvmlDeviceGetUUID 4", *MIG[-2:])
    gpus = NvidiaGpus(binding, WatchedProcesses())
    assert gpus.refused == ["a MIG device of GPU 0 cannot be opened: Insufficient Permissions"]
    assert list(gpus.devices) == ["GPU-whole", "GPU-other"]


# NVML's codes: https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html
UNINITIALIZED, RESET_REQUIRED = 1, 16
FOR_GOOD = (3, 4, 13, 25, 26)
FOR_NOW = (
    2,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    14,
    17,
    18,
    19,
    20,
    21,
    22,
    23,
    24,
    27,
    28,
    29,
    30,
    31,
    999,
)


@pytest.mark.fault(30)
@pytest.mark.parametrize("code", [*FOR_GOOD, *FOR_NOW])
@pytest.mark.parametrize(
    ("function", "name"),
    [
        ("nvmlDeviceGetUtilizationRates", "utilization"),
        ("nvmlDeviceGetComputeRunningProcesses_v3", "foreign_processes"),
    ],
)
def test_an_error_of_one_field_is_that_field_without_a_value(
    binding: Any, scenario: Scenario, code: int, function: str, name: str
) -> None:
    scenario.write(ONE_GPU, f"error {function} {code}")
    gpus = NvidiaGpus(binding, WatchedProcesses())
    values = _values(gpus)
    assert values[name] is None
    assert values["temperature_c"] == 51 and values["power_w"] == 350
    scenario.write(ONE_GPU)
    again = gpus.devices["GPU-1111"].values()
    if name == "utilization":
        assert again[name] == (None if code in FOR_GOOD else 37)
    assert (name in gpus.devices["GPU-1111"].unsupported) == (code in FOR_GOOD)


@pytest.mark.fault(29)
@pytest.mark.parametrize("code", [LOST, RESET_REQUIRED, UNINITIALIZED])
def test_an_error_that_says_so_loses_the_device_whatever_field_it_came_from(
    binding: Any, scenario: Scenario, code: int
) -> None:
    scenario.write(ONE_GPU, f"error nvmlDeviceGetTemperature {code}")
    gpus = NvidiaGpus(binding, WatchedProcesses())
    assert _kinds(gpus) == [("Gap", "")]
    assert gpus.sample() == []


@pytest.mark.fault(29)
@pytest.mark.parametrize("code", [10, 17, UNKNOWN])
def test_a_device_without_one_answer_is_lost_whatever_the_error(
    binding: Any, scenario: Scenario, code: int
) -> None:
    gpus = NvidiaGpus(binding, WatchedProcesses())
    scenario.write(ONE_GPU, f"error * {code}")
    assert _kinds(gpus) == [("Gap", "")]


def test_a_list_of_processes_that_fails_is_no_list_of_fewer(
    binding: Any, scenario: Scenario, run: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("txtop.sampler.gpu_processes._sees_every_process", lambda _: True)
    watched, clock = WatchedProcesses(), Clock()
    watched.add(f"runner={run.pid}")
    gpus = NvidiaGpus(binding, watched, clock)
    here = f"process {os.getpid()} 70"
    told: list[tuple[float | None, bool]] = []
    for line in ("", "error nvmlDeviceGetGraphicsRunningProcesses_v3 7", ""):
        scenario.write(ONE_GPU, here, line)
        (event,) = gpus.sample()
        assert isinstance(event, Telemetry)
        told.append((event.values["foreign_processes"], event.foreign is None))
        clock.now += SLOW_S
    assert told == [(1, False), (None, True), (1, True)]


@pytest.mark.parametrize("code", [0, 2, 3, 4, 13])
def test_processes_that_draw_count_too_and_those_in_both_lists_once(
    binding: Any,
    scenario: Scenario,
    run: subprocess.Popen[bytes],
    tmp_path: Path,
    code: int,
) -> None:
    """With a code but 0, the device has no such list."""
    watched = WatchedProcesses()
    watched.add(f"runner={run.pid}")
    read = GpuProcesses(watched, _namespace(tmp_path, EVERY_PROCESS))
    scenario.write(
        ONE_GPU,
        f"process {run.pid} 100",
        f"process {os.getpid()} 70",
        f"graphics {os.getpid()} 90",
        f"graphics {os.getppid()} 5",
        f"error nvmlDeviceGetGraphicsRunningProcesses_v3 {code}",
    )
    binding.nvmlInit()
    gpu = binding.nvmlDeviceGetHandleByIndex(0)
    for _ in range(2):
        counted = read(binding, gpu)
        assert counted == {"memory_run_bytes": 100, "foreign_processes": 1 if code else 2}
        assert [(p.pid, p.memory_bytes) for p in read.foreign] == (
            [(os.getpid(), 70)] if code else [(os.getpid(), 90), (os.getppid(), 5)]
        )
    calls = scenario.calls("nvmlDeviceGetGraphicsRunningProcesses_v3")
    assert calls == (1 if code else 4)


@pytest.mark.fault(29)
@pytest.mark.parametrize("code", [LOST, UNKNOWN])
def test_a_lost_gpu_is_one_gap_and_the_others_go_on(
    binding: Any, scenario: Scenario, code: int
) -> None:
    scenario.write(*TWO_GPUS)
    clock = Clock()
    gpus = NvidiaGpus(binding, WatchedProcesses(), clock)
    gpus.rates.use("GPU-bad")
    gpus.rates.use("GPU-good")
    assert _kinds(gpus) == [("Telemetry", "GPU-bad"), ("Telemetry", "GPU-good")]
    scenario.write(TWO_GPUS[0], f"error * {code}", TWO_GPUS[1])
    gap, sample = gpus.sample()
    assert isinstance(gap, Gap) and isinstance(sample, Telemetry)
    assert gap.producer == "GPU-bad"
    reason = "GPU is lost" if code == LOST else "Unknown Error"
    assert gap.reason == f"Fake H100 stopped answering: {reason}"
    for _ in range(50):
        assert _kinds(gpus) == [("Telemetry", "GPU-good")]
    assert scenario.calls("nvmlDeviceGetHandleByUUID") == 0
    clock.now += RETRY_S
    for _ in range(50):
        assert _kinds(gpus) == [("Telemetry", "GPU-good")]
    assert scenario.calls("nvmlDeviceGetHandleByUUID") == 1
    assert scenario.calls("nvmlInitWithFlags") == 1
    scenario.write(*TWO_GPUS)
    clock.now += RETRY_S
    assert _kinds(gpus) == [("Log", ""), ("Telemetry", "GPU-good")]
    assert _kinds(gpus) == [("Telemetry", "GPU-bad"), ("Telemetry", "GPU-good")]


@pytest.mark.fault(29)
def test_when_all_are_lost_nvml_starts_anew_at_most_every_30_s(
    binding: Any, scenario: Scenario
) -> None:
    clock = Clock()
    gpus = NvidiaGpus(binding, WatchedProcesses(), clock)
    scenario.write("error nvmlInitWithFlags 9", ONE_GPU, "error * 999")
    assert _kinds(gpus) == [("Gap", "")]
    for _ in range(20):
        clock.now += RETRY_S / 10
        assert gpus.sample() == []
    assert scenario.calls("nvmlInitWithFlags") == 1 + 2
    scenario.write(ONE_GPU)
    clock.now += RETRY_S
    (event,) = gpus.sample()
    assert isinstance(event, Log) and event.text == "Fake H100 answers again"
    assert _values(gpus)["utilization"] == 37


def test_a_gpu_that_cannot_be_opened_is_named_and_the_others_are_watched(
    binding: Any, scenario: Scenario
) -> None:
    scenario.write(TWO_GPUS[0], f"error * {LOST}", TWO_GPUS[1])
    gpus = NvidiaGpus(binding, WatchedProcesses())
    assert gpus.refused == ["GPU 0 cannot be opened: GPU is lost"]
    assert _kinds(gpus) == [("Telemetry", "GPU-good")]


def test_names_are_made_inert(binding: Any, scenario: Scenario) -> None:
    scenario.write("gpu GPU-1111 H\x1b[31m100")
    assert NvidiaGpus(binding, WatchedProcesses()).devices["GPU-1111"].label == "H\\x1b[31m100"


@pytest.mark.fault(28)
@pytest.mark.parametrize(
    ("code", "state", "word"),
    [
        (12, "missing", "no NVIDIA library"),
        (9, "broken", "not loaded"),
        (18, "broken", "differ in version"),
        (4, "broken", "permission"),
        (999, "broken", "Unknown Error"),
    ],
)
def test_why_nvml_cannot_be_used_is_one_line_with_a_next_step(
    binding: Any, scenario: Scenario, code: int, state: str, word: str
) -> None:
    scenario.write(f"error nvmlInitWithFlags {code}", ONE_GPU)
    with pytest.raises(binding.NVMLError) as caught:
        NvidiaGpus(binding, WatchedProcesses())
    trouble = nvml_import.explain_error(binding, caught.value)
    assert trouble.state == state
    assert word in trouble.cause
    assert trouble.hint and "\n" not in str(trouble)
