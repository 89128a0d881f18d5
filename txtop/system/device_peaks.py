"""Look up the peak performance of known devices, as their makers publish it.

The figures and their sources are data: `device_peaks.toml`, beside this file.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_suffix(".toml")
_GB, _TERA = 1e9, 1e12


@dataclass(frozen=True)
class PublishedPeaks:
    """Peak bandwidth of a device's memory, and dense FLOP/s by the name of a dtype."""

    bandwidth_bytes_per_s: float
    flops_per_s: dict[str, float]


def find_published(name: str) -> PublishedPeaks | None:
    """Return the peaks of a device by its name, or None if it is not in the table.

    The name is as torch and NVML spell it; older drivers leave out the maker.
    """
    return read_table().get(_key(name))


@cache
def read_table() -> dict[str, PublishedPeaks]:
    """Read the table; keys are names without the maker, in lower case."""
    devices = tomllib.loads(_FILE.read_text(encoding="utf-8"))["device"]
    return {
        _key(name): PublishedPeaks(
            device["gb_per_s"] * _GB,
            {dtype: teraflops * _TERA for dtype, teraflops in device["tflops"].items()},
        )
        for device in devices
        for name in device["names"]
    }


def _key(name: str) -> str:
    return " ".join(name.casefold().split()).removeprefix("nvidia ")
