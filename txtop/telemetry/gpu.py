"""GPUs through NVML, known by their UUID and never by an index.

https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from txtop.events import Gap, Log, Telemetry
from txtop.sanitise import sanitise

RETRY_S = 30.0
Values = dict[str, float | None]

# Beyond these a value is a driver's slip: percent, bytes, watts, degrees Celsius, MHz, bits.
BOUNDS: dict[str, tuple[float, float]] = {
    "utilization": (0, 100),
    "memory_used_bytes": (0, 2**50),
    "memory_total_bytes": (1, 2**50),
    "power_w": (0, 10_000),
    "power_limit_w": (1, 10_000),
    "temperature_c": (-60, 200),
    "sm_clock_mhz": (0, 20_000),
    "throttle_reasons": (0, 2**53),
}


def _utilization(nvml: Any, handle: Any) -> Values:
    return {"utilization": nvml.nvmlDeviceGetUtilizationRates(handle).gpu}


def _memory(nvml: Any, handle: Any) -> Values:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    sane = memory.used <= memory.total
    return {
        "memory_used_bytes": memory.used if sane else None,
        "memory_total_bytes": memory.total if sane else None,
    }


def _power(nvml: Any, handle: Any) -> Values:
    return {"power_w": nvml.nvmlDeviceGetPowerUsage(handle) / 1000}


def _power_limit(nvml: Any, handle: Any) -> Values:
    return {"power_limit_w": nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000}


def _temperature(nvml: Any, handle: Any) -> Values:
    return {"temperature_c": nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)}


def _clock(nvml: Any, handle: Any) -> Values:
    return {"sm_clock_mhz": nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)}


def _throttle(nvml: Any, handle: Any) -> Values:
    return {"throttle_reasons": nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)}


READERS: dict[Callable[[Any, Any], Values], tuple[str, ...]] = {
    _utilization: ("utilization",),
    _memory: ("memory_used_bytes", "memory_total_bytes"),
    _power: ("power_w",),
    _power_limit: ("power_limit_w",),
    _temperature: ("temperature_c",),
    _clock: ("sm_clock_mhz",),
    _throttle: ("throttle_reasons",),
}


class Gpu:
    """One device. Raises NVML's error when the device, not a field, has failed.

    `unsupported` names the fields that it does not have, as far as `values` has met them.
    """

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle
        self._never = (
            nvml.NVML_ERROR_NOT_SUPPORTED,
            nvml.NVML_ERROR_NO_PERMISSION,
            nvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        )
        self._not_now = (
            nvml.NVML_ERROR_NO_DATA,
            nvml.NVML_ERROR_NOT_READY,
            nvml.NVML_ERROR_TIMEOUT,
        )
        self.unsupported: set[str] = set()
        self.uuid: str = sanitise(nvml.nvmlDeviceGetUUID(handle), 80)
        self.label: str = sanitise(nvml.nvmlDeviceGetName(handle), 80)

    def values(self) -> Values:
        """Every field of `BOUNDS`; null for good where unsupported, null now where insane."""
        values: Values = dict.fromkeys(BOUNDS)
        for reader, names in READERS.items():
            if names[0] in self.unsupported:
                continue
            try:
                values.update(reader(self._nvml, self._handle))
            except self._nvml.NVMLError as error:
                if error.value in self._never:
                    self.unsupported.update(names)
                elif error.value not in self._not_now:
                    raise
        return {name: _within(name, value) for name, value in values.items()}


def _within(name: str, value: float | None) -> float | None:
    low, high = BOUNDS[name]
    return value if value is not None and math.isfinite(value) and low <= value <= high else None


class Gpus:
    """All devices. A lost one is a gap, retried at most every 30 s, and the others go on.

    `refused` says which could not be opened at the start. Raises NVML's error when the library
    cannot be used at all.
    """

    def __init__(self, nvml: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._nvml = nvml
        self._clock = clock
        self._lost: dict[str, float] = {}
        self.devices: dict[str, Gpu] = {}
        self.refused: list[str] = []
        nvml.nvmlInit()
        for index in range(nvml.nvmlDeviceGetCount()):
            try:
                gpu = Gpu(nvml, nvml.nvmlDeviceGetHandleByIndex(index))
            except nvml.NVMLError as error:
                self.refused.append(f"GPU {index} cannot be opened: {sanitise(str(error), 200)}")
            else:
                self.devices[gpu.uuid] = gpu

    def sample(self) -> list[Telemetry | Gap | Log]:
        """One event for each device that answers, one gap for each that stopped answering."""
        found: list[Telemetry | Gap | Log] = []
        for uuid, gpu in list(self.devices.items()):
            if uuid in self._lost:
                if self._clock() < self._lost[uuid]:
                    continue
                found += self._retry(uuid)
                continue
            t_ns = time.monotonic_ns()
            try:
                values = gpu.values()
            except self._nvml.NVMLError as error:
                self._lost[uuid] = self._clock() + RETRY_S
                reason = f"{gpu.label} stopped answering: {sanitise(str(error), 200)}"
                found.append(Gap(t_ns=t_ns, producer=uuid, reason=reason))
            else:
                found.append(Telemetry(t_ns=t_ns, device=uuid, label=gpu.label, values=values))
        return found

    def _retry(self, uuid: str) -> list[Telemetry | Gap | Log]:
        self._lost[uuid] = self._clock() + RETRY_S
        nvml = self._nvml
        try:
            # A driver that was reloaded needs a new start, which the devices alive must not suffer.
            if len(self._lost) == len(self.devices):
                with suppress(nvml.NVMLError):
                    nvml.nvmlShutdown()
                nvml.nvmlInit()
            gpu = Gpu(nvml, nvml.nvmlDeviceGetHandleByUUID(uuid))
            gpu.values()
        except nvml.NVMLError:
            return []
        self.devices[uuid] = gpu
        del self._lost[uuid]
        return [Log(t_ns=time.monotonic_ns(), text=f"{gpu.label} answers again")]
