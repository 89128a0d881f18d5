"""RAPL power from faked counters."""

from __future__ import annotations

from pathlib import Path

from txtop.sampler.rapl import Rapl, find_counters


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _zone(root: Path, name: str, title: str, energy: int | None, wraps_at: int = 999_999) -> Path:
    zone = root / name
    zone.mkdir()
    (zone / "name").write_text(title + "\n")
    (zone / "max_energy_range_uj").write_text(f"{wraps_at}\n")
    if energy is not None:
        (zone / "energy_uj").write_text(f"{energy}\n")
    return zone / "energy_uj"


def test_rapl_sums_packages_and_leaves_out_subdomains(tmp_path: Path) -> None:
    clock = Clock()
    first = _zone(tmp_path, "intel-rapl:0", "package-0", 100)
    second = _zone(tmp_path, "intel-rapl:1", "package-1", 0)
    _zone(tmp_path, "intel-rapl:0:0", "core", 0)
    _zone(tmp_path, "intel-rapl:2", "psys", 0)
    assert find_counters(tmp_path) == [first, second]
    rapl = Rapl(tmp_path, clock)
    clock.now += 0.5
    first.write_text("600100\n")
    second.write_text("400000\n")
    assert rapl.watts() == 2.0
    assert rapl.joules == 1.0


def test_rapl_counter_wraps(tmp_path: Path) -> None:
    clock = Clock()
    counter = _zone(tmp_path, "intel-rapl:0", "package-0", 900_000)
    rapl = Rapl(tmp_path, clock)
    clock.now += 1
    counter.write_text("400000\n")
    assert rapl.watts() == 0.5


def test_rapl_without_permission_is_not_available(tmp_path: Path) -> None:
    _zone(tmp_path, "intel-rapl:0", "package-0", None)
    assert len(find_counters(tmp_path)) == 1
    assert not Rapl(tmp_path).available
    assert not Rapl(tmp_path / "absent").available


def test_rapl_nonsense_is_null(tmp_path: Path) -> None:
    clock = Clock()
    counter = _zone(tmp_path, "intel-rapl:0", "package-0", 0, wraps_at=10**15)
    rapl = Rapl(tmp_path, clock)
    assert rapl.watts() is None
    clock.now += 1
    counter.write_text("900000000000\n")
    assert rapl.watts() is None
    counter.write_text("not a number\n")
    assert rapl.watts() is None
