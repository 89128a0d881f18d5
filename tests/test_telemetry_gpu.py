"""GPUs under a scripted NVML: fields that fail, values that make no sense, devices that go."""

from __future__ import annotations

import pytest
from fake_nvml import FakeGpu, FakeNvml, NVMLError

from txtop.events import Gap, Log, Telemetry
from txtop.telemetry import nvml
from txtop.telemetry.gpu import BOUNDS, RETRY_S, Gpus

LOST = FakeNvml.NVML_ERROR_GPU_IS_LOST
UNKNOWN = FakeNvml.NVML_ERROR_UNKNOWN


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _values(gpus: Gpus) -> dict[str, float | None]:
    (event,) = gpus.sample()
    assert isinstance(event, Telemetry)
    return event.values


def _kinds(gpus: Gpus) -> list[tuple[str, str]]:
    return [
        (type(event).__name__, event.device if isinstance(event, Telemetry) else "")
        for event in gpus.sample()
    ]


def test_a_sample_has_every_field_in_its_unit() -> None:
    gpus = Gpus(FakeNvml(FakeGpu()))
    (event,) = gpus.sample()
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
def test_a_field_that_is_not_supported_is_null_for_good(code: int) -> None:
    gpu = FakeGpu(errors={"nvmlDeviceGetPowerUsage": code, "nvmlDeviceGetMemoryInfo": code})
    fake = FakeNvml(gpu)
    gpus = Gpus(fake)
    for _ in range(3):
        values = _values(gpus)
        gpu.errors.clear()
    nulls = {name for name, value in values.items() if value is None}
    assert nulls == {"power_w", "memory_used_bytes", "memory_total_bytes"}
    assert fake.calls["nvmlDeviceGetPowerUsage"] == 1
    assert set(values) == set(BOUNDS)
    assert gpus.devices["GPU-1111"].unsupported == nulls


@pytest.mark.fault(30)
def test_insane_values_are_null_and_only_as_long_as_they_last() -> None:
    gpu = FakeGpu(utilization=4_000_000_000, memory_used=81 << 30, power_mw=4_294_967_295)
    gpus = Gpus(FakeNvml(gpu))
    values = _values(gpus)
    assert values["utilization"] is None
    assert values["memory_used_bytes"] is None and values["memory_total_bytes"] is None
    assert values["power_w"] is None
    assert values["temperature_c"] == 51
    gpu.utilization, gpu.memory_used = 100, 0
    values = _values(gpus)
    assert (values["utilization"], values["memory_used_bytes"]) == (100, 0)


def test_a_field_that_is_late_is_null_once() -> None:
    gpu = FakeGpu(errors={"nvmlDeviceGetUtilizationRates": FakeNvml.NVML_ERROR_TIMEOUT})
    gpus = Gpus(FakeNvml(gpu))
    assert _values(gpus)["utilization"] is None
    gpu.errors.clear()
    assert _values(gpus)["utilization"] == 37


@pytest.mark.parametrize("code", [LOST, UNKNOWN])
def test_a_lost_gpu_is_one_gap_and_the_others_go_on(code: int) -> None:
    bad, good = FakeGpu(uuid="GPU-bad"), FakeGpu(uuid="GPU-good")
    fake, clock = FakeNvml(bad, good), Clock()
    gpus = Gpus(fake, clock)
    assert _kinds(gpus) == [("Telemetry", "GPU-bad"), ("Telemetry", "GPU-good")]
    bad.errors["*"] = code
    gap, sample = gpus.sample()
    assert isinstance(gap, Gap) and isinstance(sample, Telemetry)
    assert gap.producer == "GPU-bad"
    assert gap.reason.startswith("Fake H100 stopped answering: NVML error")
    for _ in range(50):
        assert _kinds(gpus) == [("Telemetry", "GPU-good")]
    assert fake.calls["nvmlDeviceGetHandleByUUID"] == 0
    clock.now += RETRY_S
    for _ in range(50):
        assert _kinds(gpus) == [("Telemetry", "GPU-good")]
    assert fake.calls["nvmlDeviceGetHandleByUUID"] == 1
    assert fake.calls["nvmlInit"] == 1
    bad.errors.clear()
    clock.now += RETRY_S
    assert _kinds(gpus) == [("Log", ""), ("Telemetry", "GPU-good")]
    assert _kinds(gpus) == [("Telemetry", "GPU-bad"), ("Telemetry", "GPU-good")]


def test_when_all_are_lost_nvml_starts_anew_at_most_every_30_s() -> None:
    gpu = FakeGpu()
    fake, clock = FakeNvml(gpu), Clock()
    gpus = Gpus(fake, clock)
    gpu.errors["*"] = UNKNOWN
    fake.init_error = FakeNvml.NVML_ERROR_DRIVER_NOT_LOADED
    assert _kinds(gpus) == [("Gap", "")]
    for _ in range(20):
        clock.now += RETRY_S / 10
        assert gpus.sample() == []
    assert fake.calls["nvmlInit"] == 1 + 2
    gpu.errors.clear()
    fake.init_error = None
    clock.now += RETRY_S
    (event,) = gpus.sample()
    assert isinstance(event, Log) and event.text == "Fake H100 answers again"
    assert _values(gpus)["utilization"] == 37


def test_a_gpu_that_cannot_be_opened_is_named_and_the_others_are_watched() -> None:
    bad, good = FakeGpu(uuid="GPU-bad", errors={"*": LOST}), FakeGpu(uuid="GPU-good")
    gpus = Gpus(FakeNvml(bad, good))
    assert gpus.refused == ["GPU 0 cannot be opened: NVML error 15"]
    assert _kinds(gpus) == [("Telemetry", "GPU-good")]


def test_names_are_made_inert() -> None:
    gpus = Gpus(FakeNvml(FakeGpu(name="H\x1b[31m100")))
    assert gpus.devices["GPU-1111"].label == "H\\x1b[31m100"


@pytest.mark.fault(28)
@pytest.mark.parametrize(
    ("code", "state", "word"),
    [
        (12, "missing", "no NVIDIA library"),
        (9, "broken", "not loaded"),
        (18, "broken", "differ in version"),
        (4, "broken", "permission"),
        (999, "broken", "NVML error 999"),
    ],
)
def test_why_nvml_cannot_be_used_is_one_line_with_a_next_step(
    code: int, state: str, word: str
) -> None:
    fake = FakeNvml(init_error=code)
    with pytest.raises(NVMLError) as caught:
        Gpus(fake)
    trouble = nvml.explain(fake, caught.value)
    assert trouble.state == state
    assert word in trouble.cause
    assert trouble.hint and "\n" not in str(trouble)


def test_the_codes_scripted_here_are_nvidias() -> None:
    real = nvml.library()
    names = [name for name in vars(FakeNvml) if name.startswith("NVML_")]
    assert {name: getattr(real, name) for name in names} == {
        name: getattr(FakeNvml, name) for name in names
    }
    functions = [name for name in vars(FakeNvml) if name.startswith("nvml")]
    assert all(hasattr(real, name) for name in functions)
