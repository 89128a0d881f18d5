"""The device that `--device` means on this machine, as far as it is known before loading."""

from __future__ import annotations

from txtop.models.attention_kernels import Accelerator
from txtop.system import cpu, gpus, torch_build
from txtop.system.device_names import get_device_kind


def find_accelerator(device: str) -> Accelerator | None:
    """Return what is known before loading of the device that `--device` means here.

    Where it is not known which of several GPUs that is, they are judged only if they are of one
    capability. None if nothing is known, as of `auto` without an NVIDIA GPU.
    """
    kind = get_device_kind(device)
    if kind == "auto" and not torch_build.has_cuda():
        return Accelerator("cpu")
    if kind not in ("auto", "cuda"):
        return Accelerator(kind)
    present = gpus.list_gpus()
    if kind == "auto" and not present:
        return None
    gpu = gpus.select_gpu(device, present)
    names = [gpu.name] if gpu else [one.name for one in present]
    capabilities = {gpus.find_capability(name) for name in names}
    name, capability = (names[0], capabilities.pop()) if len(capabilities) == 1 else ("", None)
    return Accelerator("cuda", name, capability)


def count_devices(kind: str) -> int | None:
    """Return how many cores, or GPUs that CUDA shows, this process may use; None if unknown."""
    if kind == "cpu":
        return cpu.count_allowed_cores()
    visible = gpus.list_visible_devices() if kind == "cuda" else None
    if visible is not None:
        return len(visible)
    return len(gpus.list_gpus()) or None if kind == "cuda" else None
