"""The settings of a GPU that bend numbers: read once, recorded, and compared between sessions.

https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from txtop.sanitise import sanitise

FactReader = Callable[[Any, Any], str]

COMPUTE_MODES = {0: "default", 1: "exclusive thread", 2: "prohibited", 3: "exclusive process"}
_MIG_PROFILE = re.compile(r"\bMIG (\S+)$")
# The number of `nvmlMemory_v2_t`; bindings before 11.510 have it under no name.
_MEMORY_V2 = 0x02000028


def _format_switch(state: int) -> str:
    return "on" if state else "off"


def _capability(nvml: Any, handle: Any) -> str:
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return f"{major}.{minor}"


def _power_limit(nvml: Any, handle: Any) -> str:
    return f"{nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000:g}"


def _default_power_limit(nvml: Any, handle: Any) -> str:
    return f"{nvml.nvmlDeviceGetPowerManagementDefaultLimit(handle) / 1000:g}"


def _application_clock(nvml: Any, handle: Any) -> str:
    target = nvml.NVML_CLOCK_ID_APP_CLOCK_TARGET
    return str(nvml.nvmlDeviceGetClock(handle, nvml.NVML_CLOCK_SM, target))


def _default_application_clock(nvml: Any, handle: Any) -> str:
    default = nvml.NVML_CLOCK_ID_APP_CLOCK_DEFAULT
    return str(nvml.nvmlDeviceGetClock(handle, nvml.NVML_CLOCK_SM, default))


def _persistence_mode(nvml: Any, handle: Any) -> str:
    return _format_switch(nvml.nvmlDeviceGetPersistenceMode(handle))


def _compute_mode(nvml: Any, handle: Any) -> str:
    mode = nvml.nvmlDeviceGetComputeMode(handle)
    return COMPUTE_MODES.get(mode, str(mode))


def _ecc(nvml: Any, handle: Any) -> str:
    return _format_switch(nvml.nvmlDeviceGetEccMode(handle)[0])


def _mig(nvml: Any, handle: Any) -> str:
    return _format_switch(nvml.nvmlDeviceGetMigMode(handle)[0])


def _mig_profile(nvml: Any, handle: Any) -> str:
    profile = _MIG_PROFILE.search(nvml.nvmlDeviceGetName(handle))
    return profile.group(1) if profile else ""


def _reserved_memory(nvml: Any, handle: Any) -> str:
    return str(nvml.nvmlDeviceGetMemoryInfo(handle, version=_MEMORY_V2).reserved)


FACTS: dict[str, FactReader] = {
    "compute_capability": _capability,
    "power_limit_w": _power_limit,
    "default_power_limit_w": _default_power_limit,
    "application_clock_mhz": _application_clock,
    "default_application_clock_mhz": _default_application_clock,
    "persistence_mode": _persistence_mode,
    "compute_mode": _compute_mode,
    "ecc": _ecc,
    "mig": _mig,
    "mig_profile": _mig_profile,
    "memory_reserved_bytes": _reserved_memory,
}


def read_facts(nvml: Any, handle: Any) -> dict[str, str]:
    """Read the facts that NVML tells of a device; those that it does not have are left out.

    A lock of the clocks by `nvidia-smi --lock-gpu-clocks` is none of them: NVML cannot read it.
    """
    facts = {}
    for name, read in FACTS.items():
        with suppress(nvml.NVMLError):
            facts[name] = sanitise(read(nvml, handle), 80)
    return {name: fact for name, fact in facts.items() if fact}
