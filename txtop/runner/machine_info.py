"""The machine as a session's header describes it, read without torch and without NVML."""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from txtop import __version__
from txtop.errors import UsageError
from txtop.models.local_accelerator import find_accelerator
from txtop.protocol.events import Machine
from txtop.sanitise import sanitise
from txtop.system import cpu
from txtop.system.cgroup import choose_effective_limit, read_memory_limit

MATRIX_FEATURES = (
    "avx2",
    "avx512f",
    "avx_vnni",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "sve",
    "i8mm",
    "bf16",
)
LIBRARIES = (
    "torch",
    "transformers",
    "accelerate",
    "textual",
    "torchao",
    "triton",
    "nvidia-ml-py",
)


def read_machine() -> Machine:
    """Read the machine's description; what cannot be read is empty or 0."""
    total = psutil.virtual_memory().total
    limit = choose_effective_limit(read_memory_limit(), total)
    logical, allowed = os.cpu_count() or 0, cpu.count_allowed_cores()
    return Machine(
        hostname=sanitise(socket.gethostname(), 200),
        os=f"{platform.system()} {platform.release()}",
        cpu=sanitise(cpu.read_cpu_name(), 200),
        cores_physical=psutil.cpu_count(logical=False) or os.cpu_count() or 0,
        cores_logical=logical,
        memory_bytes=total,
        memory_limit_bytes=limit.limit_bytes if limit else None,
        cores_allowed=allowed if allowed < logical else None,
        python=platform.python_version(),
        features=_read_matrix_features(),
    )


def read_versions() -> dict[str, str]:
    """Read the versions of txtop, Python and the libraries from metadata, importing nothing."""
    versions = {"txtop": __version__, "python": sys.version.split()[0]}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def read_boot_id() -> str:
    """Read the kernel's boot id; monotonic times of two boots must never be subtracted."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def has_package_power() -> bool:
    """Check that the CPU package's energy counter may be read."""
    return os.access(cpu.POWERCAP / "intel-rapl:0/energy_uj", os.R_OK)


def require_power_meter(devices: Iterable[str]) -> None:
    """Raise `UsageError` if energy is asked for on a CPU whose counter cannot be read.

    Whether a GPU tells its power is known once the sampler has asked it.
    """
    kinds = {device and device.kind for device in map(find_accelerator, devices)}
    if kinds == {"cpu"} and not has_package_power():
        raise UsageError(
            "--minimise energy: no energy counter of this CPU can be read",
            "run as root if /sys/class/powercap/intel-rapl:0 exists, or use --minimise tpot or"
            " cost",
        )


def _read_matrix_features() -> tuple[str, ...]:
    """Read the features of x86 or ARM that speed up matrix products, by the kernel's names."""
    features = cpu.read_cpu_features()
    return tuple(name for name in MATRIX_FEATURES if name in features)
