"""Host values, RAPL power from faked counters, and the cost of watched processes."""

from __future__ import annotations

from pathlib import Path

import psutil

from txtop.sampler.host import MAX_CORES, Host, read_cpu_name


def test_host_values_are_sane() -> None:
    values = Host().values()
    assert set(values) - {"power_w", "energy_j"} == {
        "cpu_percent",
        "ram_used_bytes",
        "ram_total_bytes",
        "load_1",
        "swapped_in_bytes",
    }
    used, total, load = values["ram_used_bytes"], values["ram_total_bytes"], values["load_1"]
    assert used is not None and total is not None and 0 < used <= total
    assert total <= psutil.virtual_memory().total
    assert load is not None and load >= 0


def test_slow_host_values_are_sane() -> None:
    values = Host().slow_values()
    cores = [v for name, v in values.items() if name.startswith("core_") and v is not None]
    assert len(cores) == min(psutil.cpu_count() or 0, MAX_CORES) or not cores
    busiest, swap = values["cpu_busiest_percent"], values["swap_used_bytes"]
    assert busiest is not None and busiest == max([*cores, busiest]) and 0 <= busiest <= 100
    assert swap is not None and swap >= 0
    assert values["memory_kills"] is not None


def test_cpu_model_is_made_inert(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Fast \x1b[31m CPU\nmodel name\t: other\n")
    assert read_cpu_name(cpuinfo) == "Fast \\x1b[31m CPU"
    assert read_cpu_name(tmp_path / "absent") != ""
