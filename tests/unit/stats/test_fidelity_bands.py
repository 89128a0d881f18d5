"""Bands of fidelity, and the interval of a share with scipy as the oracle."""

from __future__ import annotations

import pytest
from scipy import stats as oracle

from txtop.stats import fidelity_bands


@pytest.mark.parametrize(
    ("kld", "top1", "band"),
    [
        (0.001, 0.99, "lossless-like"),
        (0.0011, 0.999, "minor"),
        (0.0001, 0.98, "minor"),
        (0.01, 0.94, "minor"),
        (0.011, 0.99, "visible"),
        (0.001, 0.93, "visible"),
        (0.1, 0.80, "visible"),
        (0.11, 0.99, "broken"),
        (0.0, 0.79, "broken"),
        # METHOD, "Precision must be what it says": SmolLM2-135M against fp32.
        (0.0015, 0.967, "minor"),
        (0.0061, 0.92, "visible"),
        (1.09, 0.375, "broken"),
    ],
)
def test_the_worse_of_two_figures_decides(kld: float, top1: float, band: str) -> None:
    by_top1 = fidelity_bands.classify_top1(round(top1 * 10_000), 10_000)
    assert fidelity_bands.choose_worse(fidelity_bands.classify_kld(kld), by_top1) == band


def test_of_few_positions_the_upper_end_of_the_interval_counts() -> None:
    assert fidelity_bands.classify_top1(60, 64) == "minor"
    assert fidelity_bands.classify_top1(600, 640) == "visible"
    assert fidelity_bands.classify_top1(20, 64) == "broken"


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (3, 7), (1_980, 2_048)])
def test_wilson_agrees_with_scipy(successes: int, n: int) -> None:
    expected = oracle.binomtest(successes, n).proportion_ci(method="wilson")
    assert fidelity_bands.compute_wilson_interval(successes, n) == pytest.approx(
        (expected.low, expected.high)
    )
    assert fidelity_bands.compute_wilson_interval(0, 0) is None
