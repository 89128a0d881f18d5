"""Host values, RAPL power from faked counters, and the cost of watched processes."""

from __future__ import annotations

import psutil
import pytest

from txtop.sampler.host import MAX_CORES, Host, read_label
from txtop.system import cpu


def test_host_values_are_sane() -> None:
    host = Host()
    values = host.read_disturbances() | host.values()
    assert set(values) - {"power_w", "energy_j"} == {
        "cpu_percent",
        "ram_used_bytes",
        "ram_total_bytes",
        "load_1",
        "swapped_in_bytes",
        "others_cpu_s",
        "steal_s",
        "waited_percent",
        "pressure_s",
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


def test_the_label_is_inert_and_fits_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "read_cpu_name", lambda: "Fast \x1b[31m CPU" + 80 * "!")
    assert Host().label == read_label()
    assert read_label().startswith("Fast \\x1b[31m CPU!") and len(read_label()) == 80
