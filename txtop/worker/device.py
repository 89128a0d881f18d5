"""What this process runs on: how many threads to use, what the device is called."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """The kernel kills this process when the thread that started it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _cgroup_cores() -> float | None:
    """The CPU quota of this process's cgroup (v2), in cores."""
    try:
        own = Path("/proc/self/cgroup").read_text().strip().rpartition("::")[2]
        for group in (own, "/"):
            file = Path("/sys/fs/cgroup") / group.lstrip("/") / "cpu.max"
            if file.is_file():
                quota, period = file.read_text().split()
                return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    return None


def default_threads() -> int:
    """All physical cores that this process may use, less one for watching; at least one."""
    usable = len(os.sched_getaffinity(0))
    cores = min(psutil.cpu_count(logical=False) or usable, usable)
    quota = _cgroup_cores()
    if quota is not None:
        cores = min(cores, int(quota))
    return max(1, cores - 1)


def cpu_name() -> str:
    """The processor as the kernel names it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model"):
                return value.strip()
    except OSError:
        pass
    return os.uname().machine


def accelerators() -> dict[str, str]:
    """Why a kind of device cannot be used here, empty where it can: cuda, xpu (Intel), mps (Apple).

    ROCm calls itself cuda.
    """
    import torch

    on_cuda = torch.version.cuda or torch.version.hip
    return {
        "cuda": _unless(
            torch.cuda.is_available(),
            "no GPU is visible" if on_cuda else "torch is built without CUDA",
        ),
        "xpu": _unless(torch.xpu.is_available(), "this torch finds none"),
        "mps": _unless(torch.backends.mps.is_available(), "this torch finds none"),
    }


def device_type() -> str:
    """The first accelerator that can be used here, else cpu."""
    return next((name for name, why in accelerators().items() if not why), "cpu")


def _unless(usable: bool, why: str) -> str:
    return "" if usable else why
