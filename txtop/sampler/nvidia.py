"""NVIDIA GPUs through NVML, identified by UUID and never by index.

A GPU in MIG mode and each of its MIG devices are separate devices.
https://docs.nvidia.com/deploy/nvml-api/group__nvmlMultiInstanceGPU.html
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from txtop.protocol.events import ForeignProcess, Gap, Log, Telemetry
from txtop.sampler import gpu_processes, nvidia_facts
from txtop.sampler.gpu_rates import EARLY_S, UNUSED_S, GpuRates
from txtop.sampler.nvidia_fields import (
    FAST_FIELDS,
    PCIE_FIELDS,
    SLOW_FIELDS,
    FieldReader,
    FieldValues,
    PowerReader,
    drop_out_of_bounds,
)
from txtop.sampler.nvml_import import read_driver_versions
from txtop.sampler.process_usage import WatchedProcesses
from txtop.sanitise import sanitise

RETRY_S = 30.0
"""The pause before a lost device is opened again."""
SLOW_S = 1.0
"""The least time between two readings of the slow fields of a device in use."""


class NvidiaGpu:
    """One device.

    `unsupported` names the fields that it does not have, as far as `values` has tried them.

    Raises the error of NVML if the device cannot be identified.
    """

    def __init__(self, nvml: Any, handle: Any, watched: WatchedProcesses) -> None:
        self._nvml = nvml
        self._handle = handle
        self.unsupported: set[str] = set()
        self.slow_at = -math.inf
        self.uuid: str = sanitise(nvml.nvmlDeviceGetUUID(handle), 80)
        self.label: str = sanitise(nvml.nvmlDeviceGetName(handle), 80)
        self._occupants = gpu_processes.GpuProcesses(watched)
        self._told: tuple[ForeignProcess, ...] | None = None
        self._power = PowerReader()
        self._fast: dict[FieldReader, tuple[str, ...]] = {
            **FAST_FIELDS,
            self._power: ("power_w",),
        }
        self._slow: dict[FieldReader, tuple[str, ...]] = {
            **SLOW_FIELDS,
            self._occupants: gpu_processes.FIELD_NAMES,
        }
        self._never = {
            nvml.NVML_ERROR_NOT_SUPPORTED,
            nvml.NVML_ERROR_NO_PERMISSION,
            nvml.NVML_ERROR_FUNCTION_NOT_FOUND,
            nvml.NVML_ERROR_DEPRECATED,
            nvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
        }
        # Fields that only a whole GPU has are an invalid argument for a MIG device.
        if self.uuid.startswith("MIG-"):
            self._never.add(nvml.NVML_ERROR_INVALID_ARGUMENT)
        self._lost = {
            nvml.NVML_ERROR_GPU_IS_LOST,
            nvml.NVML_ERROR_RESET_REQUIRED,
            nvml.NVML_ERROR_UNINITIALIZED,
        }

    def values(self, slow: bool = True, pcie: bool = True) -> FieldValues:
        """Read the fields of `FIELD_BOUNDS`, with or without the slow ones and PCIe among them.

        A field is `None` in every sample if it is unsupported, and in this one if it is out of
        bounds or its call failed.

        Raises the error of NVML if it says that the device is lost, or if every call failed.
        """
        readers = dict(self._fast)
        if slow:
            readers |= self._slow
        if slow and pcie:
            readers |= PCIE_FIELDS
        values: FieldValues = {}
        answered, failure = False, None
        for reader, names in readers.items():
            values.update(dict.fromkeys(names))
            if names[0] in self.unsupported:
                continue
            try:
                values.update(reader(self._nvml, self._handle))
                answered = True
            except self._nvml.NVMLError as error:
                if error.value in self._lost:
                    raise
                if error.value in self._never:
                    self.unsupported.update(names)
                else:
                    failure = error
        if failure is not None and not answered:
            raise failure
        return {name: drop_out_of_bounds(name, value) for name, value in values.items()}

    def read_facts(self) -> dict[str, str]:
        """Read the settings of the device, and the source of its power as the last reading had it.

        They are those of `nvidia_facts.FACTS` and `power_reading`.
        """
        facts = nvidia_facts.read_facts(self._nvml, self._handle)
        if self._power.instant is not None:
            facts["power_reading"] = "instant" if self._power.instant else "driver's mean"
        return facts

    def read_process_changes(self) -> tuple[ForeignProcess, ...] | None:
        """Return the foreign processes if they have changed since the last call, else `None`."""
        now = self._occupants.foreign
        if now == self._told:
            return None
        self._told = now
        return now


class NvidiaGpus:
    """All NVIDIA devices.

    A device that stops answering is reported as a gap and retried at most every 30 s; the others
    continue. `rates` decides which are read at a sample. Of one that is not in use the slow fields
    come rarely and PCIe counters never. `refused` holds a line for each that could not be opened at
    the start.

    Raises the error of NVML if the library cannot be used at all.
    """

    def __init__(
        self,
        nvml: Any,
        watched: WatchedProcesses,
        clock: Callable[[], float] = time.monotonic,
        rates: GpuRates | None = None,
    ) -> None:
        self._nvml = nvml
        self._watched = watched
        self.rates = rates or GpuRates(clock)
        self._clock = clock
        self._lost: dict[str, float] = {}
        self.devices: dict[str, NvidiaGpu] = {}
        self.refused: list[str] = []
        nvml.nvmlInit()
        self.versions = read_driver_versions(nvml)
        for index in range(nvml.nvmlDeviceGetCount()):
            name = f"GPU {index}"
            try:
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                self._open(handle)
                name = f"a MIG device of {name}"
                for instance in _instances(nvml, handle):
                    self._open(instance)
            except nvml.NVMLError as error:
                self.refused.append(f"{name} cannot be opened: {sanitise(str(error), 200)}")
        self._untold = set(self.devices)

    def _open(self, handle: Any) -> None:
        gpu = NvidiaGpu(self._nvml, handle, self._watched)
        self.devices[gpu.uuid] = gpu

    def sample(self) -> list[Telemetry | Gap | Log]:
        """Return one event for each device that is due, and one gap for each that has stopped."""
        events: list[Telemetry | Gap | Log] = []
        due = self.rates.find_due(self.devices)
        slow = self._find_slow(due)
        for uuid, used in due.items():
            gpu = self.devices[uuid]
            if uuid in self._lost:
                if self._clock() < self._lost[uuid]:
                    continue
                events += self._retry(uuid)
                continue
            t_ns = time.monotonic_ns()
            try:
                values = gpu.values(slow=gpu in slow, pcie=used)
            except self._nvml.NVMLError as error:
                self._lost[uuid] = self._clock() + RETRY_S
                reason = f"{gpu.label} stopped answering: {sanitise(str(error), 200)}"
                events.append(Gap(t_ns=t_ns, producer=uuid, reason=reason))
            else:
                new = uuid in self._untold
                self._untold.discard(uuid)
                events.append(
                    Telemetry(
                        t_ns=t_ns,
                        device=uuid,
                        label=gpu.label,
                        values=values,
                        versions=self.versions if new else {},
                        facts=gpu.read_facts() if new else {},
                        foreign=gpu.read_process_changes() if gpu in slow else None,
                    )
                )
        return events

    def _find_slow(self, due: dict[str, bool]) -> list[NvidiaGpu]:
        """Return the devices of `due` whose slow fields are read now, and note the time."""
        now = self._clock()
        alive = [(self.devices[uuid], used) for uuid, used in due.items() if uuid not in self._lost]
        slow = [gpu for gpu, used in alive if not used and now >= gpu.slow_at + UNUSED_S - EARLY_S]
        # One device in use per sample: the PCIe counters of many would take up the interval.
        in_use = (gpu for gpu, used in alive if used)
        gpu = min(in_use, key=lambda candidate: candidate.slow_at, default=None)
        if gpu is not None and now >= gpu.slow_at + SLOW_S:
            slow.append(gpu)
        for gpu in slow:
            gpu.slow_at = now
        return slow

    def _retry(self, uuid: str) -> list[Telemetry | Gap | Log]:
        self._lost[uuid] = self._clock() + RETRY_S
        nvml = self._nvml
        try:
            # After a driver reload NVML must be initialised again, but not while any device works.
            if len(self._lost) == len(self.devices):
                with suppress(nvml.NVMLError):
                    nvml.nvmlShutdown()
                nvml.nvmlInit()
            gpu = NvidiaGpu(nvml, nvml.nvmlDeviceGetHandleByUUID(uuid), self._watched)
            gpu.values()
        except nvml.NVMLError:
            return []
        self.devices[uuid] = gpu
        del self._lost[uuid]
        self.versions = read_driver_versions(nvml)
        self._untold.add(uuid)
        return [Log(t_ns=time.monotonic_ns(), text=f"{gpu.label} answers again")]


def _instances(nvml: Any, handle: Any) -> Iterator[Any]:
    """Yield the handles of the MIG devices of a GPU in MIG mode."""
    try:
        mode, _ = nvml.nvmlDeviceGetMigMode(handle)
    except nvml.NVMLError:
        return
    if mode != nvml.NVML_DEVICE_MIG_ENABLE:
        return
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        with suppress(nvml.NVMLError_NotFound):
            yield nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
