"""The NVIDIA GPUs of this machine, which of them a device names, and what a name tells of a GPU.

It needs neither torch nor NVML, so a plan can be judged before anything is loaded. The table is
data: `gpu_capabilities.toml`, beside this file.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from txtop.system import torch_build
from txtop.system.device_names import get_device_kind, is_uuid

PROC = Path("/proc/driver/nvidia/gpus")
DRIVER = Path("/proc/driver/nvidia/version")
DEV = Path("/dev")
# A context of CUDA and the kernels that it loads.
CONTEXT_BYTES = 560 << 20
NO_CUDA = "torch is built without CUDA"
DEVICE_HINT = "--device cpu, or look at `txtop doctor`"
_FILE = Path(__file__).with_name("gpu_capabilities.toml")
_FACT = r"^{}:\s*(.+?)\s*$"
_VERSION = re.compile(r"\b\d{3,}(?:\.\d+)+\b")
_MODEL, _UUID = (re.compile(_FACT.format(name), re.MULTILINE) for name in ("Model", "GPU UUID"))

Capability = tuple[int, int]


@dataclass(frozen=True)
class Gpu:
    """A GPU that the NVIDIA driver knows: its name, and its UUID, empty if the driver hides it."""

    name: str
    uuid: str


def list_gpus(folder: Path | None = None) -> list[Gpu]:
    """Return the GPUs that the NVIDIA driver lists in /proc, by PCI address."""
    gpus = []
    try:
        for path in sorted((folder or PROC).glob("*/information")):
            text = path.read_text(encoding="utf-8", errors="replace")
            name, uuid = _MODEL.search(text), _UUID.search(text)
            if name:
                gpus.append(Gpu(name[1], uuid[1] if uuid else ""))
    except OSError:
        return []
    return gpus


def read_driver() -> str:
    """Return the version of the NVIDIA driver; empty without one."""
    try:
        match = _VERSION.search(DRIVER.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""
    return match[0] if match else ""


def select_gpu(
    device: str, gpus: Sequence[Gpu], environ: Mapping[str, str] = os.environ
) -> Gpu | None:
    """Return which of `gpus`, ordered by PCI address, a cell on `device` uses; `None` if unknown.

    CUDA lists the fastest GPU first unless `CUDA_DEVICE_ORDER` says otherwise, so an index means
    something here only among GPUs of one name or in the order of PCI. `CUDA_VISIBLE_DEVICES` may
    hide GPUs and order them anew. Of a MIG part the GPU is not known.
    """
    if is_uuid(device):
        return _find_uuid(device, gpus)
    if get_device_kind(device) not in ("auto", "cuda"):
        return None
    index = int(device.partition(":")[2] or 0)
    visible = list_visible_devices(environ)
    if visible is not None:
        if index >= len(visible):
            return None
        if not visible[index].isdigit():
            return _find_uuid(visible[index], gpus)
        index = int(visible[index])
    in_order = environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID" or len({g.name for g in gpus}) == 1
    return gpus[index] if in_order and index < len(gpus) else None


def explain_absent_device(device: str) -> str:
    """Return why this machine cannot have the kind of `device`; empty if it may have it.

    It is judged by torch's own file and by those of drivers in `DEV`, of which `dxg` is that of
    Windows Subsystem for Linux and `nvmap` that of a Jetson.
    """
    kind = get_device_kind(device)
    if kind == "mps" and sys.platform != "darwin":
        return "mps is the GPU of a Mac"
    if kind == "xpu" and not torch_build.has_xpu():
        return "torch is built without XPU"
    if kind == "xpu" and not _has_driver("dri", "dxg"):
        return "this machine has no Intel GPU"
    if kind == "cuda" and not torch_build.has_cuda():
        return NO_CUDA
    if kind == "cuda" and not _has_driver("nvidiactl", "nvmap", "kfd", "dxg"):
        return "this machine has no NVIDIA or AMD GPU"
    if kind == "cuda" and list_visible_devices() == []:
        return "CUDA_VISIBLE_DEVICES hides every GPU"
    return ""


def refuse_absent_device(device: str) -> tuple[str, str] | None:
    """Return reason and hint if this machine cannot have the kind of `device`, else None."""
    why = explain_absent_device(device)
    return (f"no {device} device: {why}", DEVICE_HINT) if why else None


def _has_driver(*names: str) -> bool:
    return any((DEV / name).exists() for name in names)


def list_visible_devices(environ: Mapping[str, str] = os.environ) -> list[str] | None:
    """Return the indices and UUIDs in `CUDA_VISIBLE_DEVICES`; `None` if it is not set.

    CUDA ignores what follows an entry that is neither.
    """
    text = environ.get("CUDA_VISIBLE_DEVICES")
    if text is None:
        return None
    devices = []
    for entry in map(str.strip, text.split(",")):
        if not (entry.isdigit() or is_uuid(entry)):
            break
        devices.append(entry)
    return devices


def _find_uuid(uuid: str, gpus: Sequence[Gpu]) -> Gpu | None:
    """Return the only one of `gpus` whose UUID begins with `uuid`."""
    matches = [gpu for gpu in gpus if gpu.uuid.startswith(uuid)]
    return matches[0] if len(matches) == 1 else None


def find_capability(name: str) -> Capability | None:
    """Return the compute capability (major, minor) of a GPU by its name, None if unknown."""
    key = " ".join(name.casefold().split()).removeprefix("nvidia ")
    return next((capability for pattern, capability in _read_table() if pattern.match(key)), None)


@cache
def _read_table() -> list[tuple[re.Pattern[str], Capability]]:
    rows = tomllib.loads(_FILE.read_text(encoding="utf-8"))["gpu"]
    return [
        # A name ends where its pattern does: `l4` is not the beginning of `l40`.
        (re.compile(rf"(?:{'|'.join(row['names'])})(?![a-z0-9])"), tuple(row["capability"]))
        for row in rows
    ]
