"""NVML's reasons for a slower clock, in words.

https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html
"""

from __future__ import annotations

import math

# With these what is measured is not the device's speed.
INVALIDATING_REASONS = {
    0x8: "hardware slowdown",
    0x20: "thermal",
    0x40: "hardware thermal",
    0x80: "power brake",
}
POWER_CAP = 0x4
ANNOTATED_REASONS = {POWER_CAP: "power cap", 0x10: "sync boost", 0x2: "application clocks"}


def decode_reasons(value: float | None) -> tuple[list[str], list[str]]:
    """(those that spoil a measurement, those that are only worth a word) of a reading."""
    if value is None or not math.isfinite(value):
        return [], []
    bits = int(value)
    return (
        [word for bit, word in INVALIDATING_REASONS.items() if bits & bit],
        [word for bit, word in ANNOTATED_REASONS.items() if bits & bit],
    )
