"""The power of the CPU packages, from the energy counters of Linux under powercap.

https://docs.kernel.org/power/powercap/powercap.html
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from txtop.system.cpu import POWERCAP

MAX_WATTS = 10_000.0
"""A higher value is an error of the counter."""


@dataclass
class _Package:
    counter: Path
    wraps_at: int
    last: int


def find_counters(root: Path = POWERCAP) -> list[Path]:
    """Return the counters of the packages, readable or not.

    Sub-domains and `psys` are left out: they would count energy twice.
    """
    counters = []
    for zone in sorted(root.glob("intel-rapl:*")):
        if not re.fullmatch(r"intel-rapl:\d+", zone.name):
            continue
        try:
            name = (zone / "name").read_text()
        except OSError:
            continue
        if name.startswith("package"):
            counters.append(zone / "energy_uj")
    return counters


class Rapl:
    """The power of all CPU packages together, averaged between two calls of `watts`."""

    def __init__(self, root: Path = POWERCAP, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._packages = [
            p for path in find_counters(root) if (p := _open_package(path)) is not None
        ]
        self._read_at = clock()
        self._microjoules = 0

    @property
    def available(self) -> bool:
        return bool(self._packages)

    @property
    def joules(self) -> float:
        """The energy used from the creation of this object to the last call of `watts`."""
        return round(self._microjoules / 1e6, 3)

    def watts(self) -> float | None:
        """Return the mean power since the last call, `None` if a counter is unusable."""
        now, microjoules = self._clock(), 0
        try:
            for package in self._packages:
                value = int(package.counter.read_text())
                microjoules += (value - package.last) % (package.wraps_at + 1)
                package.last = value
        except (OSError, ValueError):
            return None
        self._microjoules += microjoules
        elapsed, self._read_at = now - self._read_at, now
        if elapsed <= 0:
            return None
        watts = microjoules / 1e6 / elapsed
        return round(watts, 2) if watts <= MAX_WATTS else None


def _open_package(counter: Path) -> _Package | None:
    try:
        wraps_at = int((counter.parent / "max_energy_range_uj").read_text())
        return _Package(counter, wraps_at, int(counter.read_text()))
    except (OSError, ValueError):
        return None
