"""The devices that this process can use."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from txtop.formatting import format_count
from txtop.models.attention_kernels import Accelerator
from txtop.system import cpu, gpus
from txtop.system.device_names import get_cores, get_device_kind, is_uuid, name_cores
from txtop.system.gpus import DEVICE_HINT, NO_CUDA
from txtop.worker import failures
from txtop.worker.failures import AbsentError

if TYPE_CHECKING:
    import torch

# Device files of the driver, and its library under WSL, which has no device files.
NVIDIA_FILES = ("/dev/nvidia[0-9]*", "/usr/lib/wsl/lib/libnvidia-ml.so*")
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_ARCHITECTURE = re.compile(r"(sm|compute)_(\d+)(\d)([af]?)")


def check_accelerators() -> dict[str, str]:
    """Return, for cuda, xpu (Intel) and mps (Apple), why it is unusable here; "" if it is usable.

    On ROCm torch reports the device type as cuda. A device that another process fills or holds is
    usable: loading tells what is wrong.
    """
    import torch

    return {
        "cuda": _check_cuda(),
        "xpu": "" if torch.xpu.is_available() else "this torch finds none",
        "mps": "" if torch.backends.mps.is_available() else "this torch finds none",
    }


def confine_process(device: str) -> None:
    """Leave this process what `device` names: one GPU, or some cores. Call before torch is used.

    Raises `AbsentError` if it may not run on these cores.
    """
    hide_other_gpus(device)
    kind, named, _ = device.partition(":")
    if kind != "cpu" or not named:
        return
    cores = get_cores(device)
    try:
        # Threads that were started before keep the cores they had.
        for thread in os.listdir("/proc/self/task"):
            os.sched_setaffinity(int(thread), cores)
    except OSError:
        raise AbsentError(f"no {device}: this process may not run there", DEVICE_HINT) from None
    held = frozenset(cpu.read_affinity())
    if held != cores:
        missing = name_cores(cores - held)
        raise AbsentError(f"no {device}: this process may not use {missing}", DEVICE_HINT)


_original_visible: str | None = None
_only: str | None = None


def hide_other_gpus(device: str) -> None:
    """Leave this process the GPU that `device` names, if it names one. Call before torch is used.

    An index would leave threads that torch or transformers start on the first GPU, and a context
    there. `cuda:1` is the second of those that `CUDA_VISIBLE_DEVICES` shows.
    """
    global _only, _original_visible
    if _only is not None or "torch" in sys.modules:
        return
    kind, _, index = device.partition(":")
    chosen = ""
    if is_uuid(device):
        chosen = device
    elif kind == "cuda" and index:
        visible = gpus.list_visible_devices()
        if visible is None:
            chosen = index
        elif int(index) < len(visible):
            chosen = visible[int(index)]
    if chosen:
        _original_visible = os.environ.get(_VISIBLE)
        os.environ[_VISIBLE] = chosen
        _only = device


def read_given_environment() -> dict[str, str]:
    """Return the environment without what `hide_other_gpus` has set in it."""
    given = dict(os.environ)
    if _only is not None:
        given.pop(_VISIBLE)
        if _original_visible is not None:
            given[_VISIBLE] = _original_visible
    return given


def find_device(device: str) -> torch.device:
    """Return the device that `device` names; `auto` is the first usable accelerator, else the CPU.

    Raises `AbsentError` if it is not usable here.
    """
    import torch

    kind = get_device_kind(device) if device != "auto" else choose_device_type()
    why = check_accelerators().get(kind)
    if why:
        raise AbsentError(f"no {device} device: {why}", DEVICE_HINT)
    if device == _only or device in ("auto", kind) or kind == "cpu":
        return torch.device(kind)
    module = getattr(torch, kind)
    count = module.device_count()
    indices = [
        i
        for i in range(count)
        if device == f"{kind}:{i}"
        or (is_uuid(device) and f"GPU-{module.get_device_properties(i).uuid}".startswith(device))
    ]
    if len(indices) != 1:
        raise AbsentError(
            f"no {device} device: torch sees {format_count(count, 'device')}", DEVICE_HINT
        )
    module.set_device(indices[0])
    return torch.device(kind, indices[0])


def choose_device_type() -> str:
    """Return the first accelerator type that is usable here, else `cpu`."""
    return next((name for name, why in check_accelerators().items() if not why), "cpu")


def identify_device(device: torch.device) -> tuple[str, str | None]:
    """Return the name of `device`, and on CUDA the UUID that NVML uses, else `None`."""
    import torch

    if device.type == "cpu":
        return cpu.read_cpu_name(), None
    if device.type == "mps":
        return f"{cpu.read_cpu_name()} GPU", None
    properties = getattr(torch, device.type).get_device_properties(device)
    return properties.name, f"GPU-{properties.uuid}" if device.type == "cuda" else None


def describe_accelerator(device: torch.device) -> Accelerator:
    """Return the facts about `device` that decide which kernels it has.

    On ROCm torch reports a capability that is not NVIDIA's, so it is left out.
    """
    import torch

    if device.type != "cuda" or torch.version.hip:
        return Accelerator("rocm" if torch.version.hip and device.type == "cuda" else device.type)
    name = torch.cuda.get_device_name(device)
    return Accelerator("cuda", name, torch.cuda.get_device_capability(device))


def explain_unused_gpu(root: Path = Path("/")) -> str:
    """Return why torch cannot use the NVIDIA GPU of this machine; "" if it can or has none."""
    present = any(True for pattern in NVIDIA_FILES for _ in root.glob(pattern.lstrip("/")))
    return check_accelerators()["cuda"] if present else ""


def explain_missing_code(capability: tuple[int, int], architectures: Iterable[str]) -> str:
    """Return why a torch built for `architectures` has no code for a GPU; "" if it has.

    Machine code (`sm_80`) runs on the same major version from its minor version on, portable code
    (`compute_90`) on all newer devices. A suffix ties it to one version (`a`) or family (`f`).
    """
    major, minor = capability
    names = list(architectures)
    for kind, *digits, suffix in (m.groups() for m in map(_ARCHITECTURE.fullmatch, names) if m):
        built = int(digits[0]), int(digits[1])
        if built == capability:
            return ""
        if suffix != "a" and built[0] == major and built[1] <= minor:
            return ""
        if not suffix and kind == "compute" and built <= capability:
            return ""
    return f"this torch has no code for sm_{major}{minor}, only for {', '.join(names)}"


def _check_cuda() -> str:
    import torch

    if not (torch.version.cuda or torch.version.hip):
        return NO_CUDA
    if not torch.cuda.is_available():
        return _explain_no_gpu()
    architectures = torch.cuda.get_arch_list()
    if torch.version.cuda and architectures:
        missing = explain_missing_code(torch.cuda.get_device_capability(), architectures)
        if missing:
            return missing
    return _try_product()


def _explain_no_gpu() -> str:
    """Return the words of torch on why it sees no GPU."""
    import torch

    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        why = failures.format_first_line(error)
    else:
        why = "no GPU is visible"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return why if visible is None else f"{why} (CUDA_VISIBLE_DEVICES={visible!r})"


@cache
def _try_product() -> str:
    """Multiply two small matrices on the GPU. Return what went wrong, "" if nothing did."""
    import torch

    try:
        ones = torch.ones(8, 8, device="cuda")
        correct = (ones @ ones)[0, 0].item() == 8
    except RuntimeError as error:
        failure = failures.classify(error)
        return "" if failure.status == "oom" or failure.busy else failure.reason
    return "" if correct else "it multiplies wrong"
