"""NVML's reasons for a slower clock, and their names.

https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html
"""

from __future__ import annotations

import math

# A measurement under one of these is not of the device's speed.
INVALIDATING_REASONS = {
    0x8: "hardware slowdown",
    0x20: "thermal",
    0x40: "hardware thermal",
    0x80: "power brake",
}
POWER_CAP = 0x4
APPLICATION_CLOCKS = 0x2
ANNOTATED_REASONS = {
    POWER_CAP: "power cap",
    0x10: "sync boost",
    APPLICATION_CLOCKS: "application clocks",
}


def decode_reasons(value: float | None) -> tuple[list[str], list[str]]:
    """Return the names of a reading's reasons: (those that invalidate it, those to annotate)."""
    if value is None or not math.isfinite(value):
        return [], []
    bits = int(value)
    return (
        [name for bit, name in INVALIDATING_REASONS.items() if bits & bit],
        [name for bit, name in ANNOTATED_REASONS.items() if bits & bit],
    )
