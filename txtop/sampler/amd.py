"""AMD GPUs through amdsmi, which comes with ROCm. Written from its reference, untested on a GPU.

https://rocm.docs.amd.com/projects/amdsmi/en/latest/reference/amdsmi-py-api.html
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from txtop.protocol.events import Gap, Log, Telemetry
from txtop.sampler.gpu_rates import GpuRates
from txtop.sampler.nvidia_fields import FieldValues, drop_out_of_bounds
from txtop.sanitise import sanitise

AmdReader = Callable[[Any, Any], FieldValues]


def is_installed() -> bool:
    """Return True if amdsmi can be imported."""
    return find_spec("amdsmi") is not None


def _read_number(value: object) -> float | None:
    """Return `value` as a float, or `None`: amdsmi returns "N/A" for what it cannot read."""
    return float(value) if isinstance(value, int | float) else None


def _read_utilization(smi: Any, gpu: Any) -> FieldValues:
    return {"utilization": _read_number(smi.amdsmi_get_gpu_activity(gpu)["gfx_activity"])}


def _read_memory(smi: Any, gpu: Any) -> FieldValues:
    vram = smi.AmdSmiMemoryType.VRAM
    return {
        "memory_used_bytes": _read_number(smi.amdsmi_get_gpu_memory_usage(gpu, vram)),
        "memory_total_bytes": _read_number(smi.amdsmi_get_gpu_memory_total(gpu, vram)),
    }


def _read_power(smi: Any, gpu: Any) -> FieldValues:
    power = smi.amdsmi_get_power_info(gpu)
    now = _read_number(power.get("current_socket_power"))
    return {"power_w": _read_number(power.get("average_socket_power")) if now is None else now}


def _read_temperature(smi: Any, gpu: Any) -> FieldValues:
    sensor, now = smi.AmdSmiTemperatureType.HOTSPOT, smi.AmdSmiTemperatureMetric.CURRENT
    return {"temperature_c": _read_number(smi.amdsmi_get_temp_metric(gpu, sensor, now))}


def _read_clock(smi: Any, gpu: Any) -> FieldValues:
    return {
        "sm_clock_mhz": _read_number(smi.amdsmi_get_clock_info(gpu, smi.AmdSmiClkType.GFX)["clk"])
    }


def _read_energy(smi: Any, gpu: Any) -> FieldValues:
    counter = smi.amdsmi_get_energy_count(gpu)
    count, resolution_uj = counter.get("energy_accumulator"), counter.get("counter_resolution")
    if count is None or resolution_uj is None:
        return {"energy_j": None}
    return {"energy_j": count * resolution_uj / 1e6}


AMD_READERS: tuple[AmdReader, ...] = (
    _read_utilization,
    _read_memory,
    _read_power,
    _read_temperature,
    _read_clock,
    _read_energy,
)


class AmdGpus:
    """All AMD devices, with the interface of `NvidiaGpus`.

    A field that fails is `None`. A device without any readable field is reported once as a gap and
    read again at the next sample. `devices` maps a UUID to handle and name; `refused` stays empty.

    Raises the error of amdsmi if the library cannot be used at all.
    """

    def __init__(self, rates: GpuRates | None = None) -> None:
        self.rates = rates or GpuRates()
        self._smi: Any = importlib.import_module("amdsmi")
        self._smi.amdsmi_init()
        self._silent: set[str] = set()
        self.refused: list[str] = []
        self.devices: dict[str, tuple[Any, str]] = {}
        for gpu in self._smi.amdsmi_get_processor_handles():
            uuid = sanitise(str(self._smi.amdsmi_get_gpu_device_uuid(gpu)), 80)
            name = self._smi.amdsmi_get_gpu_asic_info(gpu).get("market_name", "AMD GPU")
            self.devices[f"GPU-{uuid}"] = (gpu, sanitise(str(name), 80))

    def sample(self) -> list[Telemetry | Gap | Log]:
        """Return one event for each device that is due, and one gap for each that has stopped."""
        events: list[Telemetry | Gap | Log] = []
        for uuid in self.rates.find_due(self.devices):
            gpu, label = self.devices[uuid]
            t_ns = time.monotonic_ns()
            values = self._read_values(gpu)
            if any(value is not None for value in values.values()):
                self._silent.discard(uuid)
                events.append(Telemetry(t_ns=t_ns, device=uuid, label=label, values=values))
            elif uuid not in self._silent:
                self._silent.add(uuid)
                events.append(Gap(t_ns=t_ns, producer=uuid, reason=f"{label} stopped answering"))
        return events

    def _read_values(self, gpu: Any) -> FieldValues:
        values: FieldValues = {}
        for read in AMD_READERS:
            try:
                values |= read(self._smi, gpu)
            except (self._smi.AmdSmiException, KeyError, TypeError):
                continue
        return {name: drop_out_of_bounds(name, value) for name, value in values.items()}
