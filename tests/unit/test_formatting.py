"""Figures as people read them."""

from __future__ import annotations

import pytest

from txtop.formatting import (
    GIB,
    format_change,
    format_gib,
    format_gibs,
    format_ratio,
    format_ratio_interval,
    format_rough_ratio,
    format_typed_size,
)
from txtop.quantities import parse_size

MIB = 1 << 20


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (-0.004, "0 %"), (0.004, "0 %"), (-0.006, "−1 %"), (0.31, "+31 %")],
)
def test_a_change_that_rounds_to_zero_has_no_sign(share: float, text: str) -> None:
    assert format_change(share, 0) == text


@pytest.mark.parametrize(
    ("value", "interval", "text"),
    [
        (11.47, (9.1, 14.0), "11.5x"),
        (11.47, (2.0, 20.0), "11.5x"),
        (11.47, (2.0, 20.1), "≈11x"),
        (0.681, None, "≈0.68x"),
        (0.681, (0.5, 0.8), "0.68x"),
        (0.0126, (0.01, 0.02), "0.0126x"),
        (9.96, None, "≈10x"),
        (1530.0, (7e-8, 3e7), "≈1,500x"),
        (None, None, ""),
    ],
)
def test_a_factor_whose_interval_says_too_little_has_two_digits_and_a_sign(
    value: float | None, interval: tuple[float, float] | None, text: str
) -> None:
    assert format_rough_ratio(value, interval) == text
    assert text.startswith("≈") or format_ratio(value) == text


@pytest.mark.parametrize(
    ("sizes", "texts"),
    [
        ((900 * MIB,), ["0.879"]),
        ((900 * MIB, 2 * GIB, None), ["0.879", "2.00", "—"]),
        ((23 * GIB, 23 * GIB - 8 * MIB), ["23.00", "22.99"]),
        ((1.954 * GIB, 1.946 * GIB), ["1.954", "1.946"]),
        ((900 * MIB, 900 * MIB), ["0.879", "0.879"]),
        ((None, None), ["—", "—"]),
        ((2000 * GIB, 2001 * GIB), ["2,000", "2,001"]),
        ((1024.3 * GIB, 22.16 * GIB), ["1,024", "22.2"]),
        ((1024 * GIB, 1023.9 * GIB, 1100 * MIB), ["1,024", "1,023.9", "1.07"]),
        ((1024.3 * GIB, 1024.4 * GIB, 1025 * GIB), ["1,024.3", "1,024.4", "1,025"]),
        ((1024 * GIB, 22.16 * GIB, 22.17 * GIB), ["1,024", "22.16", "22.17"]),
        ((1000 * GIB, 999.6 * GIB), ["1,000", "999.6"]),
    ],
)
def test_sizes_that_differ_look_different(sizes: tuple[int | None, ...], texts: list[str]) -> None:
    assert format_gibs(*sizes) == texts


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ((0.9883, 1.0041), "[0.988, 1.004]"),
        ((1.4204, 1.5203), "[1.420, 1.520]"),
        ((1.4204, 1.5304), "[1.42, 1.53]"),
        ((0.612, 1.874), "[0.61, 1.87]"),
        ((1.02, 0.98), "[1.020, 0.980]"),
    ],
)
def test_an_interval_of_a_ratio_has_the_decimals_that_it_deserves(
    ends: tuple[float, float], text: str
) -> None:
    assert format_ratio_interval(*ends) == text


def test_a_size_from_a_thousand_gib_on_is_whole() -> None:
    sizes = (1024 * GIB, 1023.4 * GIB, 999.9 * GIB)
    assert list(map(format_gib, sizes)) == ["1,024", "1,023", "999.9"]


def test_one_byte_is_seen() -> None:
    for whole in (24, 1024):
        first, second = format_gibs(whole * GIB, whole * GIB + 1)
        assert float(first.replace(",", "")) < float(second.replace(",", ""))


@pytest.mark.parametrize(
    "typed",
    [
        "700 MiB",
        "24 GiB",
        "1.5 GiB",
        "24 GB",
        "1,000 MiB",
        "500 MB",
        "1 GiB",
        "80.25 GiB",
        "0.7 GiB",
    ],
)
def test_a_size_is_written_as_it_was_typed(typed: str) -> None:
    size = parse_size(typed.replace(",", ""))
    assert size is not None and format_typed_size(size) == typed


def test_a_size_that_nobody_types_is_in_gib() -> None:
    assert format_typed_size(734_003_201) == "0.684 GiB"
