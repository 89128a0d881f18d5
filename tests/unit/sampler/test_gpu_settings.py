"""The findings of doctor on the settings of a GPU, from readings and facts as data."""

from __future__ import annotations

import pytest

from txtop.sampler.gpu_settings import describe_settings, suggest_clock_mhz

H100 = {"power_limit_w": "700", "default_power_limit_w": "700", "compute_mode": "default"}
CLOCKS = {"application_clock_mhz": "1980", "default_application_clock_mhz": "1980"}


@pytest.mark.parametrize(
    ("facts", "throttle", "state", "detail", "hint"),
    [
        (CLOCKS, 0, "missing", "not held as far as NVML tells", "--lock-gpu-clocks=1485,1485,"),
        ({}, 1, "missing", "not held as far as NVML tells", "--lock-gpu-clocks=1485,1485,"),
        (
            CLOCKS | {"default_application_clock_mhz": "1095"},
            0,
            "missing",
            "not held",
            "--lock-gpu-clocks=1095,1095,",
        ),
        (CLOCKS | {"application_clock_mhz": "1410"}, 0, "ok", "held at 1410 of 1980 MHz", ""),
        (CLOCKS, 2, "ok", "held at 1980 of 1980 MHz", ""),
        ({}, 2, "ok", "held below 1980 MHz by a setting", ""),
    ],
)
def test_clocks_are_held_or_said_not_to_be(
    facts: dict[str, str], throttle: int, state: str, detail: str, hint: str
) -> None:
    values: dict[str, float | None] = {"max_sm_clock_mhz": 1980.0, "throttle_reasons": throttle}
    (finding,) = describe_settings("H100", values, H100 | facts)
    assert (finding.capability, finding.state) == ("gpu clocks", state)
    assert detail in finding.detail and "free" not in finding.detail
    assert hint in finding.next and bool(finding.next) == bool(hint)


@pytest.mark.parametrize(
    ("highest", "default", "mhz"),
    [(1980, None, 1485), (1410, 1095, 1095), (1980, 1980, 1485), (2520, 2235, 2235)],
)
def test_the_clock_that_is_advised_is_never_the_highest(
    highest: float, default: float | None, mhz: int
) -> None:
    assert suggest_clock_mhz(highest, default) == mhz < highest


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, []),
        ({"compute_mode": "exclusive process"}, [("gpu compute mode", "missing")]),
        ({"compute_mode": "prohibited"}, [("gpu compute mode", "broken")]),
        ({"power_limit_w": "350"}, [("gpu power limit", "missing")]),
        ({"power_limit_w": "750"}, []),
    ],
)
def test_modes_and_limits_that_change_a_run_are_findings(
    facts: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    findings = describe_settings("H100", {"max_sm_clock_mhz": None}, H100 | facts)
    assert [(f.capability, f.state) for f in findings] == expected
    assert all(f.next.startswith("sudo nvidia-smi --") for f in findings)


def test_a_gpu_that_tells_nothing_has_no_findings() -> None:
    assert describe_settings("H100", {}, {}) == []
