"""The findings of `txtop doctor` on the settings of a GPU: its clocks, power limit and modes."""

from __future__ import annotations

from txtop.protocol.probe_reply import Capability
from txtop.sampler.nvidia_fields import FieldValues
from txtop.system.throttle import APPLICATION_CLOCKS

# NVIDIA's clocks come in steps of 15 MHz. A share of the maximum that a power limit leaves alone.
STEP_MHZ = 15
SUSTAINABLE_SHARE = 0.75


def describe_settings(label: str, values: FieldValues, facts: dict[str, str]) -> list[Capability]:
    """Return the findings on the GPU `label` from one reading and its recorded settings."""
    return [
        *_describe_clocks(label, values, facts),
        *_describe_power_limit(label, facts),
        *_describe_compute_mode(label, facts),
    ]


def _describe_clocks(label: str, values: FieldValues, facts: dict[str, str]) -> list[Capability]:
    """Tell what holds the clocks; a lock cannot be read from NVML, so that they are never free."""
    highest = values.get("max_sm_clock_mhz")
    if not highest:
        return []
    target = _read_number(facts, "application_clock_mhz")
    limited = int(values.get("throttle_reasons") or 0) & APPLICATION_CLOCKS
    if target and (target < highest or limited):
        detail = f"{label}: held at {target:.0f} of {highest:.0f} MHz by its application clock"
        return [Capability("gpu clocks", "ok", detail)]
    if limited:
        detail = f"{label}: held below {highest:.0f} MHz by a setting"
        return [Capability("gpu clocks", "ok", detail)]
    detail = f"{label}: not held as far as NVML tells, which cannot read a lock; runs may differ"
    mhz = suggest_clock_mhz(highest, _read_number(facts, "default_application_clock_mhz"))
    hold = f"sudo nvidia-smi --lock-gpu-clocks={mhz},{mhz}, lower if power still caps it"
    return [Capability("gpu clocks", "missing", detail, hold)]


def suggest_clock_mhz(highest: float, default: float | None) -> int:
    """Return a clock that a GPU holds under load: its default one, or three quarters of `highest`.

    The highest clock itself is not held under a power limit.
    """
    if default and default < highest:
        return round(default)
    return STEP_MHZ * int(SUSTAINABLE_SHARE * highest / STEP_MHZ)


def _describe_power_limit(label: str, facts: dict[str, str]) -> list[Capability]:
    limit, default = (
        _read_number(facts, name) for name in ("power_limit_w", "default_power_limit_w")
    )
    if not limit or not default or limit >= default:
        return []
    detail = f"{label}: limited to {limit:.0f} W of {default:.0f} W"
    hint = f"sudo nvidia-smi --power-limit={default:.0f}"
    return [Capability("gpu power limit", "missing", detail, hint)]


def _describe_compute_mode(label: str, facts: dict[str, str]) -> list[Capability]:
    mode, hint = facts.get("compute_mode", "default"), "sudo nvidia-smi --compute-mode=DEFAULT"
    if mode == "prohibited":
        detail = f"{label}: its compute mode lets no process compute"
        return [Capability("gpu compute mode", "broken", detail, hint)]
    if mode.startswith("exclusive"):
        detail = f"{label}: {mode}: the arms of an A/B cannot be loaded side by side"
        return [Capability("gpu compute mode", "missing", detail, hint)]
    return []


def _read_number(facts: dict[str, str], name: str) -> float | None:
    return float(facts[name]) if name in facts else None
