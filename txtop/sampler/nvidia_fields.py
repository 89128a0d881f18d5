"""The fields of one GPU: name, unit, bounds and NVML call of each.

https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

FieldValues = dict[str, float | None]
FieldReader = Callable[[Any, Any], FieldValues]

# Values beyond these are errors of the driver. `energy_j` counts from the load of the driver.
FIELD_BOUNDS: dict[str, tuple[float, float]] = {
    "utilization": (0, 100),
    "memory_used_bytes": (0, 2**50),
    "memory_total_bytes": (1, 2**50),
    "power_w": (0, 10_000),
    "power_limit_w": (1, 10_000),
    "energy_j": (0, 1e13),
    "temperature_c": (-60, 200),
    "sm_clock_mhz": (0, 20_000),
    "max_sm_clock_mhz": (1, 20_000),
    "memory_clock_mhz": (0, 20_000),
    "throttle_reasons": (0, 2**53),
    "pcie_rx_bytes_per_s": (0, 1e12),
    "pcie_tx_bytes_per_s": (0, 1e12),
    "memory_run_bytes": (0, 2**50),
    "foreign_processes": (0, 2**22),
}


def drop_out_of_bounds(name: str, value: float | None) -> float | None:
    """Return `value`, or `None` if it is outside the bounds of the field `name`."""
    low, high = FIELD_BOUNDS[name]
    return value if value is not None and math.isfinite(value) and low <= value <= high else None


def _read_utilization(nvml: Any, handle: Any) -> FieldValues:
    return {"utilization": nvml.nvmlDeviceGetUtilizationRates(handle).gpu}


def _read_memory(nvml: Any, handle: Any) -> FieldValues:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    sane = memory.used <= memory.total
    return {
        "memory_used_bytes": memory.used if sane else None,
        "memory_total_bytes": memory.total if sane else None,
    }


class PowerReader:
    """A reader of `power_w` of one device, called as a `FieldReader`.

    `instant` tells which source the first reading chose, and is None before it: the power of this
    instant where the driver has it. `nvmlDeviceGetPowerUsage` is a mean over 1 s on Ampere (but
    GA100) and newer. A source is never changed for the other, which would bend a series.
    """

    def __init__(self) -> None:
        self.instant: bool | None = None

    def __call__(self, nvml: Any, handle: Any) -> FieldValues:
        """Read the power in W.

        Raises the error of NVML.
        """
        if self.instant is not False:
            try:
                watts = _read_instant_power(nvml, handle)
                self.instant = True
                return {"power_w": watts}
            except nvml.NVMLError:
                if self.instant:
                    raise
        watts = nvml.nvmlDeviceGetPowerUsage(handle) / 1000
        self.instant = False
        return {"power_w": watts}


def _read_instant_power(nvml: Any, handle: Any) -> float:
    (field,) = nvml.nvmlDeviceGetFieldValues(handle, [nvml.NVML_FI_DEV_POWER_INSTANT])
    if field.nvmlReturn != nvml.NVML_SUCCESS:
        raise nvml.NVMLError(field.nvmlReturn)
    milliwatts: int = field.value.uiVal
    return milliwatts / 1000


def _read_power_limit(nvml: Any, handle: Any) -> FieldValues:
    return {"power_limit_w": nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000}


def _read_energy(nvml: Any, handle: Any) -> FieldValues:
    return {"energy_j": nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000}


def _read_temperature(nvml: Any, handle: Any) -> FieldValues:
    return {"temperature_c": nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)}


def _read_clock(nvml: Any, handle: Any) -> FieldValues:
    return {"sm_clock_mhz": nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)}


def _read_max_clock(nvml: Any, handle: Any) -> FieldValues:
    return {"max_sm_clock_mhz": nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM)}


def _read_memory_clock(nvml: Any, handle: Any) -> FieldValues:
    return {"memory_clock_mhz": nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM)}


def _read_throttle(nvml: Any, handle: Any) -> FieldValues:
    return {"throttle_reasons": nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)}


# NVML returns KB/s; it writes MiB where it means 2**20, so KB is 1000.
def _read_pcie_rx(nvml: Any, handle: Any) -> FieldValues:
    kilobytes = nvml.nvmlDeviceGetPcieThroughput(handle, nvml.NVML_PCIE_UTIL_RX_BYTES)
    return {"pcie_rx_bytes_per_s": kilobytes * 1000}


def _read_pcie_tx(nvml: Any, handle: Any) -> FieldValues:
    kilobytes = nvml.nvmlDeviceGetPcieThroughput(handle, nvml.NVML_PCIE_UTIL_TX_BYTES)
    return {"pcie_tx_bytes_per_s": kilobytes * 1000}


FAST_FIELDS: dict[FieldReader, tuple[str, ...]] = {
    _read_utilization: ("utilization",),
    _read_memory: ("memory_used_bytes", "memory_total_bytes"),
    _read_power_limit: ("power_limit_w",),
    _read_energy: ("energy_j",),
    _read_temperature: ("temperature_c",),
    _read_clock: ("sm_clock_mhz",),
    _read_memory_clock: ("memory_clock_mhz",),
    _read_throttle: ("throttle_reasons",),
}

# At most once a second.
SLOW_FIELDS: dict[FieldReader, tuple[str, ...]] = {
    _read_max_clock: ("max_sm_clock_mhz",),
}

# Only of a device in use: the call for a counter takes the 20 ms that it measures over.
PCIE_FIELDS: dict[FieldReader, tuple[str, ...]] = {
    _read_pcie_rx: ("pcie_rx_bytes_per_s",),
    _read_pcie_tx: ("pcie_tx_bytes_per_s",),
}
