"""The capabilities of the sampler on this machine, for `txtop doctor` (`--probe`)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil

from txtop.formatting import format_gib, format_share
from txtop.protocol.codec import encode_event
from txtop.protocol.events import Telemetry
from txtop.protocol.probe_reply import Capability
from txtop.sampler import nvml_import, rapl
from txtop.sampler.gpu_settings import describe_settings
from txtop.sampler.host import Host, read_label
from txtop.sampler.nvidia import NvidiaGpus
from txtop.sampler.nvidia_fields import FIELD_BOUNDS
from txtop.sampler.process_usage import WatchedProcesses
from txtop.system.cgroup import choose_effective_limit, read_memory_limit
from txtop.system.cpu import count_allowed_cores

NVML_TIMEOUT_S = 30.0
"""Without persistence mode the driver takes seconds to initialise each GPU."""
RATE_HZ = 5
"""The default rate of the sampler."""
COST_SECONDS = 2


def probe() -> Iterator[Capability]:
    """Try everything once. NVML is reported as broken if it does not answer within 30 s."""
    nvml = _NvmlProbe()
    nvml.start()
    yield _probe_processor()
    yield _probe_memory()
    yield _probe_package_power()
    host = _measure_host_cost()
    yield from nvml.wait()
    yield _describe_cost(host, nvml.cost)


def _probe_processor() -> Capability:
    physical, logical = psutil.cpu_count(logical=False), psutil.cpu_count()
    detail = f"{read_label()}, {physical} cores, {logical} threads"
    allowed = count_allowed_cores()
    if logical is not None and allowed < logical:
        detail += f", of which {allowed} may be used here"
    return Capability("cpu", "ok", detail)


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


def _measure_host_cost() -> float:
    """Return the share of a core that reading the host at the rate of the sampler takes."""
    host, watched = Host(), WatchedProcesses()
    watched.add(f"self={os.getpid()}")

    def read(tick: int) -> None:
        values = host.read_disturbances() | host.values()
        if tick % RATE_HZ == 0:
            values |= host.slow_values()
            watched.costs()
        encode_event(Telemetry(t_ns=time.monotonic_ns(), device="host", values=values))

    return _measure_share(read)


def _measure_gpu_cost(gpus: NvidiaGpus) -> float:
    """Return the share of a core that reading the GPUs takes, the first one in use."""
    gpus.rates.use(next(iter(gpus.devices)))

    def read(_tick: int) -> None:
        for event in gpus.sample():
            encode_event(event)

    return _measure_share(read)


def _measure_share(read: Callable[[int], None]) -> float:
    """Return the CPU time of this thread in `read` at the sampler's rate, as a share of a core."""
    before_s = time.thread_time()
    for tick in range(COST_SECONDS * RATE_HZ):
        # Without the pause everything stays in the caches and the result is half the real cost.
        time.sleep(1 / RATE_HZ)
        read(tick)
    return (time.thread_time() - before_s) / COST_SECONDS


def _describe_cost(host: float, gpus: float | None) -> Capability:
    also = "" if gpus is None else f", the GPUs {format_share(gpus, 1)}"
    detail = (
        f"the host costs {format_share(host, 1)} of a core{also} at {RATE_HZ} readings per second"
    )
    return Capability("telemetry", "ok", detail)


class _NvmlProbe:
    """The probe of NVML in a thread of its own, because a call of it can hang.

    `cost` is the share of a core that reading the GPUs takes, None without one.
    """

    def __init__(self) -> None:
        self.cost: float | None = None
        self._capabilities: list[Capability] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._until_s = time.monotonic() + NVML_TIMEOUT_S

    def start(self) -> None:
        self._thread.start()

    def wait(self) -> list[Capability]:
        """Return the findings; one that NVML is broken if there are none within 30 s."""
        self._thread.join(max(0.0, self._until_s - time.monotonic()))
        if self._capabilities:
            return list(self._capabilities)
        detail = f"NVML has not answered for {NVML_TIMEOUT_S:.0f} s"
        return [Capability("gpu", "broken", detail, "see whether nvidia-smi hangs too, then dmesg")]

    def _run(self) -> None:
        library = nvml_import.import_nvml()
        try:
            gpus = NvidiaGpus(library, WatchedProcesses())
        except library.NVMLError as error:
            problem = nvml_import.explain_error(library, error)
            self._capabilities = [Capability("gpu", problem.state, problem.cause, problem.hint)]
            return
        self._capabilities = _describe_gpus(library, gpus)
        if gpus.devices:
            self.cost = _measure_gpu_cost(gpus)


def _describe_gpus(library: Any, gpus: NvidiaGpus) -> list[Capability]:
    driver = gpus.versions.get("nvidia_driver", "unknown")
    lines = [Capability("gpu", "broken", refused, "nvidia-smi -q") for refused in gpus.refused]
    settings: list[Capability] = []
    for gpu in gpus.devices.values():
        try:
            values, facts = gpu.values(), gpu.read_facts()
        except library.NVMLError as error:
            problem = nvml_import.explain_error(library, error)
            lines.append(Capability("gpu", "broken", f"{gpu.label}: {problem.cause}", problem.hint))
            continue
        lacking = [name for name in FIELD_BOUNDS if name in gpu.unsupported]
        without = f", without {', '.join(lacking)}" if lacking else ""
        lines.append(Capability("gpu", "ok", f"{gpu.label}, driver {driver}{without}"))
        settings += describe_settings(gpu.label, values, facts)
    # GPUs of one kind with the same settings are one line.
    lines += dict.fromkeys(settings)
    return lines or [Capability("gpu", "missing", f"driver {driver}, but no GPU is visible")]


def _format_gib(count: float) -> str:
    return f"{format_gib(count)} GiB"
