"""The device and the threads that a cell means on this machine, as far as known before loading."""

from __future__ import annotations

import msgspec

from txtop.models.attention_kernels import Accelerator
from txtop.plan.cell import Cell
from txtop.system import cpu, gpus, torch_build
from txtop.system.device_names import get_cores, get_device_kind


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


def choose_threads(cell: Cell) -> int:
    """Return the threads of each process of `cell`: those asked for, else its part of the cores."""
    if cell.threads is not None:
        return cell.threads
    cores = len(get_cores(cell.device)) or cpu.choose_thread_count()
    return max(1, cores // cell.ranks)


def settle_place(cell: Cell) -> Cell:
    """Return `cell` with the device and the threads that it means: equal ones run the same."""
    accelerator = find_accelerator("auto") if cell.device == "auto" else None
    device = cell.device if accelerator is None else accelerator.kind
    return msgspec.structs.replace(cell, device=device, threads=choose_threads(cell))


def count_devices(kind: str) -> int | None:
    """Return how many cores, or GPUs that CUDA shows, this process may use; None if unknown."""
    if kind == "cpu":
        return cpu.count_allowed_cores()
    visible = gpus.list_visible_devices() if kind == "cuda" else None
    if visible is not None:
        return len(visible)
    return len(gpus.list_gpus()) or None if kind == "cuda" else None
