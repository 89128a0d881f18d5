"""The import of NVML, its versions, and explanations for why it cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from txtop.sanitise import sanitise


@dataclass(frozen=True)
class NvmlProblem:
    """The reason why there are no GPU values; `missing` needs no repair, `broken` does."""

    state: Literal["missing", "broken"]
    cause: str
    hint: str

    def __str__(self) -> str:
        return f"{self.cause}: {self.hint}"


def import_nvml() -> Any:
    """Import the binding of NVIDIA, here because no other process may load it."""
    import pynvml

    return pynvml


def read_driver_versions(nvml: Any) -> dict[str, str]:
    """Read the versions that NVML reports: `nvidia_driver`, `nvml` and `cuda_driver`.

    `cuda_driver` is the newest CUDA that the driver supports.
    """
    readers: dict[str, Callable[[], str]] = {
        "nvidia_driver": nvml.nvmlSystemGetDriverVersion,
        "nvml": nvml.nvmlSystemGetNVMLVersion,
        "cuda_driver": lambda: _format_version(nvml.nvmlSystemGetCudaDriverVersion_v2()),
    }
    versions = {}
    for name, read in readers.items():
        with suppress(nvml.NVMLError):
            versions[name] = sanitise(read(), 80)
    return versions


def _format_version(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"


def explain_error(nvml: Any, error: Exception) -> NvmlProblem:
    """Return the cause and the next step for an error of NVML at the start."""
    code = getattr(error, "value", None)
    if code == nvml.NVML_ERROR_LIBRARY_NOT_FOUND:
        return NvmlProblem(
            "missing",
            "no NVIDIA library on this machine",
            "GPU values are skipped; everything else is measured",
        )
    if code == nvml.NVML_ERROR_DRIVER_NOT_LOADED:
        return NvmlProblem(
            "broken",
            "the NVIDIA driver is not loaded",
            "run nvidia-smi; in a container, start it with GPU access",
        )
    if code == nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
        return NvmlProblem(
            "broken",
            "the NVIDIA library and the loaded driver differ in version",
            "reboot, or reload the driver, after its update",
        )
    if code == nvml.NVML_ERROR_NO_PERMISSION:
        return NvmlProblem(
            "broken",
            "no permission to use the NVIDIA driver",
            "check who may read /dev/nvidia*",
        )
    return NvmlProblem(
        "broken", f"NVML does not work ({sanitise(str(error), 200)})", "compare with nvidia-smi"
    )
