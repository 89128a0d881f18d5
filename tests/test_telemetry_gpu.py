"""GPUs under a scripted NVML: fields that fail, values that make no sense, devices that go."""

from __future__ import annotations

from typing import Any

import pytest
from scripted_nvml import ONE_GPU, Scenario

from txtop.events import Gap, Log, Telemetry
from txtop.telemetry import nvml
from txtop.telemetry.gpu import BOUNDS, RETRY_S, Gpus

LOST, UNKNOWN = 15, 999
TWO_GPUS = ("gpu GPU-bad Fake H100", "gpu GPU-good Fake H100")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def binding(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> Any:
    """NVIDIA's own `pynvml`, over the scripted library."""
    scenario.load(monkeypatch)
    return nvml.library()


def _values(gpus: Gpus) -> dict[str, float | None]:
    (event,) = gpus.sample()
    assert isinstance(event, Telemetry)
    return event.values


def _kinds(gpus: Gpus) -> list[tuple[str, str]]:
    return [
        (type(event).__name__, event.device if isinstance(event, Telemetry) else "")
        for event in gpus.sample()
    ]


def test_a_sample_has_every_field_in_its_unit(binding: Any) -> None:
    (event,) = Gpus(binding).sample()
    assert isinstance(event, Telemetry)
    assert (event.device, event.label) == ("GPU-1111", "Fake H100")
    assert event.values == {
        "utilization": 37,
        "memory_used_bytes": 2 << 30,
        "memory_total_bytes": 80 << 30,
        "power_w": 350.0,
        "power_limit_w": 700.0,
        "temperature_c": 51,
        "sm_clock_mhz": 1980,
        "throttle_reasons": 4,
    }


@pytest.mark.fault(30)
@pytest.mark.parametrize("code", [3, 4, 13])
def test_a_field_that_is_not_supported_is_null_for_good(
    binding: Any, scenario: Scenario, code: int
) -> None:
    power, memory = "nvmlDeviceGetPowerUsage", "nvmlDeviceGetMemoryInfo"
    scenario.write(ONE_GPU, f"error {power} {code}", f"error {memory} {code}")
    gpus = Gpus(binding)
    for _ in range(3):
        values = _values(gpus)
        scenario.write(ONE_GPU)
    nulls = {name for name, value in values.items() if value is None}
    assert nulls == {"power_w", "memory_used_bytes", "memory_total_bytes"}
    assert scenario.calls(power) == 1
    assert set(values) == set(BOUNDS)
    assert gpus.devices["GPU-1111"].unsupported == nulls


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
    gpus = Gpus(binding)
    values = _values(gpus)
    assert values["utilization"] is None
    assert values["memory_used_bytes"] is None and values["memory_total_bytes"] is None
    assert values["power_w"] is None
    assert values["temperature_c"] == 51
    scenario.write(ONE_GPU, "set utilization 100", "set memory_used 0")
    values = _values(gpus)
    assert (values["utilization"], values["memory_used_bytes"]) == (100, 0)


def test_a_field_that_is_late_is_null_once(binding: Any, scenario: Scenario) -> None:
    scenario.write(ONE_GPU, "error nvmlDeviceGetUtilizationRates 10")
    gpus = Gpus(binding)
    assert _values(gpus)["utilization"] is None
    scenario.write(ONE_GPU)
    assert _values(gpus)["utilization"] == 37


@pytest.mark.fault(29)
@pytest.mark.parametrize("code", [LOST, UNKNOWN])
def test_a_lost_gpu_is_one_gap_and_the_others_go_on(
    binding: Any, scenario: Scenario, code: int
) -> None:
    scenario.write(*TWO_GPUS)
    clock = Clock()
    gpus = Gpus(binding, clock)
    assert _kinds(gpus) == [("Telemetry", "GPU-bad"), ("Telemetry", "GPU-good")]
    scenario.write(TWO_GPUS[0], f"error * {code}", TWO_GPUS[1])
    gap, sample = gpus.sample()
    assert isinstance(gap, Gap) and isinstance(sample, Telemetry)
    assert gap.producer == "GPU-bad"
    words = "GPU is lost" if code == LOST else "Unknown Error"
    assert gap.reason == f"Fake H100 stopped answering: {words}"
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
    gpus = Gpus(binding, clock)
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
    gpus = Gpus(binding)
    assert gpus.refused == ["GPU 0 cannot be opened: GPU is lost"]
    assert _kinds(gpus) == [("Telemetry", "GPU-good")]


def test_names_are_made_inert(binding: Any, scenario: Scenario) -> None:
    scenario.write("gpu GPU-1111 H\x1b[31m100")
    assert Gpus(binding).devices["GPU-1111"].label == "H\\x1b[31m100"


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
        Gpus(binding)
    trouble = nvml.explain(binding, caught.value)
    assert trouble.state == state
    assert word in trouble.cause
    assert trouble.hint and "\n" not in str(trouble)
