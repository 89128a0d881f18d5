"""AMD GPUs under a module that answers as amdsmi's reference says: not tried on a real GPU yet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.sampler_process import TREE, read
from support.scripted_nvml import without_a_library
from txtop.protocol.events import Gap, Telemetry

AMDSMI = """
class AmdSmiException(Exception): pass
class AmdSmiMemoryType: VRAM = 0
class AmdSmiTemperatureType: HOTSPOT = 1
class AmdSmiTemperatureMetric: CURRENT = 0
class AmdSmiClkType: GFX = 0
asked = 0
def amdsmi_init(): pass
def amdsmi_get_processor_handles(): return ["a"]
def amdsmi_get_gpu_device_uuid(gpu): return "1234"
def amdsmi_get_gpu_asic_info(gpu): return {"market_name": "Fake MI300X"}
def amdsmi_get_gpu_activity(gpu):
    global asked
    asked += 1
    return {"gfx_activity": 88 if asked < 4 else "N/A"}
def amdsmi_get_gpu_memory_usage(gpu, kind): return _until(5 << 30)
def amdsmi_get_gpu_memory_total(gpu, kind): return 192 << 30
def amdsmi_get_power_info(gpu):
    return {"current_socket_power": "N/A", "average_socket_power": _until(612)}
def amdsmi_get_temp_metric(gpu, sensor, metric): return _until(61)
def amdsmi_get_clock_info(gpu, clock): raise AmdSmiException("not supported")
def amdsmi_get_energy_count(gpu):
    return {"energy_accumulator": _until(2000), "counter_resolution": 15.3}
def _until(value):
    if asked < 4: return value
    raise AmdSmiException("gone")
"""


def test_an_amd_gpu_is_watched_where_there_is_amdsmi(tmp_path: Path) -> None:
    (tmp_path / "amdsmi.py").write_text(AMDSMI)
    paths = os.pathsep.join((str(tmp_path), TREE))
    sampler = subprocess.Popen(
        [sys.executable, "-m", "txtop.sampler", "--interval", "0.05"],
        env={**os.environ, **without_a_library(tmp_path), "PYTHONPATH": paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        seen = read(sampler, lambda event: isinstance(event, Gap))
    finally:
        sampler.kill()
        sampler.communicate()
    samples = [e for e in seen if isinstance(e, Telemetry) and e.device == "GPU-1234"]
    assert samples[0].label == "Fake MI300X" and 2 <= len(samples) <= 4
    assert samples[0].values == {
        "utilization": 88.0,
        "memory_used_bytes": float(5 << 30),
        "memory_total_bytes": float(192 << 30),
        "power_w": 612.0,
        "temperature_c": 61.0,
        "energy_j": 2000 * 15.3 / 1e6,
    }
    assert seen[-1].reason == "Fake MI300X stopped answering"  # type: ignore[union-attr]
