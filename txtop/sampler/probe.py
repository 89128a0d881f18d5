"""The capabilities of the sampler on this machine, for `txtop doctor` (`--probe`)."""

from __future__ import annotations

import os
import threading
import time

import psutil

from txtop.formatting import format_gib, format_share
from txtop.protocol.codec import encode_event
from txtop.protocol.events import Telemetry
from txtop.protocol.probe_reply import Capability
from txtop.sampler import nvml_import, rapl
from txtop.sampler.host import Host, read_label
from txtop.sampler.nvidia import NvidiaGpus
from txtop.sampler.nvidia_fields import FIELD_BOUNDS
from txtop.sampler.process_usage import WatchedProcesses
from txtop.system.cgroup import choose_effective_limit, read_memory_limit

NVML_TIMEOUT_S = 10.0
RATE_HZ = 5
"""The default rate of the sampler."""
COST_SECONDS = 2


def probe() -> list[Capability]:
    """Try everything once. NVML is reported as broken if it does not answer within 10 s."""
    return [
        _probe_processor(),
        _probe_memory(),
        _probe_package_power(),
        *_probe_gpus(),
        _probe_own_cost(),
    ]


def _probe_processor() -> Capability:
    physical, logical = psutil.cpu_count(logical=False), psutil.cpu_count()
    return Capability("cpu", "ok", f"{read_label()}, {physical} cores, {logical} threads")


def _probe_memory() -> Capability:
    total = psutil.virtual_memory().total
    limit = choose_effective_limit(read_memory_limit(), total)
    if limit is None:
        return Capability("memory", "ok", f"{_format_gib(total)}, no container limit")
    detail = f"{_format_gib(limit.limit_bytes)} by cgroup v{limit.version}, of {_format_gib(total)}"
    if limit.used_bytes() is None:
        return Capability("memory", "broken", f"{detail}; its use cannot be read")
    return Capability("memory", "ok", detail)


def _probe_package_power() -> Capability:
    counters = rapl.find_counters()
    if not counters:
        return Capability(
            "cpu power", "missing", "no RAPL counters here, as in most virtual machines"
        )
    if not rapl.Rapl().available:
        hint = f"sudo chmod o+r {counters[0].parent.parent}/intel-rapl:*/energy_uj"
        return Capability("cpu power", "broken", "RAPL counters may not be read", hint)
    return Capability("cpu power", "ok", f"RAPL, {len(counters)} packages")


def _probe_own_cost() -> Capability:
    """Measure the CPU time of reading the host at the rate of the sampler, as a share of a core."""
    host, watched = Host(), WatchedProcesses()
    watched.add(f"self={os.getpid()}")
    ticks = COST_SECONDS * RATE_HZ
    before_s = time.process_time()
    for tick in range(ticks):
        # Without the pause everything stays in the caches and the result is half the real cost.
        time.sleep(1 / RATE_HZ)
        values = host.values()
        if tick % RATE_HZ == 0:
            values |= host.slow_values()
            watched.costs()
        encode_event(Telemetry(t_ns=time.monotonic_ns(), device="host", values=values))
    share = (time.process_time() - before_s) / COST_SECONDS
    detail = f"the host costs {format_share(share, 1)} of a core at {RATE_HZ} readings per second"
    return Capability("telemetry", "ok", detail)


def _probe_gpus() -> list[Capability]:
    capabilities: list[Capability] = []
    worker = threading.Thread(target=lambda: capabilities.extend(_ask_nvml()), daemon=True)
    worker.start()
    worker.join(NVML_TIMEOUT_S)
    if capabilities:
        return capabilities
    detail = f"NVML has not answered for {NVML_TIMEOUT_S:.0f} s"
    return [Capability("gpu", "broken", detail, "see whether nvidia-smi hangs too, then dmesg")]


def _ask_nvml() -> list[Capability]:
    library = nvml_import.import_nvml()
    try:
        gpus = NvidiaGpus(library, WatchedProcesses())
    except library.NVMLError as error:
        problem = nvml_import.explain_error(library, error)
        return [Capability("gpu", problem.state, problem.cause, problem.hint)]
    driver = gpus.versions.get("nvidia_driver", "unknown")
    lines = [Capability("gpu", "broken", refused, "nvidia-smi -q") for refused in gpus.refused]
    fastest_mhz = 0.0
    for gpu in gpus.devices.values():
        try:
            values = gpu.values()
        except library.NVMLError as error:
            problem = nvml_import.explain_error(library, error)
            lines.append(Capability("gpu", "broken", f"{gpu.label}: {problem.cause}", problem.hint))
            continue
        fastest_mhz = max(fastest_mhz, values.get("max_sm_clock_mhz") or 0.0)
        lacking = [name for name in FIELD_BOUNDS if name in gpu.unsupported]
        without = f", without {', '.join(lacking)}" if lacking else ""
        lines.append(Capability("gpu", "ok", f"{gpu.label}, driver {driver}{without}"))
    if fastest_mhz:
        detail = "free to change, as far as NVML tells: runs differ with them"
        hold = f"sudo nvidia-smi --lock-gpu-clocks={fastest_mhz:.0f} holds them"
        lines.append(Capability("gpu clocks", "ok", detail, hold))
    return lines or [Capability("gpu", "missing", f"driver {driver}, but no GPU is visible")]


def _format_gib(count: float) -> str:
    return f"{format_gib(count)} GiB"
