"""A scripted stand-in for NVIDIA's binding: the module's outermost edge, nothing of txtop's."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace


class NVMLError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(f"NVML error {value}")
        self.value = value


@dataclass
class FakeGpu:
    """What a device answers. `errors` maps a call's name to the code that it raises."""

    uuid: str = "GPU-1111"
    name: str = "Fake H100"
    utilization: int = 37
    memory_used: int = 2 << 30
    memory_total: int = 80 << 30
    power_mw: int = 350_000
    errors: dict[str, int] = field(default_factory=dict)


class FakeNvml:
    """Looks like the module `pynvml`; `calls` counts what was asked."""

    NVMLError = NVMLError
    NVML_ERROR_NOT_SUPPORTED = 3
    NVML_ERROR_NO_PERMISSION = 4
    NVML_ERROR_DRIVER_NOT_LOADED = 9
    NVML_ERROR_TIMEOUT = 10
    NVML_ERROR_LIBRARY_NOT_FOUND = 12
    NVML_ERROR_FUNCTION_NOT_FOUND = 13
    NVML_ERROR_GPU_IS_LOST = 15
    NVML_ERROR_LIB_RM_VERSION_MISMATCH = 18
    NVML_ERROR_NO_DATA = 21
    NVML_ERROR_NOT_READY = 27
    NVML_ERROR_UNKNOWN = 999
    NVML_TEMPERATURE_GPU = 0
    NVML_CLOCK_SM = 1

    def __init__(
        self, *gpus: FakeGpu, init_error: int | None = None, hangs: str | None = None
    ) -> None:
        self.gpus = list(gpus)
        self.init_error = init_error
        self.hangs = hangs
        self.calls: Counter[str] = Counter()

    def _call(self, name: str, gpu: FakeGpu | None = None) -> None:
        self.calls[name] += 1
        if name == self.hangs:
            time.sleep(3600)
        if gpu is not None and (code := gpu.errors.get(name, gpu.errors.get("*"))) is not None:
            raise NVMLError(code)

    def nvmlInit(self) -> None:
        self._call("nvmlInit")
        if self.init_error is not None:
            raise NVMLError(self.init_error)

    def nvmlShutdown(self) -> None:
        self._call("nvmlShutdown")

    def nvmlSystemGetDriverVersion(self) -> str:
        return "999.99"

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeGpu:
        self._call("nvmlDeviceGetHandleByIndex", self.gpus[index])
        return self.gpus[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> FakeGpu:
        found = next(gpu for gpu in self.gpus if gpu.uuid == uuid)
        self._call("nvmlDeviceGetHandleByUUID", found)
        return found

    def nvmlDeviceGetUUID(self, gpu: FakeGpu) -> str:
        return gpu.uuid

    def nvmlDeviceGetName(self, gpu: FakeGpu) -> str:
        return gpu.name

    def nvmlDeviceGetUtilizationRates(self, gpu: FakeGpu) -> SimpleNamespace:
        self._call("nvmlDeviceGetUtilizationRates", gpu)
        return SimpleNamespace(gpu=gpu.utilization, memory=5)

    def nvmlDeviceGetMemoryInfo(self, gpu: FakeGpu) -> SimpleNamespace:
        self._call("nvmlDeviceGetMemoryInfo", gpu)
        return SimpleNamespace(used=gpu.memory_used, total=gpu.memory_total)

    def nvmlDeviceGetPowerUsage(self, gpu: FakeGpu) -> int:
        self._call("nvmlDeviceGetPowerUsage", gpu)
        return gpu.power_mw

    def nvmlDeviceGetEnforcedPowerLimit(self, gpu: FakeGpu) -> int:
        self._call("nvmlDeviceGetEnforcedPowerLimit", gpu)
        return 700_000

    def nvmlDeviceGetTemperature(self, gpu: FakeGpu, sensor: int) -> int:
        self._call("nvmlDeviceGetTemperature", gpu)
        return 51

    def nvmlDeviceGetClockInfo(self, gpu: FakeGpu, clock: int) -> int:
        self._call("nvmlDeviceGetClockInfo", gpu)
        return 1980

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, gpu: FakeGpu) -> int:
        self._call("nvmlDeviceGetCurrentClocksThrottleReasons", gpu)
        return 0x4
